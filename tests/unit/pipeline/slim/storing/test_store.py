"""What ships reads its modules out of one archive, and the rest out of the compressed store."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import handlers
from handlers.importer import bytecode_importer
from handlers.importer.bytecode_importer import DamagedStoreError
from handlers.importer.compressed_store import CompressedStore
from packager.errors import StorageError, ToolError
from packager.pipeline.slim import prune
from packager.pipeline.slim.storing import archive, bytecode, compressed_store, index
from packager.system import file_tree, process
from packager.targets.lambda_emulator.parts import host_architecture
from packager.types import BuildPlan, Bundle, Interpreter, Trace
from packager.workers.trace import Opened
from tests import fake_plan, tiny_elf

HERE = Interpreter(
    path=Path(sys.executable), version=".".join(map(str, sys.version_info[:3])), found_by="test"
)
HANDLERS = Path(handlers.__file__).parent
TREE = {
    "used/__init__.py": b"'''Used.'''\nfrom used.a import A\n",
    "used/a.py": b"A = 1\n",
    "used/b.py": b"from . import a\nB = a.A + 1\n",
    "used/data.txt": b"data",
    "idle/__init__.py": b"from pathlib import Path\n"
    b"WORDS = Path(__file__).with_name('words.txt').read_text()\n",
    "idle/words.txt": b"words",
    "idle/inner/__init__.py": b"",
    "idle/LICENSE": b"MIT",
    "single.py": b"X = 3\n",
    "lists/__init__.py": b"import os\nNAMES = sorted(os.listdir(os.path.dirname(__file__)))\n",
    "lists/plug.py": b"",
    "thing-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
    "model/code/mine.py": b"",
    "model/weights.bin": b"\0" * 9,
}
SEEN = ("used", "used.a")


def read_boot() -> dict[str, bytes]:
    """Read what ships to start with, as it is at the moment."""
    return {name: (HANDLERS.parent / name).read_bytes() for name in index.BOOT}


def plan(passes: tuple[str, ...] = ("bytecode", "cold", "archive"), **changes: Any) -> BuildPlan:
    request = fake_plan.request(architecture=host_architecture())
    return fake_plan.plan(interpreter=HERE, request=request, passes=passes, **changes)


def trace(root: Path, names: tuple[str, ...]) -> Trace:
    files = {}
    for name in names:
        base = name.replace(".", "/")
        place = f"{base}/__init__.py" if (root / base).is_dir() else f"{base}.py"
        files[name] = PurePosixPath(place)
    tag = sys.implementation.cache_tag
    opened = [path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in files.values()]
    return fake_plan.trace(
        init=names,
        files=files,
        opened=tuple(sorted(opened)),
    )


def built(
    root: Path,
    files: Mapping[str, bytes] = TREE,
    seen: tuple[str, ...] | None = SEEN,
    made: BuildPlan | None = None,
) -> Bundle:
    """The tree after its passes; without `seen` there was no trace."""
    made = made or plan()
    tiny_elf.write(root, {**read_boot(), **files})
    bundle = Bundle(
        root=root,
        files=tuple(file_tree.records(root)),
        trace=None if seen is None else trace(root, seen),
    )
    for each in (bytecode.PASS, compressed_store.PASS, archive.PASS):
        if each.name in made.passes:
            bundle = each.apply(bundle, made)
    return bundle


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("made")).root


@pytest.fixture
def function(made_once: Path, tmp_path: Path) -> Path:
    """The usual tree after all passes, to be read, asked and spoiled."""
    return Path(shutil.copytree(made_once, tmp_path / "f"))


def ask(root: Path, code: str, tmp: Path | None = None, *, check: bool = True) -> process.Done:
    """Run code in the function's folder, as its first import of `handlers` leaves it."""
    return process.run(
        [sys.executable, "-s", "-B", "-c", f"import handlers\n{code}"],
        cwd=root,
        env={"PYTHONPATH": str(root), "TMPDIR": str(tmp or root.parent), "PATH": "/usr/bin:/bin"},
        timeout_seconds=60,
        check=check,
    )


def names(root: Path) -> set[str]:
    return {path.as_posix() for path in file_tree.walk(root)}


def test_what_was_not_opened_is_stored_and_the_rest_stays(tmp_path: Path) -> None:
    bundle = built(tmp_path / "f")
    assert names(bundle.root) - index.BOOT == {
        "handlers/store.index",
        "handlers/store.code",
        "handlers/store.cold",
        *(index.bytecode_of(PurePosixPath(name), HERE).as_posix() for name in index.BOOT),
        "used/data.txt",
        "idle/LICENSE",
        "lists/__init__.py",
        "lists/plug.py",
        "thing-1.0.dist-info/METADATA",
        "model/code/mine.py",
        f"model/code/__pycache__/mine.{sys.implementation.cache_tag}.pyc",
        "model/weights.bin",
    }  # fmt: skip
    assert [entry.name for entry in bundle.ledger] == ["bytecode", "cold", "archive"]
    assert "7 files that no traced request opened" in bundle.ledger[1].proof
    assert "bytecode of 4 modules in one file" in bundle.ledger[2].proof
    assert {each.rule for each in bundle.removed} == {"cold"}


def test_a_module_in_the_archive_is_as_it_would_be_in_its_place(function: Path) -> None:
    done = ask(
        function,
        "import inspect, pkgutil, used, importlib.resources as r, importlib.metadata as m\n"
        "print(used.__doc__, used.A, used.__file__, used.__path__, used.a.__package__)\n"
        "print(inspect.getsource(used.a), [x.name for x in pkgutil.iter_modules(used.__path__)])\n"
        "print(r.files('used').joinpath('data.txt').read_text(), m.version('thing'))\n"
        "print(pkgutil.get_data('used', 'data.txt'), handlers.STORE.take_misses())",
    )
    assert done.stdout.splitlines() == [
        f"Used. 1 {function}/used/__init__.py ['{function}/used'] used",
        "A = 1",
        " ['a', 'b']",
        "data 1.0",
        "b'data' 0",
    ]


@pytest.mark.parametrize("seen", [SEEN, ()], ids=["in the archive", "unpacked"])
def test_a_package_s_file_is_a_module_of_it_too(tmp_path: Path, seen: tuple[str, ...]) -> None:
    files = {**TREE, "used/c.py": b"from .__init__ import A\n", "bare/d.py": b""}
    code = (
        "import importlib.util as u, used.c, sys\n"
        "again = sys.modules['used.__init__']\n"
        "print(used.c.A, again is used, hasattr(again, '__path__'), again.__package__)\n"
        "print(again.__file__.rpartition('/')[2], u.find_spec('bare.__init__'))"
    )
    stored = built(tmp_path / "f", files, seen).root
    plain = built(tmp_path / "p", files, None, plan(())).root
    answers = [ask(root, code).stdout for root in (stored, plain)]
    assert answers == ["1 False False used\n__init__.py None\n"] * 2


def test_a_package_lists_what_it_would_in_a_full_environment(tmp_path: Path) -> None:
    full = {**TREE, "used/tests/__init__.py": b"", "used/tests/test_a.py": b"import pytest\n"}
    full |= {"used/conftest.py": b"import pytest\n", "used/more/__init__.py": b""}
    asked = (
        "import importlib, importlib.resources, os, pkgutil, used\n"
        "print(sorted(each[1:] for each in pkgutil.iter_modules(used.__path__, 'used.')))\n"
        "print(sorted(set(os.listdir(used.__path__[0])) - {'__pycache__'}))\n"
        "files = importlib.resources.files('used').iterdir()\n"
        "print(sorted((each.name, each.is_dir()) for each in files if each.name[0] != '_'))\n"
        "print(importlib.import_module('used.tests').__name__)"
    )
    tiny_elf.write(tmp_path / "whole", {**read_boot(), **full})
    pruning = Bundle(root=tmp_path / "p", files=())
    tiny_elf.write(pruning.root, full)
    pruned = prune.PASS.apply(
        replace(pruning, files=tuple(file_tree.records(pruning.root))), plan()
    )
    made = {
        path.as_posix(): (pruned.root / path).read_bytes() for path in file_tree.walk(pruned.root)
    }
    assert "used/tests/test_a.py" not in made
    root = built(tmp_path / "f", made, made=plan(("prune", "bytecode", "cold", "archive"))).root
    assert not (root / "used" / "tests").exists()
    assert ask(root, asked).stdout == ask(tmp_path / "whole", asked).stdout


def test_a_module_that_was_not_seen_is_served_logged_and_counted(function: Path) -> None:
    code = "import used.b, single\nprint(used.b.B, single.X, {0}, {0})"
    done = ask(function, code.format("handlers.STORE.take_misses()"))
    assert done.stdout == "2 3 2 0\n"
    assert done.stderr.splitlines() == [
        "compressed store: used/b.py",
        "compressed store: single.py",
    ]


def test_a_package_that_was_not_seen_finds_its_data(function: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    code = (
        "import importlib.util as u\n"
        "print(u.find_spec('idle') is not None, handlers.STORE.take_misses())\n"
        "import idle, idle.inner, importlib\n"
        "print(idle.WORDS, importlib.reload(idle).WORDS, handlers.STORE.take_misses())"
    )
    done = ask(function, code, tmp_path / "tmp")
    assert done.stdout == "True 0\nwords words 1\n"
    (folder,) = (tmp_path / "tmp").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in folder.rglob("*.txt")} == {0o600}


def test_a_package_that_looks_into_its_own_folder_sees_it(function: Path) -> None:
    done = ask(function, "import lists; print(lists.NAMES, handlers.STORE.take_misses())")
    assert done.stdout == "['__init__.py', 'plug.py'] 0\n"


def test_without_a_trace_nothing_is_cold_and_the_archive_holds_all(tmp_path: Path) -> None:
    root = built(tmp_path / "f", seen=None).root
    assert "handlers/store.cold" not in names(root)
    assert "used/b.py" in names(root)
    done = ask(root, "import used.b, idle, single\nprint(used.b.B, used.b.__loader__, idle.WORDS)")
    assert done.stdout.startswith("2 <handlers.importer.bytecode_importer.CodeLoader object")
    assert done.stderr == ""


def test_the_passes_do_without_each_other(tmp_path: Path) -> None:
    alone = built(tmp_path / "cold", made=plan(passes=("bytecode", "cold"))).root
    assert "used/a.py" in names(alone)
    assert ask(alone, "import used.b\nprint(used.b.B)").stdout == "2\n"


@pytest.mark.few(1)
@pytest.mark.parametrize("keep", ["used/b.py", "idle", "idle/words.txt"])
def test_what_is_kept_lies_in_its_place(tmp_path: Path, keep: str) -> None:
    root = built(tmp_path / "f", made=plan(keep=(keep,))).root
    kept = {name for name in TREE if name == keep or name.startswith(f"{keep}/")}
    assert kept <= names(root)
    done = ask(root, "import used.b, idle\nprint(used.b.B, idle.WORDS)", check=False)
    # a package with one kept file is not unpacked: its data stays where its modules expect it
    assert done.stdout == "2 words\n", done.stderr


def test_the_same_tree_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built(tmp_path / "one")
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "another cache"))
    second = built(tmp_path / "a longer path")
    assert first.files == second.files


def test_a_folder_before_ours_on_the_path_still_comes_first(function: Path, tmp_path: Path) -> None:
    tiny_elf.write(tmp_path / "first", {"single.py": b"X = 'shadow'\n"})
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'first')!r}); import single"
    assert ask(function, f"{code}; print(single.X)").stdout == "shadow\n"


def test_code_beside_the_model_is_found_as_ever(tmp_path: Path) -> None:
    root = built(tmp_path / "f", {**TREE, "model/code/mine.py": b"Y = 4\n"}).root
    code = "import sys; sys.path.insert(0, 'model/code'); import mine; print(mine.Y)"
    assert ask(root, code).stdout == "4\n"


def test_a_namespace_package_reaches_over_two_folders(tmp_path: Path) -> None:
    files = {**TREE, "space/one/__init__.py": b"V = 1\n"}
    root = built(tmp_path / "f", files).root
    tiny_elf.write(tmp_path / "more", {"space/two.py": b"V = 2\n"})
    code = f"import sys; sys.path.append({str(tmp_path / 'more')!r})\n"
    code += "import space.one, space.two; print(space.one.V, space.two.V, space.__file__)"
    done = ask(root, code, check=False)
    assert done.stdout == "1 2 None\n", done.stderr


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("store.index", b"", "store.index is damaged"),
        ("store.index", b'{"python": [], "code_bytes": 0, "cold": 0, "files": [], "modules": {}}',
         "for another Python"),
        ("store.code", b"short", "store.code does not have"),
        ("store.code", None, "store.code is not there"),
        ("store.cold", b"short", "store.cold is damaged: it does not start as one"),
        ("store.cold", None, "store.cold is not there"),
    ],
)  # fmt: skip
def test_a_damaged_store_says_so(
    function: Path, name: str, damage: bytes | None, words: str
) -> None:
    path = function / "handlers" / name
    path.unlink() if damage is None else path.write_bytes(damage)
    done = ask(function, "import used.b", check=False)
    assert words in done.stderr.splitlines()[-1]
    assert "DamagedStoreError" in done.stderr


def test_damaged_bytecode_names_the_module(function: Path) -> None:
    path = function / "handlers" / "store.code"
    path.write_bytes(b"\xff" * path.stat().st_size)
    done = ask(function, "import used", check=False)
    assert "store.code is damaged at used/__init__.py" in done.stderr


def test_every_flipped_byte_of_the_store_is_noticed(function: Path) -> None:
    path = function / "handlers" / "store.cold"
    whole = path.read_bytes()
    right = {
        name: CompressedStore(str(function), str(path)).read(name)
        for name in ("used/b.py", "single.py")
    }
    wrong = 0
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            cold_ = CompressedStore(str(function), str(path))
            assert {name: cold_.read(name) for name in right} == right
        except DamagedStoreError:
            wrong += 1
    assert wrong > len(whole) // 14


def test_a_path_that_leads_out_is_refused(function: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = function / "handlers" / "store.cold"
    loads = json.loads

    def spoiled(data: bytes) -> object:
        table = loads(data)
        table["files"]["idle/../../../etc/cron.d/x"] = table["files"].pop("single.py")
        return table

    monkeypatch.setattr(json, "loads", spoiled)
    with pytest.raises(DamagedStoreError, match=r"\.\./etc"):
        CompressedStore(str(function), str(path))


def test_what_is_unpacked_is_compared_with_its_digest(
    function: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was put together anew has checksums that agree with what is in it."""
    loads = json.loads

    def exchanged(data: bytes) -> object:
        table = loads(data)
        files, trees = table["files"], table["trees"]["idle/__init__.py"]
        files["idle/words.txt"], files["idle/inner/__init__.py"] = (
            files["idle/inner/__init__.py"],
            files["idle/words.txt"],
        )
        assert {"idle/words.txt", "idle/inner/__init__.py"} <= {*trees}
        return table

    monkeypatch.setattr(json, "loads", exchanged)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stored = CompressedStore(str(function), str(function / "handlers" / "store.cold"))
    with pytest.raises(DamagedStoreError, match="is not what was built"):
        stored.unpack_tree("idle/__init__.py")
    assert not list(tmp_path.glob("cold-store-*/idle/words.txt"))


def test_starts_at_once_unpack_whole_files(tmp_path: Path) -> None:
    files = {**TREE, "idle/words.txt": os.urandom(1 << 17).hex().encode()}
    root = built(tmp_path / "f", files).root
    code = (
        "import os\n"
        "pids = []\n"
        "for _ in range(8):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        import idle\n"
        "        os._exit(0 if len(idle.WORDS) == 1 << 18 else 1)\n"
        "    pids.append(pid)\n"
        "print({os.waitpid(pid, 0)[1] for pid in pids})"
    )
    assert ask(root, code).stdout == "{0}\n"
    assert not list(tmp_path.rglob("words.txt.*"))


def test_threads_that_miss_at_once_get_one_module(function: Path) -> None:
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import importlib\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    found = {id(m) for m in pool.map(importlib.import_module, ['used.b'] * 64)}\n"
        "print(len(found), handlers.STORE.take_misses())"
    )
    assert ask(function, code).stdout == "1 1\n"


def test_a_file_that_was_tampered_with_is_unpacked_anew(function: Path, tmp_path: Path) -> None:
    ask(function, "import idle")
    (words,) = tmp_path.glob("cold-store-*/idle/words.txt")
    words.write_text("other")
    assert ask(function, "import idle; print(idle.WORDS)").stdout == "words\n"


def test_a_folder_that_others_can_write_is_not_used(function: Path, tmp_path: Path) -> None:
    ask(function, "import idle")
    (folder,) = tmp_path.glob("cold-store-*")
    folder.chmod(0o777)
    done = ask(function, "import idle; print(idle.__file__)")
    assert not done.stdout.startswith(str(folder))


def test_no_room_below_tmp_is_told_with_what_to_do(function: Path) -> None:
    code = (
        "import errno, os\n"
        "def full(*_, **__): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "os.mkdir = full\n"
        "import idle"
    )
    done = ask(function, code, check=False)
    assert "idle/__init__.py cannot be unpacked from the compressed store" in done.stderr
    assert "--keep 'idle/__init__.py'" in done.stderr


LINKED = {
    "used/lib.so": tiny_elf.library(),
    "used/rare.so": tiny_elf.library(needed=("libmid.so",), rpath="$ORIGIN/../used.libs"),
    "used.libs/libmid.so": tiny_elf.library(needed=("liblast.so",), soname="libmid.so"),
    "used.libs/liblast.so": tiny_elf.library(soname="liblast.so"),
}


@pytest.mark.skipif(host_architecture() != "x86_64", reason="the test's libraries are for x86_64")
def test_a_stored_library_finds_what_its_loader_leads_to(tmp_path: Path) -> None:
    """liblast.so is found by the search path of rare.so alone, and another loads it in place."""
    files = {
        **TREE,
        **LINKED,
        "used/lib.so": tiny_elf.library(needed=("liblast.so",), rpath="$ORIGIN/../used.libs"),
        "used/keeps.txt": b"lib.so",
    }
    bundle = built(tmp_path / "f", files, made=plan(keep=("used/lib.so",)))
    assert "2 of 2 libraries load from below /tmp" in bundle.ledger[1].proof
    code = (
        "import ctypes, importlib.util as u\n"
        "spec = u.find_spec('used.rare')\n"
        "store = handlers.STORE\n"
        "print(ctypes.CDLL(store.cold.unpack_file('used/rare.so')) is not None)"
    )
    assert ask(bundle.root, code).stdout == "True\n"


@pytest.mark.skipif(host_architecture() != "x86_64", reason="the test's libraries are for x86_64")
@pytest.mark.parametrize(
    ("lost", "left"),
    [("used.libs/liblast.so", {"used.libs/libmid.so", "used/rare.so"}), (None, set())],
)
def test_a_library_that_does_not_load_from_the_store_stays(
    tmp_path: Path, lost: str | None, left: set[str]
) -> None:
    files = {path: content for path, content in {**TREE, **LINKED}.items() if path != lost}
    bundle = built(tmp_path / "f", files)
    assert left == names(bundle.root) & {*LINKED} - {"used/lib.so"}
    assert left == {*bundle.ledger[1].reverted}


def test_handlers_outside_a_function_change_nothing() -> None:
    before = list(sys.path_hooks)
    assert bytecode_importer.install(str(HANDLERS.parent)) is None
    assert sys.path_hooks == before


def test_two_models_share_the_blocks_of_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    large = {f"pkg/large{at}.so": bytes([at]) * (1 << 19) for at in range(2)}
    texts = {"pkg/a.py": b"a" * 9, "pkg/b.py": b"b" * 9, "pkg/small.so": b"s", "z/c.py": b"c"}
    tiny_elf.write(tmp_path / "f", {**large, **texts})

    def count_blocks(files: set[str]) -> int:
        chosen = compressed_store.Chosen(files=files)
        compressed_store.write(tmp_path / "store", tmp_path / "f", chosen, "x86_64")
        return len(list((tmp_path / "cache" / "blocks").iterdir()))

    assert count_blocks({*large, *texts}) == 5
    first = (tmp_path / "store").read_bytes()
    assert count_blocks({*large, "z/c.py"}) == 5
    assert count_blocks({*large, *texts}) == 5
    assert (tmp_path / "store").read_bytes() == first


@pytest.mark.parametrize("content", [b"other", b"x" * 88])
def test_a_store_that_does_not_give_back_what_went_in_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr("packager.system.cache.remember", lambda *_: lzma.compress(content))
    with pytest.raises(ToolError, match="packager cache clear"):
        built(tmp_path)


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The usual tree, traced, with a cache of its own."""
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "f"
    tiny_elf.write(root, {**read_boot(), **TREE})
    return bytecode.PASS.apply(
        Bundle(root=root, files=tuple(file_tree.records(root)), trace=trace(root, SEEN)), plan()
    )


def test_what_will_go_is_compressed_beforehand(traced: Bundle, tmp_path: Path) -> None:
    blocks = tmp_path / "cache" / "blocks"
    with compressed_store.compressing_ahead(traced, plan()):
        deadline = time.monotonic() + 20
        while not [*blocks.glob("[!.]*")] and time.monotonic() < deadline:
            time.sleep(0.01)
    before = {*blocks.glob("[!.]*")}
    compressed_store.PASS.apply(traced, plan())

    assert before
    assert before <= {*blocks.glob("[!.]*")}


def test_what_is_compressed_beforehand_was_opened_by_no_request(
    traced: Bundle, tmp_path: Path
) -> None:
    """The trace goes by which files of the tree are opened, whoever opens them."""
    opened: list[str] = []
    with compressed_store.compressing_ahead(traced, plan()):
        watcher = Opened(traced.root)
        deadline = time.monotonic() + 20
        while not [*(tmp_path / "cache" / "blocks").glob("[!.]*")] and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        opened = watcher.paths()

    assert [*(tmp_path / "cache" / "blocks").glob("[!.]*")]
    assert opened == []


@pytest.mark.parametrize(
    ("passes", "is_traced"), [(("bytecode",), True), (("bytecode", "cold"), False)]
)
def test_nothing_is_compressed_that_will_not_go(
    passes: tuple[str, ...], *, is_traced: bool, traced: Bundle, tmp_path: Path
) -> None:
    bundle = traced if is_traced else replace(traced, trace=None)
    with compressed_store.compressing_ahead(bundle, plan(passes=passes)):
        time.sleep(0.3)
    assert not (tmp_path / "cache" / "blocks").exists()


def test_a_cache_that_is_full_is_told_of_by_the_pass_itself(
    traced: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remember(*_: object) -> bytes:
        raise StorageError("The disk is full.")

    monkeypatch.setattr("packager.system.cache.remember", remember)
    with compressed_store.compressing_ahead(traced, plan()):
        pass
    with pytest.raises(StorageError, match="full"):
        compressed_store.PASS.apply(traced, plan())

"""What is only in the compressed store is read, looked for and listed as if it lay in its place."""

from __future__ import annotations

import _ctypes
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from handlers.importer import stored_libraries
from handlers.importer.stored_files import StoredFiles
from packager.pipeline.slim import prune
from packager.pipeline.slim.storing import archive, bytecode, compressed_store
from packager.system import file_tree, process
from packager.types import Bundle
from tests import tiny_elf
from tests.unit.pipeline.slim.storing.test_store import TREE, plan, read_boot, trace

INFO = "used-2.0.dist-info"
LIBRARY = Path(_ctypes.__file__).read_bytes()
"""Of an extension module, which is a shared library that this Python's loader takes."""
FILES = {
    **TREE,
    "used/__init__.pyi": b"A: int\n",
    "used/inner/__init__.py": b"",
    "used/inner/__init__.pyi": b"from .. import A\n",
    "used/README.md": b"Used, \xc3\xbcberall.\n",
    "used/warns.py": b"import warnings\n\ndef warn():\n    warnings.warn('odd')\n",
    "used-stubs/x.pyi": b"",
    "used/libplain.so": LIBRARY,
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: used\nVersion: 2.0\nRequires-Dist: thing\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n",
    f"{INFO}/INSTALLER": b"uv",
    f"{INFO}/RECORD": b"".join(
        f"{path},,\n".encode()
        for path in (
            "used/__init__.py",
            "used/a.py",
            "used/b.py",
            "used/data.txt",
            f"{INFO}/RECORD",
        )
    ),
    "thing-1.0.dist-info/RECORD": b"single.py,,\nidle/__init__.py,,\nidle/words.txt,,\n",
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A slimmed function, and the same files as they were installed."""
    folder = tmp_path_factory.mktemp("trees")
    whole = tiny_elf.write(folder / "whole", {**read_boot(), **FILES})
    root = tiny_elf.write(folder / "slim", {**read_boot(), **FILES})
    made = plan(passes=("prune", "bytecode", "cold", "archive"))
    seen = trace(root, ("used", "used.a", "used.warns"))
    bundle = Bundle(root=root, files=tuple(file_tree.records(root)), trace=seen)
    for each in (prune.PASS, bytecode.PASS, compressed_store.PASS, archive.PASS):
        bundle = each.apply(bundle, made)
    return root, whole


BEGINNING = """
import sys; sys.path.insert(0, sys.argv[1])
import handlers, glob, io, json, os, pathlib, importlib.resources, importlib.metadata
import linecache, pkgutil, shutil, zipfile
root = pathlib.Path(sys.argv[1])
os.chdir(root)
"""


def ask(root: Path, tmp: Path, expression: str, setup: str = "") -> object:
    code = (
        f"{BEGINNING}{setup}\n"
        f"answer = {expression}\n"
        "print(json.dumps(answer, default=str).replace(str(root), 'ROOT'))"
    )
    done = process.run(
        [sys.executable, "-s", "-B", "-c", code, root],
        cwd=tmp,
        env={"TMPDIR": str(tmp), "PATH": "/usr/bin:/bin"},
        timeout_seconds=60,
    )
    return json.loads(done.stdout)


ALIKE = {
    "open": "open(root / 'used/__init__.pyi').read()",
    "open as text": "open(f'{root}/used/README.md', encoding='utf-8').read()",
    "open as bytes": "list(open(os.fsencode(root / 'used/README.md'), 'rb').read())",
    "a source": "open(root / 'used/b.py').read()",
    "a relative name": "open('used/inner/../__init__.pyi').read()",
    "a file object's number": "os.fstat((file := open('used/__init__.pyi')).fileno()).st_size",
    "os.open": "os.read(os.open(root / 'used/__init__.pyi', os.O_RDONLY), 99).decode()",
    "io.open": "io.open(root / 'used/__init__.pyi').readlines()",
    "pathlib": "[(root / 'used/__init__.pyi').read_text(), (root / 'used/b.py').is_file()]",
    "exists": "[os.path.exists(p) for p in ('used/b.py', 'used/c.py', 'used/inner', 'used-stubs')]",
    "kinds": "[f(root / p)"
    " for f in (os.path.isfile, os.path.isdir, os.path.islink, os.path.lexists)"
    " for p in ('used/b.py', 'used/inner', 'used-stubs', 'nothing')]",
    "size": "os.path.getsize(root / 'used/README.md')",
    "access": "[os.access(root / 'used/b.py', m) for m in (os.F_OK, os.R_OK, os.X_OK)]",
    "listdir": "sorted(n for n in os.listdir(root / 'used') if n != '__pycache__')",
    "listdir of what is stored whole": "sorted(n for n in os.listdir(root/'used-stubs'))",
    "the folder itself": "sorted(n for n in os.listdir(root) if n != '__pycache__')",
    "scandir": "sorted((e.name, e.is_file(), e.is_dir(), e.path) for e in os.scandir(root / 'used')"
    " if e.name != '__pycache__')",
    "scandir's entries as paths": "sorted(os.fspath(e) for e in os.scandir(root / 'used')"
    " if e.name != '__pycache__')",
    "a file object's number, listed": "type(answer_of(os.listdir, -1)).__name__",
    "walk": "sorted(os.path.join(d, f) for d, _, fs in os.walk(root / 'used') for f in fs"
    " if not f.endswith('.pyc'))",
    "glob": "sorted(glob.glob(f'{root}/used/**/*.pyi', recursive=True))",
    "pathlib's glob": "sorted(map(str, root.glob('used/*.pyi')))",
    "pathlib's rglob": "sorted(map(str, (root / 'used').rglob('*.py')))",
    "iterdir": "sorted(p.name for p in (root / 'used').iterdir() if p.name != '__pycache__')",
    "importlib.resources": "(importlib.resources.files('used') / 'README.md').read_text('utf-8')",
    "pkgutil": "pkgutil.get_data('used', '__init__.pyi').decode()",
    "of what is not imported": "open(root / 'idle/words.txt').read()",
    "ctypes": "bool(__import__('ctypes').CDLL(str(root / 'used/libplain.so')).PyInit__ctypes)",
    "ctypes.cdll": "bool(__import__('ctypes').cdll[f'{root}/used/libplain.so']._handle)",
    # as ctypes.CDLL hands it on; of 3.13.0 it takes no bytes itself
    "ctypes by bytes": "bool(__import__('ctypes')._dlopen(f'{root}/used/libplain.so'.encode(), 0))",
    "ctypes, which is there": "bool(__import__('ctypes').CDLL(None)._handle)",
    "linecache": "linecache.getlines(str(root / 'used/warns.py'))",
    "distributions": "sorted(d.metadata['Name'] for d in importlib.metadata.distributions())",
    "packages_distributions": "importlib.metadata.packages_distributions()",
    "files": "[str(f) for f in importlib.metadata.files('used')]",
    "records": "[importlib.metadata.distribution('used').read_text(n) for n in"
    " ('WHEEL', 'INSTALLER', 'RECORD', 'top_level.txt', 'direct_url.json')]",
    "requires": "importlib.metadata.requires('used')",
    "what is not there": "[str(n) for n in ()] or type(why(root / 'used/none.pyi')).__name__",
    "mode and links": "[(found := os.stat(root / 'used/README.md')).st_mode, found.st_nlink]",
    "os.open of what is not there": "type(answer_of(os.open, root / 'none', os.O_RDONLY)).__name__",
    "listdir of what is not there": "type(answer_of(os.listdir, root / 'none')).__name__",
    "scandir that is closed": "(entries := os.scandir(root / 'used')).__enter__() and"
    " [entries.__exit__(None, None, None), len(list(entries))]",
    "writing": "type(why(root / 'used/inner2/x.pyi', 'w')).__name__",
    "copytree": "sorted(os.listdir(shutil.copytree(root / 'used', f'{tmp}/copy',"
    " ignore=shutil.ignore_patterns('__pycache__'))))",
}  # fmt: skip
SETUP = """
import tempfile
tmp = tempfile.mkdtemp()
def answer_of(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error
def why(*arguments):
    try:
        open(*arguments)
    except OSError as error:
        return error
"""


EACH = """
import traceback
ways = json.loads(sys.argv[2])
for number, (way, expression) in enumerate(ways.items()):
    if os.fork() == 0:
        # as at its start: nothing has been asked, and nothing is unpacked
        os.environ['TMPDIR'] = tempfile.tempdir = f"{os.environ['TMPDIR']}/{number}"
        os.mkdir(tempfile.tempdir)
        tmp = tempfile.mkdtemp()
        try:
            found = json.dumps(eval(expression), default=str)
        except BaseException:
            found = json.dumps(traceback.format_exc())
        print(json.dumps([way, found.replace(str(root), 'ROOT')]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def answers(
    trees: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], ...]:
    """What each way answers in each tree, every time in a fork of a program that has just begun."""
    found = []
    for root in trees:
        folder = tmp_path_factory.mktemp("asked")
        done = process.run(
            [
                sys.executable,
                "-s",
                "-B",
                "-c",
                f"{BEGINNING}{SETUP}{EACH}",
                root,
                json.dumps(ALIKE),
            ],
            cwd=folder,
            env={"TMPDIR": str(folder), "PATH": "/usr/bin:/bin"},
            timeout_seconds=60,
        )
        found.append(dict(map(json.loads, done.stdout.splitlines())))
    return tuple(found)


@pytest.mark.few(8)
@pytest.mark.parametrize("way", ALIKE)
def test_it_answers_as_if_it_lay_in_its_place(
    way: str, answers: tuple[dict[str, str], ...]
) -> None:
    slim, whole = (each[way] for each in answers)
    assert "Traceback" not in whole
    assert json.loads(slim) == json.loads(whole)


@pytest.mark.parametrize("flags", ["os.O_WRONLY", "os.O_RDWR", "os.O_RDONLY | os.O_TRUNC"])
def test_what_is_in_the_store_is_not_opened_to_write(
    flags: str, trees: tuple[Path, Path], tmp_path: Path
) -> None:
    asked = f"type(answer_of(os.open, root / 'used/b.py', {flags})).__name__"

    assert ask(trees[0], tmp_path, asked, SETUP) == "FileNotFoundError"


def test_the_files_are_really_in_the_store(trees: tuple[Path, Path]) -> None:
    root, _ = trees
    names = {path.as_posix() for path in file_tree.walk(root)}
    for path in ("used/__init__.pyi", "used/README.md", "used/b.py", f"{INFO}/RECORD"):
        assert path not in names
    assert f"{INFO}/METADATA" in names


def test_a_warning_shows_its_line(trees: tuple[Path, Path], tmp_path: Path) -> None:
    shown = ask(
        trees[0],
        tmp_path,
        "warnings.formatwarning('odd', UserWarning, str(root / 'used/warns.py'), 4)",
        "import warnings",
    )
    assert str(shown).splitlines()[1:] == ["  warnings.warn('odd')"]


def test_what_was_opened_is_counted_and_sources_are_not(
    trees: tuple[Path, Path], tmp_path: Path
) -> None:
    setup = "open(root / 'used/README.md'); open(root / 'used/b.py'); os.listdir(root / 'used')"
    assert ask(trees[0], tmp_path, "handlers.STORE.take_misses()", setup) == 1


@pytest.mark.parametrize("name", ["open", "stat", "scandir"])
def test_they_stand_in_for_built_in_functions(
    name: str, trees: tuple[Path, Path], tmp_path: Path
) -> None:
    module = "io" if name == "open" else "os"
    setup = (
        "import pickle\n"
        f"class Holds: held = {module}.{name}\n"
        f"same = pickle.loads(pickle.dumps({module}.{name})) is {module}.{name}"
    )
    expression = f"[same, Holds().held is {module}.{name}, {module}.{name}.__name__]"
    assert ask(trees[0], tmp_path, expression, setup) == [True, True, name]


def test_no_room_is_an_error_of_the_system(trees: tuple[Path, Path], tmp_path: Path) -> None:
    setup = (
        f"{SETUP}\nimport errno\n"
        "def full(*_, **__): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "os.mkdir = full"
    )
    expression = "[why(root / 'used/README.md').errno == errno.ENOSPC]"
    assert ask(trees[0], tmp_path, expression, setup) == [True]


def test_the_store_is_not_read_for_what_it_does_not_have(
    trees: tuple[Path, Path], tmp_path: Path
) -> None:
    """A start looks for much that is not there; the index tells, and the store stays closed."""
    setup = (
        "paths = ['model/x', 'used/none.py', 'nothing', 'thing-1.0.dist-info/X', 'lib/x.so']\n"
        "found = [os.path.exists(root / p) for p in paths] + [len(os.listdir(root)) > 3]\n"
        "list(importlib.metadata.entry_points())"
    )
    expression = "[found, handlers.STORE._cold is None]"
    assert ask(trees[0], tmp_path, expression, setup) == [[False] * 5 + [True], True]


def test_ctypes_that_is_imported_before_is_changed_too(
    trees: tuple[Path, Path], tmp_path: Path
) -> None:
    root = trees[0]
    code = (
        "import ctypes, sys; sys.path.insert(0, sys.argv[1]); import handlers\n"
        "print(bool(ctypes.CDLL(f'{sys.argv[1]}/used/libplain.so')._handle))\n"
        "try: ctypes.CDLL(f'{sys.argv[1]}/used/libnone.so')\n"
        "except OSError as error: print('libnone.so' in str(error))\n"
    )
    done = process.run(
        [sys.executable, "-s", "-B", "-c", code, root],
        cwd=tmp_path,
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        timeout_seconds=60,
    )
    assert done.stdout.split() == ["True", "True"]
    assert not (root / "used" / "libplain.so").exists()


@pytest.mark.parametrize("name", sorted(stored_libraries._LOADING))
def test_the_function_that_loads_is_there(name: str) -> None:
    """A later version of it may call it otherwise."""
    module = importlib.import_module(name)
    assert callable(vars(module)[stored_libraries._LOADING[name]])


def test_cffi_is_answered_for() -> None:
    class Files:
        def unpack(self, path: object) -> str | None:
            return "below /tmp" if path == "stored.so" else None

    def load_library(path: object, flags: int = 0) -> object:
        if path != "below /tmp":
            raise OSError(str(path))
        return path, flags

    module = ModuleType("_cffi_backend")
    vars(module)["load_library"] = load_library
    stored_libraries.change_loading(module, Files())  # type: ignore[arg-type]
    assert module.load_library("stored.so", 2) == ("below /tmp", 2)
    with pytest.raises(OSError, match=r"other\.so"):
        module.load_library("other.so")


def test_what_loads_libraries_is_changed_only_where_it_is_installed(tmp_path: Path) -> None:
    finder = stored_libraries.LoadingFinder(cast("StoredFiles", None))
    (tmp_path / "ctypes").mkdir()  # a package without a file has no loader to change

    assert finder.find_spec("_cffi_backend", []) is None
    assert finder.find_spec("json") is None
    found = finder.find_spec("ctypes", [str(tmp_path)])
    assert found is not None
    assert found.loader is None

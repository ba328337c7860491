"""What is staged beside the packages: handlers by what they import, the model, the manifest."""

from __future__ import annotations

import ast
import hashlib
import json
import zipfile
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from handlers.manifest import Manifest
from packager.environments import lockfile
from packager.errors import ConfigurationError, ModelFormatError, PlanError, UntrustedTypesError
from packager.models.pickles.text_files import rewrite_into
from packager.pipeline.plan import _checks
from packager.pipeline.slim import (
    PASSES,
    UnwantedError,
    begin_slimming,
    has_same_tree,
    leaves_memory,
    slim,
    weights,
)
from packager.pipeline.slim.native import libraries, strip_libraries
from packager.system import resources, sandbox
from packager.system.process import Done
from packager.types import BuildPlan, Bundle, SavedExample, Spread, Tier
from tests import fake_plan, tiny_elf


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the installer will put into the tree."""
    files = {"numpy/__init__.py": b"", "numpy-2.5.5.dist-info/METADATA": b"Name: numpy\n"}

    def install(lock: Any, target: Path, **options: Any) -> None:
        tiny_elf.write(target, files)

    monkeypatch.setattr(lockfile, "install", install)
    return files


def plan(tmp_path: Path, **changes: Any) -> BuildPlan:
    root = tiny_elf.write(
        tmp_path / "logged",
        {
            "MLmodel": b"flavors: {}\n",
            "model.skops": b"PK",
            "code/mine.py": b"",
            "code/requirements.txt": b"not MLflow's",
            "conda.yaml": b"",
            "requirements.txt": b"",
            "input_example.json": b"{}",
            "serving_input_example.json": b"{}",
            "registered_model_meta": b"",
            "__pycache__/x.pyc": b"",
        },
    )
    loader = replace(fake_plan.plan().loader, options={"file": "model.skops", "format": "pickle"})
    handlers = ("http/router.py", "events/aws_sources/*.py")
    program = replace(fake_plan.TARGET.program, handlers=handlers)
    target = replace(fake_plan.TARGET, program=program)
    return fake_plan.plan(
        **{
            "model": fake_plan.model(root=root),
            "loader": loader,
            "target": target,
            "passes": (),
            **changes,
        }
    )


def test_the_model_comes_without_what_rebuilds_its_environment(
    tmp_path: Path, installed: dict[str, bytes]
) -> None:
    bundle = slim(plan(tmp_path), tmp_path / "work")
    model = sorted(file.path.as_posix() for file in bundle.files if file.path.parts[0] == "model")
    assert model == [
        "model/MLmodel",
        "model/code/mine.py",
        "model/code/requirements.txt",
        "model/model.skops",
        "model/serving_input_example.json",
    ]
    assert (bundle.root / "model/serving_input_example.json").read_bytes() == fake_plan.BODY


def test_a_version_that_code_asks_for_is_answered_without_what_it_is_of(
    tmp_path: Path, installed: dict[str, bytes]
) -> None:
    installed["numpy-2.5.5.dist-info/METADATA"] = b"Name: numpy\nVersion: 2.5.5\n"
    installed["numpy-2.5.5.dist-info/RECORD"] = b"numpy/__init__.py,,\n"
    asked = (("mlflow-skinny", "3.17.2"), ("numpy", "1.0"))
    bundle = slim(plan(tmp_path, answered=asked), tmp_path / "work")
    found = {each.name: each.version for each in distributions(path=[str(bundle.root)])}
    assert found["mlflow-skinny"] == "3.17.2"
    assert not list(bundle.root.glob("numpy-1*")), "it is installed"


def test_the_manifest_says_what_the_plan_decided(
    tmp_path: Path, installed: dict[str, bytes]
) -> None:
    bundle = slim(plan(tmp_path), tmp_path / "work")
    manifest = Manifest.read(bundle.root)
    assert manifest.loader == "sklearn"
    assert manifest.tier == "native"
    assert manifest.frame == "pandas"
    assert manifest.options == {"file": "model.skops", "format": "pickle"}
    assert manifest.example == "model/serving_input_example.json"
    assert manifest.python == "3.13"
    assert str(tmp_path) not in (bundle.root / "model-manifest.json").read_text()


def test_a_csv_example_is_not_shown_as_json(tmp_path: Path, installed: dict[str, bytes]) -> None:
    example = SavedExample(body=b"x\n1\n", content_type="text/csv", source="given")
    made = plan(tmp_path)
    made = replace(made, model=replace(made.model, example=example))
    bundle = slim(made, tmp_path / "work")
    assert Manifest.read(bundle.root).example is None


def test_handlers_that_ship_import_only_what_ships(
    tmp_path: Path, installed: dict[str, bytes]
) -> None:
    bundle = slim(plan(tmp_path), tmp_path / "work")
    shipped = {file.path.as_posix() for file in bundle.files if file.path.parts[0] == "handlers"}
    assert {
        "handlers/aws_lambda.py",
        "handlers/http/router.py",
        "handlers/loaders/sklearn.py",
    } <= shipped
    assert "handlers/http/fastapi_app.py" not in shipped
    assert "handlers/loaders/xgboost.py" not in shipped
    assert not any(path.startswith("handlers/loaders/stub/") for path in shipped)
    for path in shipped:
        for node in ast.walk(ast.parse((bundle.root / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("handlers."):
                base = (node.module or "").replace(".", "/")
                assert {f"{base}.py", f"{base}/__init__.py"} & shipped, f"{path}: {node.module}"


def test_the_stub_tier_ships_the_stub(tmp_path: Path, installed: dict[str, bytes]) -> None:
    bundle = slim(plan(tmp_path, tier=Tier.STUB), tmp_path / "work")
    source = resources.handlers_root() / "loaders" / "stub"
    wanted = {f"handlers/loaders/stub/{path.relative_to(source)}" for path in source.rglob("*.py")}
    assert wanted <= {file.path.as_posix() for file in bundle.files}


def test_modes_do_not_hang_on_the_umask(tmp_path: Path, installed: dict[str, bytes]) -> None:
    made = plan(tmp_path)
    (made.model.root / "model.skops").chmod(0o600)
    bundle = slim(made, tmp_path / "work")
    modes = {path.stat().st_mode & 0o777 for path in bundle.root.rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_a_link_out_of_the_model_is_refused(tmp_path: Path, installed: dict[str, bytes]) -> None:
    made = plan(tmp_path)
    (made.model.root / "secret").symlink_to("/etc/hostname")
    with pytest.raises(ModelFormatError, match="secret is a link that leaves"):
        slim(made, tmp_path / "work")


@pytest.mark.parametrize(
    "name", ["model/x.py", "handlers/x.py", "handlers.py", "model-manifest.json"]
)
def test_a_package_must_not_take_our_names(
    tmp_path: Path, installed: dict[str, bytes], name: str
) -> None:
    installed[name] = b""
    with pytest.raises(PlanError, match=f"installs '{name.partition('/')[0]}'"):
        slim(plan(tmp_path), tmp_path / "work")


def skops(tmp_path: Path) -> BuildPlan:
    options = {"file": "model.skops", "format": "skops", "trusted": ["b.B"]}
    made = plan(tmp_path, loader=replace(fake_plan.plan().loader, options=options))
    with zipfile.ZipFile(made.model.root / "model.skops", "w") as archive:
        archive.writestr("schema.json", "{}")
    return made


@pytest.mark.parametrize(
    ("done", "error", "words"),
    [
        (Done(returncode=3, stdout="", stderr="untrusted types in x: a.A, c.C\n"),
         UntrustedTypesError, r"not trusted: a\.A, c\.C"),
        (Done(returncode=1, stdout="", stderr="BadZipFile"), ModelFormatError, "BadZipFile"),
    ],
)  # fmt: skip
def test_a_skops_file_that_cannot_be_trusted_stops_the_build(
    tmp_path: Path,
    installed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    done: Done,
    error: type[Exception],
    words: str,
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sandbox, "run", lambda *_, **__: done)
    with pytest.raises(error, match=words):
        slim(skops(tmp_path), tmp_path / "work")


def test_a_skops_file_gets_all_its_types_into_the_manifest(
    tmp_path: Path, installed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    asked: list[list[str]] = []

    def run(argv: list[Any], **_: Any) -> Done:
        asked.append([str(each) for each in argv])
        return Done(returncode=0, stdout=json.dumps(["a.A", "b.B"]), stderr="")

    monkeypatch.setattr(sandbox, "run", run)
    bundle = slim(skops(tmp_path), tmp_path / "work")
    assert asked[0][-1] == '["b.B"]'
    assert Manifest.read(bundle.root).options["trusted"] == ["a.A", "b.B"]


def test_an_unknown_pass_is_named_before_anything_is_installed(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"No slimming pass polish\. Known passes: weights, libr"
    ):
        slim(plan(tmp_path, passes=("polish", "prune")), tmp_path / "work")


def test_passes_run_in_their_own_order(tmp_path: Path, installed: dict[str, bytes]) -> None:
    bundle = slim(plan(tmp_path, passes=("prune", "libraries")), tmp_path / "work")
    assert [entry.name for entry in bundle.ledger] == ["libraries", "prune"]


def test_each_pass_is_a_file_of_its_own_with_a_reason() -> None:
    for name, each in PASSES.items():
        assert each.name == name
        assert each.reason
    assert len({each.apply.__module__ for each in PASSES.values()}) == len(PASSES)


def test_the_plan_names_the_passes_that_there_are() -> None:
    assert tuple(PASSES) == _checks.PASSES


def test_what_is_supplied_does_not_count_as_missing(
    tmp_path: Path, installed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed["pkg/__init__.py"] = b"from pkg import core"
    installed["pkg/core.so"] = tiny_elf.library(needed=("libdonated.so.1",))
    donated = tiny_elf.library(soname="libdonated.so.1")

    def supply(library: str, root: Path, _plan: BuildPlan) -> str:
        tiny_elf.write(root, {f"lib/{library}": donated})
        return "a donor"

    monkeypatch.setattr(libraries, "_supply", supply)
    supplied = slim(plan(tmp_path, passes=("libraries",)), tmp_path / "one")
    assert supplied.loaders == {}
    lacking = slim(plan(tmp_path, passes=()), tmp_path / "two")
    assert lacking.loaders == {PurePosixPath("pkg/core.so"): frozenset({"pkg"})}


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"threads": 1, "spread": Spread(rounding={"predictions": 1e-16})},
        {"drift": '{"rows": 100}\n', "system_libraries": ("/usr/lib/libx.so",)},
        {"threads": 1, "drift": "{}", "declaring": {"numpy": "entry.points"}},
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_tree_that_was_begun_before_the_answers_ends_as_one_that_was_not(
    tmp_path: Path, answers: dict[str, Any]
) -> None:
    before = plan(tmp_path, passes=("weights", "prune"))
    after = replace(before, **answers)

    begun = begin_slimming(before, tmp_path / "begun")
    assert has_same_tree(before, after)
    ended = slim(after, tmp_path / "begun", begun)

    whole = slim(after, tmp_path / "whole")
    assert ended.files == whole.files
    assert ended.ledger == whole.ledger
    for file in whole.files:
        one, other = ended.root / file.path, whole.root / file.path
        assert one.read_bytes() == other.read_bytes()
        assert one.stat().st_mode == other.stat().st_mode


def test_another_lock_or_rule_is_another_tree(tmp_path: Path) -> None:
    before = plan(tmp_path)
    assert not has_same_tree(before, replace(before, keep=("a/*",)))
    assert not has_same_tree(before, replace(before, lock=replace(before.lock, text="other")))
    assert not has_same_tree(before, replace(before, kept_for={"numpy": "it was missed"}))


@pytest.mark.usefixtures("installed")
def test_nothing_more_is_done_once_nobody_waits(tmp_path: Path) -> None:
    with pytest.raises(UnwantedError):
        begin_slimming(plan(tmp_path), tmp_path / "work", lambda: False)


@pytest.mark.usefixtures("installed")
def test_no_more_of_a_large_model_is_copied_once_nobody_waits(tmp_path: Path) -> None:
    build = plan(tmp_path)
    for number in range(20):
        (build.model.root / f"part-{number}").write_bytes(b"x")
    model = tmp_path / "work" / "function" / "model"

    with pytest.raises(UnwantedError):
        begin_slimming(build, tmp_path / "work", lambda: len([*model.rglob("*")]) < 3)
    assert len([*model.rglob("*")]) == 3


def test_no_more_libraries_are_rewritten_once_nobody_waits(
    tmp_path: Path, installed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.update({f"numpy/{name}.so": tiny_elf.library() for name in "abcdef"})
    seen: list[int] = []

    def compact(data: bytes, _: object) -> bytes:
        seen.append(len(data))
        return data

    monkeypatch.setattr(strip_libraries, "compact_library", compact)
    with pytest.raises(UnwantedError):
        begin_slimming(
            plan(tmp_path, passes=("compact",)), tmp_path / "work", lambda: len(seen) < 2
        )
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("memory", "pickled", "done"),
    [
        (1 << 40, False, ["weights", "prune", "compact"]),
        # what loads the model waits until the model is no longer asked
        (1 << 40, True, []),
        # and what loads libraries, where these are much of the memory
        (1 << 10, False, ["weights", "prune"]),
    ],
)
def test_what_takes_memory_is_left_to_the_slimming_itself(
    tmp_path: Path,
    installed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    memory: int,
    pickled: bool,  # noqa: FBT001
    done: list[str],
) -> None:
    installed["numpy/core.so"] = tiny_elf.library()
    monkeypatch.setattr(sandbox, "machine_memory_bytes", lambda: memory)
    monkeypatch.setattr(weights, "loads_model", lambda *_: pickled)
    passes = ("weights", "prune", "compact")

    begun = begin_slimming(plan(tmp_path, passes=passes), tmp_path / "work")

    assert [entry.name for entry in begun.bundle.ledger] == done
    ended = slim(plan(tmp_path / "other", passes=passes), tmp_path / "work", begun)
    assert [entry.name for entry in ended.ledger] == [*passes]


@pytest.mark.parametrize(
    ("known", "unpacked_bytes", "memory", "ahead", "asked"),
    [
        (True, 1 << 40, 1 << 10, ["prune"], []),
        (False, 1 << 10, 1 << 40, ["prune"], ["ahead"]),
        # what takes memory waits until the model is no longer asked
        (False, 1 << 40, 1 << 40, [], ["later"]),
        (False, 0, 1 << 10, [], ["later"]),
    ],
)
def test_slimming_begins_once_the_types_of_skops_are_known(
    tmp_path: Path,
    installed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    *,
    known: bool,
    unpacked_bytes: int,
    memory: int,
    ahead: list[str],
    asked: list[str],
) -> None:
    installed["numpy/core.so"] = tiny_elf.library()
    times: list[str] = []
    now = "ahead"

    def list_types(bundle: Bundle, _: BuildPlan) -> Bundle:
        times.append(now)
        return bundle

    def recall_types(bundle: Bundle, _: BuildPlan) -> Bundle | None:
        return bundle if known else None

    monkeypatch.setattr(sandbox, "machine_memory_bytes", lambda: memory)
    monkeypatch.setattr("packager.pipeline.slim.list_trusted_types", list_types)
    monkeypatch.setattr("packager.pipeline.slim.recall_trusted_types", recall_types)
    monkeypatch.setattr("packager.pipeline.slim.measure_unpacked", lambda *_: unpacked_bytes)
    build = plan(tmp_path, passes=("prune",))
    loader = replace(build.loader, options={"file": "model.skops", "format": "skops"})
    build = replace(build, loader=loader)

    begun = begin_slimming(build, tmp_path / "work")
    now = "later"
    assert [entry.name for entry in begun.bundle.ledger] == ahead
    assert [entry.name for entry in slim(build, tmp_path / "work", begun).ledger] == ["prune"]
    assert times == asked


def test_slimming_begins_beside_small_models_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = plan(tmp_path)
    assert leaves_memory(build)
    (build.model.root / "large").write_bytes(bytes(6_000))
    monkeypatch.setattr(sandbox, "machine_memory_bytes", lambda: 100_000)
    assert not leaves_memory(build)


def test_no_pass_that_runs_ahead_follows_one_that_needs_answers() -> None:
    """`trace` and what goes by it come last, so that what was begun is a beginning."""
    names = [*PASSES]
    assert {*names[: names.index("trace")]} == {
        *("weights", "libraries", "prune", "compact", "bytecode")
    }


TEXT = (
    b"\x80\x04cpandas.arrays\nArrowStringArray\n)\x81}(\x8c\x09_pa_arraycpyarrow.lib\n_restore_array\n"
    b"((cpyarrow.lib\ntype_for_alias\n\x8c\x06string\x85RK\x01K\x00K\x00]("
    b"Ncpyarrow.lib\npy_buffer\nC\x08\0\0\0\0\1\0\0\0\x85Rcpyarrow.lib\npy_buffer\nC\x01a\x85Re]Ntt"
    b"R\x8c\x06_dtypecpandas\nStringDtype\n\x8c\x07pyarrowcpandas\nNA\n\x86Rub."
)
"""A pickle of pandas' text in pyarrow, of the one text `a`."""


def _plan_with_text(tmp_path: Path) -> BuildPlan:
    found = plan(tmp_path)
    (found.model.root / "table.pkl").write_bytes(TEXT)
    rewritten = rewrite_into(found.model.root, ["table.pkl"], tmp_path / "beforehand")
    return replace(found, rewritten=rewritten)


def test_text_ships_as_the_plan_has_it(tmp_path: Path, installed: dict[str, bytes]) -> None:
    bundle = slim(_plan_with_text(tmp_path), tmp_path / "work")
    shipped = (bundle.root / "model" / "table.pkl").read_bytes()
    assert b"pyarrow" not in shipped
    assert b"StringArray" in shipped
    (record,) = (file for file in bundle.files if file.path.name == "table.pkl")
    assert record.sha256 == hashlib.sha256(shipped).hexdigest()
    assert (tmp_path / "logged" / "table.pkl").read_bytes() == TEXT


@pytest.mark.parametrize(
    ("content", "said"),
    [(TEXT.replace(b"\x01a", b"\x01b"), "changed while"), (TEXT[:90], "table.pkl: ")],
)
def test_text_that_changed_since_the_plan_is_refused(
    tmp_path: Path, installed: dict[str, bytes], content: bytes, said: str
) -> None:
    found = _plan_with_text(tmp_path)
    (found.model.root / "table.pkl").write_bytes(content)
    with pytest.raises(ModelFormatError, match=said):
        slim(found, tmp_path / "work")

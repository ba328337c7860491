"""Which distributions are left out, over made-up trees and traces."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path, PurePosixPath

import pytest

from packager.pipeline.slim import unused_distributions
from packager.pipeline.slim.stage import _tops
from packager.system import file_tree
from packager.types import Bundle, Trace
from tests import fake_plan, tiny_elf


def trace(*opened: str) -> Trace:
    return fake_plan.trace(
        init=("used",),
        files={"used": PurePosixPath("used/__init__.py")},
        opened=tuple(PurePosixPath(path) for path in opened),
    )


def distribution(name: str, code: bytes = b"", requires: str = "") -> dict[str, bytes]:
    info = f"{name}-1.0.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    return {
        f"{name}/__init__.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}".encode(),
        f"{info}/RECORD": f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n".encode(),
    }


def done(
    root: Path,
    *made: dict[str, bytes],
    keep: tuple[str, ...] = (),
    seen: Trace | None = None,
    named: frozenset[str] = frozenset(),
    spared: frozenset[str] = frozenset(),
) -> Bundle:
    files: dict[str, bytes] = {"model/MLmodel": b"", "handlers/x.py": b""}
    for each in made:
        files |= each
    tiny_elf.write(root, files)
    bundle = Bundle(
        root=root,
        files=tuple(file_tree.records(root)),
        tops=_tops(root),
        trace=trace() if seen is None else seen,
    )
    why = "code/mine.py:3 imports what only running it tells"
    plan = fake_plan.plan(keep=keep, named=named, spared=spared, spared_for=why)
    return unused_distributions.PASS.apply(bundle, plan)


def left(bundle: Bundle) -> set[str]:
    return {path.parts[0] for path in file_tree.walk(bundle.root)} - {"model", "handlers"}


def test_what_nobody_touches_requires_or_names_goes_whole(tmp_path: Path) -> None:
    bundle = done(tmp_path, distribution("used"), distribution("seaborn"))
    # importlib.metadata answers as it did
    assert left(bundle) == {"used", "used-1.0.dist-info", "seaborn-1.0.dist-info"}
    assert {removal.path.parts[0] for removal in bundle.removed} == {"seaborn"}
    assert bundle.ledger[-1].proof.startswith("seaborn: not touched")


def test_what_went_is_told_of_as_before(tmp_path: Path) -> None:
    done(tmp_path, distribution("used"), distribution("seaborn"))
    (found,) = importlib.metadata.distributions(name="seaborn", path=[str(tmp_path)])
    assert found.version == "1.0"
    assert found.read_text("top_level.txt") == "seaborn\n"


def test_what_only_such_a_one_required_goes_with_it(tmp_path: Path) -> None:
    seaborn = distribution("seaborn", b"import pyplot", requires="pyplot>=3; python_version>'3'")
    bundle = done(tmp_path, distribution("used"), seaborn, distribution("pyplot"))
    assert {top for top in left(bundle) if "." not in top} == {"used"}


@pytest.mark.parametrize(
    "used",
    [
        distribution("used", requires="maybe"),
        distribution("used", b"def f():\n    from maybe.x import y\n"),
        distribution("used", b"import os, maybe\n"),
        distribution("used", b"import_module('maybe.x')\n"),
        {**distribution("used"), "model/code/mine.py": b"def f():\n    import maybe\n"},
        {**distribution("used"), "model/python_model.pkl": b"\x80\x05\x8c\x05maybe\x94"},
        {**distribution("used"), "maybe/extra.py": b"", "other.py": b"name = 'maybe'\n"},
    ],
    ids=[
        "required",
        "imported late",
        "second of two",
        "by its name",
        "by the model",
        "by a pickle",
        "unowned",
    ],
)
def test_what_something_may_come_to_need_stays(tmp_path: Path, used: dict[str, bytes]) -> None:
    bundle = done(tmp_path, used, distribution("maybe"))
    assert "maybe" in left(bundle)
    assert "1 more were not touched" in bundle.ledger[-1].proof


def test_each_module_that_one_line_imports_stays(tmp_path: Path) -> None:
    used = distribution("used", b"def f():\n    import first, second.inner as x\n")
    bundle = done(tmp_path, used, distribution("first"), distribution("second"))
    assert {"first", "second"} <= left(bundle)


def test_a_touched_file_keeps_its_distribution(tmp_path: Path) -> None:
    seen = trace("seaborn-1.0.dist-info/METADATA")
    bundle = done(tmp_path, distribution("used"), distribution("seaborn"), seen=seen)
    assert "seaborn" in left(bundle)
    assert bundle.ledger[-1].proof == "everything installed was touched"


def test_a_keep_rule_keeps_its_distribution(tmp_path: Path) -> None:
    bundle = done(tmp_path, distribution("used"), distribution("seaborn"), keep=("seaborn",))
    assert "seaborn" in left(bundle)


def test_what_the_model_s_files_or_an_option_name_stays_with_what_it_requires(
    tmp_path: Path,
) -> None:
    trees = (distribution("used"), distribution("seaborn", requires="anyio"), distribution("anyio"))
    named = frozenset({"seaborn"})
    assert {"seaborn", "anyio"} <= left(done(tmp_path, *trees, named=named))


def test_what_code_may_import_by_a_computed_name_stays_with_what_it_requires(
    tmp_path: Path,
) -> None:
    seaborn = distribution("seaborn", b"import pyplot", requires="pyplot>=3")
    trees = (distribution("used"), seaborn, distribution("pyplot"), distribution("other"))
    bundle = done(tmp_path, *trees, spared=frozenset({"used", "seaborn"}))
    assert {top for top in left(bundle) if "." not in top} == {"used", "seaborn", "pyplot"}
    assert bundle.spared.keys() == {"seaborn", "pyplot"}
    assert bundle.spared["pyplot"] == sum(map(len, distribution("pyplot").values()))
    proof = bundle.ledger[-1].proof
    assert "other: not touched, and neither" in proof
    assert "pyplot, seaborn: not touched, and kept because code/mine.py:3 imports what" in proof
    assert "more were not touched" not in proof


def test_what_would_stay_anyway_is_not_said_to_be_spared(tmp_path: Path) -> None:
    used = distribution("used", requires="maybe")
    bundle = done(tmp_path, used, distribution("maybe"), spared=frozenset({"used", "maybe"}))
    assert not bundle.spared
    assert "1 more were not touched" in bundle.ledger[-1].proof


def test_what_the_runtime_carries_goes_though_the_plan_spares_it(tmp_path: Path) -> None:
    bundle = done(tmp_path, distribution("boto3"), spared=frozenset({"boto3"}))
    assert "boto3" not in left(bundle)
    assert not bundle.spared


def test_what_the_runtime_carries_goes_though_the_model_s_files_name_it(tmp_path: Path) -> None:
    bundle = done(tmp_path, distribution("boto3"), named=frozenset({"boto3"}))
    assert "boto3" not in left(bundle)


def test_a_shared_top_level_is_nobodys_to_take(tmp_path: Path) -> None:
    one, two = distribution("one"), distribution("two")
    for made, name in ((one, "one"), (two, "two")):
        made[f"{name}-1.0.dist-info/RECORD"] += f"acme/{name}.py,,\n".encode()
        made[f"acme/{name}.py"] = b""
    bundle = done(tmp_path, distribution("used"), one, two)
    assert {"one", "two", "acme"} <= left(bundle)


def test_the_runtimes_own_copy_serves_where_it_was_not_touched(tmp_path: Path) -> None:
    used = distribution("used", b"def f():\n    import boto3\n")
    bundle = done(tmp_path / "named", used, distribution("boto3"))
    assert left(bundle) == {"used", "used-1.0.dist-info"}
    assert "boto3: the runtime carries it" in bundle.ledger[-1].proof
    used = distribution("used", requires="boto3")
    assert "boto3" in left(done(tmp_path / "required", used, distribution("boto3")))


def test_without_a_trace_nothing_goes(tmp_path: Path) -> None:
    files = {**distribution("used"), **distribution("seaborn")}
    tiny_elf.write(tmp_path, files)
    bundle = Bundle(
        root=tmp_path, files=tuple(file_tree.records(tmp_path)), untraced="it was arm64"
    )
    after = unused_distributions.PASS.apply(bundle, fake_plan.plan())
    assert "seaborn" in left(after)
    assert after.ledger[-1].proof == "nothing is known to be idle: it was arm64"

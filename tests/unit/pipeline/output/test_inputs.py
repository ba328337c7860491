"""The digest of what an artifact hangs on: each of these changes it, and nothing else does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from packager.environments import virtual_environments
from packager.pipeline.output import inputs
from packager.system import cache, resources, sandbox
from packager.types import (
    BuildPlan,
    Engine,
    FileRecord,
    Frame,
    Interpreter,
    Lock,
    Requirements,
    SavedExample,
    list_settings,
)
from tests import fake_plan

LINES: Final = Requirements(lines=("scikit-learn==1.8.0",))


@pytest.fixture(autouse=True)
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    program = tmp_path / "python3.13"
    program.write_bytes(b"an interpreter")
    found = Interpreter(path=program, version="3.13.0", found_by="PATH")
    monkeypatch.setattr(virtual_environments, "interpreter_of", lambda *_: (found, ""))
    return found


def _plan(python: Interpreter, **changes: Any) -> BuildPlan:
    return fake_plan.plan(interpreter=python, **changes)


def _request(python: Interpreter, **settings: Any) -> str:
    return inputs.make_key([_plan(python, request=fake_plan.request(**settings))])


MODELS: Final[dict[str, dict[str, Any]]] = {
    "digest": {"digest": "cd" * 32},
    "version": {"version": "8"},
    "alias": {"aliases": ("champion", "prod")},
    "run": {"run_id": "another"},
    "example": {"example": SavedExample(body=b"{}", content_type="x", source="y")},
    "python": {"python_version": "3.12.1"},
    "requirements": {"requirements": Requirements(lines=("scikit-learn==1.8.1",))},
    "hashes": {"requirements": replace(LINES, hashes={"scikit-learn==1.8.0": ("sha256:0",)})},
    "files": {"files": ()},
    "signature": {"signature": None},
    "notes": {"notes": ("something else",)},
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_another_model_is_another_artifact(python: Interpreter, name: str) -> None:
    model = fake_plan.model(**MODELS[name])

    assert inputs.make_key([_plan(python, model=model)]) != inputs.make_key([_plan(python)])


PLANS: Final[dict[str, dict[str, Any]]] = {
    "lock": {"lock": Lock(text="another", packages=())},
    "frame": {"frame": Frame.NUMPY},
    "runtime": {"runtime": fake_plan.OLD_RUNTIME},
    "limits": {
        "target": replace(fake_plan.TARGET, limits=replace(fake_plan.LIMITS, unzipped_bytes=1))
    },
    "passes": {"passes": ()},
    "reasons": {"reasons": ()},
    "named": {"named": frozenset({"numpy"})},
    "kept": {"kept_for": {"numpy": "--keep-package names it"}},
}


@pytest.mark.parametrize("name", sorted(PLANS))
def test_another_plan_is_another_artifact(python: Interpreter, name: str) -> None:
    assert inputs.make_key([_plan(python, **PLANS[name])]) != inputs.make_key([_plan(python)])


def test_the_attempts_that_may_follow_count(python: Interpreter) -> None:
    plan = _plan(python)

    assert inputs.make_key([plan, _plan(python, frame=Frame.NUMPY)]) != inputs.make_key([plan])


_OTHERS: Final = (7, "other", True, False, ("other",))
"""One of them is a value of the setting's type, and not its own."""


def _list_changed(python: Interpreter, name: str, given: Iterable[object]) -> Iterator[str]:
    """Yield the request with each of the values that the setting takes."""
    for each in given:
        with contextlib.suppress(TypeError, ValueError):
            yield _request(python, **{name: each})


def test_each_setting_counts_but_where_it_is_written_and_asked(
    python: Interpreter, tmp_path: Path
) -> None:
    (file := tmp_path / "rows.csv").write_text("x\n1\n")
    (facts := tmp_path / "facts").mkdir()
    others = {
        "example": file, "baseline": file, "facts_dir": facts, "engine": Engine.ONNX,
        "passes": ("prune",),
        "keep": ("*",), "keep_packages": ("six",), "events": ("sqs",), "device": "cuda",
        "architecture": "arm64", "compute": "managed-instances", "rollout": "canary",
        "emit": ("cdk",), "weights": "mount", "auth": "jwt", "audit_severity": "low",
        "requirements": "declared", "front": "none", "tier": "stub", "optimize": 2,
    }  # fmt: skip
    plain = _request(python)
    same = {"tracking_uri": "sqlite:///a", "registry_uri": "b", "out_dir": Path("x")}
    same |= {"reuse": False, "refresh": True, "refresh_audit": True, "arm64_python": Path("x")}

    for name, _, _ in list_settings():
        if name in same:
            assert _request(python, **{name: same[name]}) == plain, name
        elif name == "trace":
            assert _request(python, trace=False) != plain
        elif name != "model_uri":
            given = (others[name],) if name in others else _OTHERS
            assert any(each != plain for each in _list_changed(python, name, given)), name


@pytest.mark.parametrize("name", ["example", "baseline", "facts_dir"])
def test_files_that_a_request_names_count_by_their_content(
    python: Interpreter, tmp_path: Path, name: str
) -> None:
    (given := tmp_path / "given").mkdir()
    file = given / "quotas.toml"
    file.write_text("a = 1\n")
    path = given if name == "facts_dir" else file
    before = _request(python, **{name: path})
    file.write_text("a = 2\n")

    assert _request(python, **{name: path}) != before


def test_the_interpreter_counts_by_its_content(python: Interpreter) -> None:
    before = inputs.make_key([_plan(python)])
    python.path.write_bytes(b"another build of it")

    assert inputs.make_key([_plan(python)]) != before


@pytest.mark.parametrize(
    "name",
    [
        "OMP_NUM_THREADS",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION",
        "PACKAGER_SANDBOX",
        "TZ",
        "UV_INDEX",
    ],
)
def test_variables_that_reach_a_build_count(
    python: Interpreter, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    before = inputs.make_key([_plan(python)])
    monkeypatch.setenv(name, "1")

    assert inputs.make_key([_plan(python)]) != before


def test_places_and_other_variables_do_not_count(
    python: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inputs.make_key([_plan(python)])
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    monkeypatch.setenv("EDITOR", "vi")
    model = fake_plan.model(root=tmp_path / "elsewhere")

    assert inputs.make_key([_plan(python, model=model)]) == before


@pytest.mark.parametrize("folder", ["PACKAGE", "TEMPLATES", "INFRA"])
def test_the_program_counts_by_its_files(
    python: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(resources, folder, tmp_path / "own")
    keys = []
    for text in ("one", "other"):
        (tmp_path / "own" / "x.j2").write_text(text)
        cache.digest_program.cache_clear()
        keys.append(inputs.make_key([_plan(python)]))
    cache.digest_program.cache_clear()

    assert keys[0] != keys[1]


def test_the_strength_of_the_sandbox_counts(
    python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []
    for level in ("", "landlock"):
        monkeypatch.setattr(sandbox, "weak_level", lambda level=level: level)
        keys.append(inputs.make_key([_plan(python)]))

    assert keys[0] != keys[1]


def test_what_nothing_is_known_of_is_refused(python: Interpreter) -> None:
    @dataclass(frozen=True)
    class Odd:
        value: object

    with pytest.raises(TypeError, match="no digest"):
        inputs._describe(Odd(object()))


def test_mappings_and_sets_count_in_no_order(python: Interpreter) -> None:
    file = FileRecord(fake_plan.model().files[0].path, "ef" * 32, 1)

    assert inputs._describe({"a": {"x", "y"}, "b": file}) == inputs._describe(
        {"b": file, "a": {"y", "x"}}
    )

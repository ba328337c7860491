"""Whatever a model's description holds, reading it ends in a value or in a PackagerError."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packager.errors import PackagerError
from packager.models import flavors
from packager.models.model_documents import read_yaml
from packager.models.registry import MlflowRegistry
from packager.pipeline.resolve import resolve
from packager.types import make_request
from tests import examples, models

WRONG: tuple[Any, ...] = (
    *(None, 5, -1, 1.5, True, "", "x", "../x", "/etc/passwd", "a\0b", "x" * 5_000),
    *([], [5], [None], [[]], ["x", {}], {}, {"x": 1}, {5: None}, {"pip": 5}, {"path": []}),
)
FIELDS = {
    "conda.yaml": {"name": "e", "channels": [], "dependencies": ["python=3.12", {"pip": ["a"]}]},
    "python_env.yaml": {"python": "3.12.1", "build_dependencies": ["pip"], "dependencies": ["a"]},
}
SIGNATURE = {
    "inputs": [{"type": "double", "name": "a", "required": True}],
    "outputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}],
    "params": [{"name": "p", "type": "object", "default": {}, "shape": None, "properties": {}}],
}


DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def _read(folder: Path, work: Path) -> None:
    """As far as a plan reads the description; raises PackagerError alone."""
    (work / "model").mkdir(parents=True)
    request = make_request(model_uri=str(folder), out_dir=work / "out")
    model = resolve(request, MlflowRegistry(), work / "model")
    flavor = flavors.choose(model)
    for tier in flavor.tiers:
        for frame in flavor.frames(model):
            flavor.read(model, tier, frame)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every part of a value, itself left out."""
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return
    for key, inner in items:
        yield (*at, key)
        yield from _paths(inner, (*at, key))


def _write_yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=DUMPER)
    return text


def _replaced(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    found = part = copy.deepcopy(value)
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = wrong
    return found


@pytest.mark.few(2)
@pytest.mark.parametrize("name", models.names())
def test_any_field_of_mlmodel_may_be_of_any_type(name: str) -> None:
    values = read_yaml(models.folder(name) / "MLmodel")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "source"
        shutil.copytree(models.folder(name), folder)
        for number, path in enumerate(_paths(values)):
            # another for each field and model: every type comes to every common field
            wrong = WRONG[(number * 7 + len(name)) % len(WRONG)]
            text = _write_yaml(_replaced(values, path, wrong))
            (folder / "MLmodel").write_text(text, encoding="utf-8")
            _stops_well(folder, Path(place) / str(number))


def _stops_well(folder: Path, work: Path) -> None:
    with contextlib.suppress(PackagerError):
        _read(folder, work)
    shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fuzzed") / "source"
    shutil.copytree(models.folder("xgboost_booster"), place)
    (place / "requirements.txt").unlink()
    return place


@pytest.mark.few(1)
@pytest.mark.parametrize("file", FIELDS)
def test_any_field_of_an_environment_may_be_of_any_type(
    file: str, folder: Path, tmp_path: Path
) -> None:
    for other in FIELDS:
        (folder / other).unlink(missing_ok=True)
    for path in ((), *_paths(FIELDS[file])):
        for number, wrong in enumerate(WRONG):
            value = _replaced(FIELDS[file], path, wrong) if path else wrong
            (folder / file).write_text(_write_yaml(value), encoding="utf-8")
            _stops_well(folder, tmp_path / f"{len(path)}-{number}")


@pytest.mark.few(1)
@pytest.mark.parametrize("part", SIGNATURE)
def test_any_field_of_a_signature_may_be_of_any_type(
    part: str, folder: Path, tmp_path: Path
) -> None:
    values = read_yaml(models.folder("xgboost_booster") / "MLmodel")
    for path in ((), *_paths(SIGNATURE[part])):
        for number, wrong in enumerate(WRONG):
            specs = _replaced(SIGNATURE[part], path, wrong) if path else wrong
            text = specs if number % 5 == 4 else json.dumps(specs)
            changed = {**values, "signature": {**values["signature"], part: text}}
            (folder / "MLmodel").write_text(_write_yaml(changed), encoding="utf-8")
            _stops_well(folder, tmp_path / f"{len(path)}-{number}")


@settings(
    max_examples=examples.count(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    lines=st.lists(
        st.one_of(
            st.text(max_size=40),
            st.tuples(
                st.sampled_from(
                    ["-r ", "-c", "-f ", "-i ", "-e ", "--find-links=", "--hash=", "a @ ", "./"]
                ),
                st.sampled_from(
                    ["~nobody/x", "file://[", "\0", "x" * 300, "..", ".", "http://[", "a.whl"]
                ),
            ).map("".join),
        ),
        max_size=4,
    )
)
def test_any_line_may_be_in_the_requirements(
    lines: list[str], folder: Path, tmp_path: Path
) -> None:
    text = "\n".join(lines).encode("utf-8", "replace")
    source = tmp_path / "source"
    if not source.exists():
        shutil.copytree(models.folder("xgboost_booster"), source)
    (source / "requirements.txt").write_bytes(text)
    _stops_well(source, tmp_path / "work")

"""Types of a skops file: asked once for models that differ in nothing but their numbers."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handlers.manifest import Manifest
from packager.errors import ModelFormatError, UntrustedTypesError
from packager.models import registered_model
from packager.pipeline.slim.tracing.trusted_types import (
    list_trusted_types,
    measure_unpacked,
    recall_trusted_types,
)
from packager.system import process
from packager.system.file_tree import records
from packager.types import BuildPlan, Bundle, Json, LoaderSpec, Lock
from tests import fake_plan

OPTIONS: dict[str, Json] = {"file": "model.skops", "format": "skops", "trusted": ["own.Type"]}


def _schema(**changes: object) -> dict[str, Any]:
    """As skops writes it: a step with a number, an array, a generator's name, two shared ids."""
    leaf = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
    return {
        "__class__": "Pipeline",
        "__module__": "sklearn.pipeline",
        "__loader__": "ObjectNode",
        "__id__": 7,
        "content": {
            "c": {**leaf, "content": "1.5e-07", "__id__": 11},
            "copy": {**leaf, "content": "true", "__id__": 12},
            "generator": {**leaf, "content": '"MT19937"', "__id__": 13},
            "same": {**leaf, "content": "2", "__id__": 11},
            "coef": {"__loader__": "NdArrayNode", "type": "numpy", "file": "1f.npy", "__id__": 14},
            **changes,
        },
        "protocol": 3,
    }


class Audit:
    """The worker as a fake: how often it was started."""

    def __init__(self) -> None:
        self.times = 0
        self.result = process.Done(returncode=0, stdout='["own.Type"]', stderr="")

    def run(self, *_: object, **__: object) -> process.Done:
        self.times += 1
        return self.result


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    made = Audit()
    monkeypatch.setattr(registered_model, "run", made.run)
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    return made


@pytest.fixture
def ask(tmp_path: Path, audit: Audit) -> Callable[..., Bundle]:
    def list_types(
        schema: object, plan: BuildPlan | None = None, code: str = "", **options: Json
    ) -> Bundle:
        loader = LoaderSpec(loader="sklearn", options={**OPTIONS, **options})
        plan = replace(plan or fake_plan.plan(), loader=loader)
        root = fake_plan.tree(tmp_path / "tree", plan, {"model/own.py": code.encode()})
        manifest = replace(Manifest.read(root), options=dict(plan.loader.options))
        (root / "model-manifest.json").write_text(manifest.text())
        with zipfile.ZipFile(root / "model" / "model.skops", "w") as archive:
            archive.writestr(
                "schema.json", schema if isinstance(schema, str) else json.dumps(schema)
            )
        return list_trusted_types(Bundle(root=root, files=tuple(records(root))), plan)

    return list_types


OF_ANOTHER_FIT: dict[str, dict[str, object]] = {
    "number": {"c": {**_schema()["content"]["c"], "content": "-3"}},
    "file": {"coef": {**_schema()["content"]["coef"], "file": "2e.npy"}},
    "ids": {
        "c": {**_schema()["content"]["c"], "__id__": 99},
        "same": {**_schema()["content"]["same"], "__id__": 99},
    },
}
OF_ANOTHER_FORM: dict[str, dict[str, object]] = {
    "class": {"c": {**_schema()["content"]["c"], "__class__": "Odd"}},
    "more": {"more": _schema()["content"]["c"]},
    "generator": {"generator": {**_schema()["content"]["generator"], "content": '"SFC64"'}},
    "ids": {"same": {**_schema()["content"]["same"], "__id__": 14}},
    "word": {"copy": {**_schema()["content"]["copy"], "content": "1; odd.Type"}},
    "loader": {"coef": {**_schema()["content"]["coef"], "__loader__": "MethodNode"}},
    "array": {"coef": {**_schema()["content"]["coef"], "file": "2e.npz"}},
}


@pytest.mark.parametrize("name", sorted(OF_ANOTHER_FIT))
def test_another_fit_of_the_same_estimators_is_not_asked_again(
    audit: Audit, ask: Callable[..., Bundle], name: str
) -> None:
    ask(_schema())
    bundle = ask(_schema(**OF_ANOTHER_FIT[name]))

    assert audit.times == 1
    assert Manifest.read(bundle.root).options["trusted"] == ["own.Type"]


def test_types_that_were_asked_are_recalled_and_no_model_is_loaded(
    audit: Audit, ask: Callable[..., Bundle]
) -> None:
    listed = ask(_schema())
    loader = LoaderSpec(loader="sklearn", options=OPTIONS)
    plan = replace(fake_plan.plan(), loader=loader)
    path = listed.root / "model-manifest.json"
    text = path.read_text()
    manifest = Manifest.read(listed.root)
    path.write_text(replace(manifest, options=dict(OPTIONS)).text())
    unlisted = Bundle(root=listed.root, files=tuple(records(listed.root)))

    recalled = recall_trusted_types(unlisted, plan)
    assert recalled is not None
    assert (recalled.files, path.read_text()) == (listed.files, text)
    other = replace(plan, lock=Lock(text="another", packages=()))
    assert recall_trusted_types(unlisted, other) is None
    assert audit.times == 1


def test_a_skops_file_counts_as_what_it_unpacks_to(ask: Callable[..., Bundle]) -> None:
    bundle = ask(_schema())
    path = bundle.root / "model" / "model.skops"
    plan = replace(fake_plan.plan(), loader=LoaderSpec(loader="sklearn", options=OPTIONS))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.npy", bytes(100_000))
        archive.writestr("other.npy", bytes(5))
    assert path.stat().st_size < 1_000
    assert measure_unpacked(bundle, plan) == 100_005

    path.write_bytes(b"no archive")
    with pytest.raises(ModelFormatError, match="not a skops file"):
        measure_unpacked(bundle, plan)


def test_a_model_that_is_not_of_skops_has_no_types(tmp_path: Path) -> None:
    bundle = Bundle(root=tmp_path, files=())
    plan = replace(fake_plan.plan(), loader=LoaderSpec(loader="onnx", options={}))
    assert recall_trusted_types(bundle, plan) is bundle


@pytest.mark.parametrize("name", sorted(OF_ANOTHER_FORM))
def test_another_form_is_asked(audit: Audit, ask: Callable[..., Bundle], name: str) -> None:
    ask(_schema())
    ask(_schema(**OF_ANOTHER_FORM[name]))

    assert audit.times == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": fake_plan.plan(lock=Lock(text="another", packages=()))},
        {"code": "class Own: ..."},
        {"trusted": ["own.Type", "other.Type"]},
    ],
    ids=["lock", "code", "trusted"],
)
def test_other_packages_code_or_trust_are_asked(
    audit: Audit, ask: Callable[..., Bundle], changes: dict[str, Any]
) -> None:
    ask(_schema())
    ask(_schema(), **changes)

    assert audit.times == 2


def test_a_refusal_is_not_kept(audit: Audit, ask: Callable[..., Bundle]) -> None:
    audit.result = process.Done(returncode=3, stdout="", stderr="untrusted types in x: odd.Type")
    for _ in range(2):
        with pytest.raises(UntrustedTypesError, match=r"odd\.Type"):
            ask(_schema())

    assert audit.times == 2


@pytest.mark.parametrize("schema", ["{", "[" * 100_000, "[" * 100_000 + "]" * 100_000])
def test_a_schema_that_cannot_be_read_is_no_skops_file(
    audit: Audit, ask: Callable[..., Bundle], schema: str
) -> None:
    with pytest.raises(ModelFormatError, match="skops file"):
        ask(schema)
    assert audit.times == 0

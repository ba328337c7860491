"""A real plan, put together by hand: what the middle stages are given, without the first two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from packager import targets
from packager.environments import interpreters, lockfile
from packager.models import flavors
from packager.models.model_documents import read_yaml
from packager.pipeline.plan import _locked_plans
from packager.system import file_tree
from packager.types import (
    BuildPlan,
    Frame,
    Json,
    Requirements,
    ResolvedModel,
    SavedExample,
    Tier,
    make_request,
)
from tests import models


def model(name: str) -> ResolvedModel:
    """The logged model tests/models/made/`name`, read plainly."""
    root = models.folder(name)
    described = read_yaml(root / "MLmodel")
    lines = (root / "requirements.txt").read_text(encoding="utf-8").split("\n")
    example = root / "serving_input_example.json"
    files = tuple(file_tree.records(root))
    return ResolvedModel(
        uri=str(root),
        name=name,
        version="1",
        mlflow_version=described["mlflow_version"],
        python_version=described["flavors"]["python_function"]["python_version"],
        flavors=described["flavors"],
        signature=_signature(described.get("signature")),
        signature_from_type_hints=described.get("is_signature_from_type_hint", False),
        example=SavedExample(
            body=example.read_bytes(), content_type="application/json", source=example.name
        )
        if example.is_file()
        else None,
        requirements=Requirements(lines=tuple(line for line in lines if line)),
        root=root,
        files=files,
        digest=file_tree.digest(files),
    )


def _signature(described: dict[str, str | None] | None) -> dict[str, Json] | None:
    if described is None:
        return None
    return {
        key: None if described.get(key) is None else json.loads(described[key] or "null")
        for key in ("inputs", "outputs", "params")
    }


def plan(
    name: str,
    *,
    flavor: str = "sklearn",
    tier: Tier = Tier.NATIVE,
    frame: Frame = Frame.NUMPY,
    minor: str = "3.13",
    target: str = "aws-lambda",
    **changes: Any,
) -> BuildPlan:
    """The plan for one tier and frame; `changes` are of the request."""
    read = model(name)
    request = make_request(model_uri=read.uri, out_dir=Path("out"), target=target, **changes)
    loaded = targets.load(target)
    runtime = next(each for each in loaded.runtimes if each.python_minor == minor)
    interpreter = interpreters.find(minor)
    loader = flavors.FLAVORS[flavor].read(read, tier, frame)
    pins = {line.partition("==")[0]: line for line in read.requirements.lines}
    wanted = ["numpy", *loader.requires, *loaded.program.requires]
    lock = lockfile.lock(
        lockfile.Wanted(
            requirements=tuple(sorted({pins.get(each, each) for each in wanted})),
            excluded=("pandas",) if frame is Frame.NUMPY else (),
            interpreter=interpreter,
            platform=runtime.platforms[request.target.architecture],
        )
    )
    return BuildPlan(
        request=request,
        model=read,
        flavor=flavor,
        tier=tier,
        frame=frame,
        loader=loader,
        target=loaded,
        runtime=runtime,
        interpreter=interpreter,
        lock=lock,
        passes=_locked_plans._passes(request, loaded, flavor),
        keep=request.slimming.keep,
    )

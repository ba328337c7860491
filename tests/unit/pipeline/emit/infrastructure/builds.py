"""Artifacts that together have every part of the template, with Terraform's and CDK's files."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import hcl2

from packager import targets
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import (
    Compute,
    FileRecord,
    Front,
    HttpAuth,
    InfrastructureTool,
    ReplaySample,
    Rollout,
    Weights,
)
from tests import fake_plan, sam

HOSTILE: Final = "${var.x} %{if true} \"q\" 'a' \\n {{resolve:ssm:x}} ü"
_EVERYTHING: Final = {"output_to": "s3://bucket/p", "batch": True, "once": True}
_SOURCES: Final = targets.load("aws-lambda").events.sources
BUILDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "http-api": {},
    "http-api with jwt and a canary": {"auth": HttpAuth.JWT, "rollout": Rollout.CANARY},
    "rest-api with keys": {"front": Front.REST_API, "auth": HttpAuth.API_KEY},
    "function-url": {"front": Front.FUNCTION_URL, "auth": HttpAuth.NONE},
    "every source": {"front": Front.NONE, "events": _SOURCES, **_EVERYTHING},
    **{
        name: {"front": Front.NONE, "events": (name,), "output_to": "s3://bucket/p"}
        for name in _SOURCES
    },
    **{
        to: {"front": Front.NONE, "events": ("sqs",), "output_to": to}
        for to in ("sqs://queue", "eventbridge://bus", "dynamodb://table", "firehose://stream")
    },
    "image with a rollout": {"target": "aws-lambda-image", "rollout": Rollout.LINEAR},
    "hostile names": {"front": Front.NONE},
    "weights fetched": {"weights": Weights.FETCH, "rollout": Rollout.CANARY},
    "weights mounted": {
        "weights": Weights.MOUNT,
        "front": Front.REST_API,
        "events": ("sqs",),
        "output_to": "s3://bucket/p",
    },
    "managed instances": {
        "compute": Compute.MANAGED_INSTANCES,
        "front": Front.FUNCTION_URL,
        "auth": HttpAuth.NONE,
    },
    "weights fetched by managed instances": {
        "compute": Compute.MANAGED_INSTANCES,
        "weights": Weights.FETCH,
        "front": Front.NONE,
    },
    "an image on managed instances": {
        "target": "aws-lambda-image",
        "compute": Compute.MANAGED_INSTANCES,
        "rollout": Rollout.LINEAR,
        "events": ("sqs",),
        "output_to": "s3://bucket/p",
    },
}
PARSED: Final = (
    "http-api with jwt and a canary",
    "rest-api with keys",
    "function-url",
    "every source",
    "image with a rollout",
    "hostile names",
    "weights fetched",
    "weights mounted",
    "managed instances",
    "an image on managed instances",
)
"""Builds whose files are parsed, which takes a second each."""
_SAMPLE: Final = ReplaySample(
    name="one", rows=1, request='{"inputs": {"x": [1]}}', answer='{"predictions": [1]}'
)


def emit_build(base: Path, name: str, *, archive_bytes: int | None = None) -> Path:
    """Emit one of the builds into `base/out`; `archive_bytes` is the size that its zip has."""
    settings = dict(BUILDS[name])
    request = fake_plan.request(**settings, emit=tuple(InfrastructureTool))
    target = targets.load_for(request.target)
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    changes: dict[str, Any] = {}
    if name == "hostile names":
        changes["model"] = fake_plan.model(HOSTILE)
    plan = fake_plan.plan(request=request, target=target, runtime=runtime, **changes)
    tree = fake_plan.tree(base / "tree", plan, {"drift-baseline.json": b"{}"})
    verified = replace(fake_plan.verified(tree), samples=(_SAMPLE,))
    out = base / "out"
    out.mkdir(parents=True)
    artifact = package(verified, plan, out)
    if "weights" in settings:
        listed = FileRecord(PurePosixPath("model.pkl"), fake_plan.DIGEST, 700 << 20)
        bundle = replace(verified.bundle, weights=(listed,), weights_root=base)
        verified = replace(verified, bundle=bundle)
    if archive_bytes is not None:
        artifact = replace(artifact, size_bytes=archive_bytes)
    emit(artifact, verified, plan, out)
    return out


def read_sam(out: Path) -> dict[str, Any]:
    """Return the template as the cloud makes it of SAM's, without a digest in the APIs' names."""
    found: dict[str, Any] = json.loads(_transform((out / "template.yaml").read_text("utf-8")))
    return found


@functools.lru_cache(64)
def _transform(text: str) -> str:
    template = sam.parse(text)
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            if resource["Properties"].get("PackageType") == "Image":
                resource["Properties"]["ImageUri"] = "123456789012.dkr.ecr.x.amazonaws.com/a:b"
            else:
                resource["Properties"]["CodeUri"] = f"s3://bucket/{name}.zip"
    return _drop_digests(sam.transformed(template))


def _drop_digests(template: dict[str, Any]) -> str:
    text = json.dumps(template)
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::ApiGateway::Deployment":
            text = text.replace(name, name[:-10])
    return text


class Configuration:
    """The blocks of a folder of Terraform's, by their kinds and labels."""

    def __init__(self, folder: Path) -> None:
        self.texts: Final = {each.name: each.read_text("utf-8") for each in folder.glob("*.tf")}

    def find_texts(self, kind: str) -> dict[tuple[str, ...], str]:
        """Return the text of each block by its labels."""
        whole = "\n".join(self.texts.values())
        pattern = rf'^{kind}((?: "[^"]+")*) \{{\n(.*?)^\}}$'
        return {
            tuple(found[1].replace('"', "").split()): found[2]
            for found in re.finditer(pattern, whole, re.MULTILINE | re.DOTALL)
        }

    def find_blocks(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return blocks of one label (`variable`, `output`) by it."""
        return {
            name: body
            for each in map(_parse, self.texts.values())
            for one in each.get(kind, [])
            for name, body in one.items()
        }

    @property
    def resources(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {
            (kind, name): body
            for one in _parse(self.texts["main.tf"])["resource"]
            for kind, named in one.items()
            for name, body in named.items()
        }

    @property
    def locals(self) -> dict[str, str]:
        (found,) = _parse(self.texts["main.tf"])["locals"]
        return dict(found)


@functools.lru_cache(None)
def _parse(text: str) -> Any:
    return _unquote(hcl2.loads(text))


def _unquote(value: Any) -> Any:
    """Take off what the parser leaves on: quotes round strings, and marks of its own."""
    if isinstance(value, dict):
        return {
            _unquote(name): _unquote(item)
            for name, item in value.items()
            if not name.startswith("__")
        }
    if isinstance(value, list):
        return [_unquote(item) for item in value]
    if isinstance(value, str) and value.startswith('"'):
        return value[1:-1]
    return value


def load_schema(version: str) -> dict[str, Any]:
    """Return what a version of the provider takes: see tools/terraform_schema.py."""
    path = Path(__file__).parent / f"provider_schema_{version}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found

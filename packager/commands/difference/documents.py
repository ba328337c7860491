"""Differences between what two artifacts hold, by their documents and their files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.utils import canonicalize_name

from handlers.manifest import Manifest
from packager import targets
from packager.commands import artifact
from packager.commands.artifact.description import SBOM, read_json
from packager.commands.artifact.report_values import read_count
from packager.commands.difference.result import (
    Amounts,
    ChangedFile,
    ChangedSize,
    ChangedSpec,
    ChangedValue,
)
from packager.errors import IntegrityError
from packager.pipeline import sizes
from packager.system import atomic_output
from packager.system.file_tree import records
from packager.types import Json, Target

_PARTS: Final = ("inputs", "outputs", "params")
_CODE: Final = frozenset({".py", ".pyc", ".pyd", ".so", ".ipynb"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """An artifact that is compared, as its own documents describe it."""

    given: str
    """Folder or model's address, as it was named."""
    made: str
    built: artifact.Built
    target: Target
    manifest: Manifest
    tree: Path
    """The part of the function that Python imports from."""
    zipped_bytes: int
    unzipped_bytes: int
    packages: Mapping[str, str]
    signature: Mapping[str, Sequence[Mapping[str, Json]]]


def read_compared(folder: Path, given: str, made: str) -> Compared:
    """Raises ModelFormatError for what is no artifact, IntegrityError for a damaged one."""
    built = artifact.read(folder)
    target = targets.load(built.target)
    tree = built.folder / target.tree.home
    manifest = artifact.read_manifest(tree)
    try:
        written = read_json(built.home / atomic_output.MARKER)["artifact"]
        return Compared(
            given=given,
            made=made,
            built=built,
            target=target,
            manifest=manifest,
            tree=tree,
            zipped_bytes=read_count(written["size_bytes"]),
            unzipped_bytes=read_count(written["unzipped_bytes"]),
            packages=_read_packages(read_json(built.home / SBOM)),
            signature=_read_signature(manifest),
        )
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise IntegrityError(
            f"{folder} is not an artifact that can be read: its documents do not have what a build "
            f"writes ({error!r}). Build it again."
        ) from error


def _read_packages(bill: Mapping[str, Json]) -> dict[str, str]:
    return {
        str(canonicalize_name(each["name"])): str(each["version"])
        for each in bill["components"]
        if str(each.get("purl", "")).startswith("pkg:pypi/")
    }


def _read_signature(manifest: Manifest) -> dict[str, list[Mapping[str, Json]]]:
    """Raises TypeError for a signature of another form than a build writes."""
    found: dict[str, list[Mapping[str, Json]]] = {}
    for part in _PARTS:
        specs = (manifest.signature or {}).get(part) or []
        if not isinstance(specs, list) or not all(isinstance(each, dict) for each in specs):
            raise TypeError(f"the signature's {part} are no list of specs")
        found[part] = specs
    return found


def make_amounts(before: float, after: float) -> Amounts:
    return Amounts(a=before, b=after, growth=(after - before) / before if before else None)


def compare_values(
    before: Mapping[str, str | None], after: Mapping[str, str | None]
) -> Iterator[ChangedValue]:
    """Yield what one has and the other has not, or has otherwise."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield ChangedValue(name=name, a=before.get(name), b=after.get(name))


def list_facts(side: Compared) -> dict[str, str | None]:
    """Return what its manifest and report say of how it runs."""
    manifest = side.manifest
    return {
        "architecture": str(side.built.architecture),
        "engine": manifest.engine,
        "events": ", ".join(manifest.events) or None,
        "flavor": manifest.flavor,
        "frame": manifest.frame,
        "memory": f"{side.built.memory_mb} MB",
        "mlflow": manifest.mlflow_version,
        "output": manifest.output,
        "packager": side.built.packager,
        "python": manifest.python,
        "target": side.target.name,
        "threads": None if manifest.threads is None else str(manifest.threads),
        "tier": manifest.tier,
    }


def compare_package_sizes(before: Compared, after: Compared) -> list[ChangedSize]:
    """Bytes by top-level folder of the function, the largest change first."""
    one, other = (dict(_measure_packages(each)) for each in (before, after))
    rows = [
        ChangedSize(name=name, a=one.get(name, 0), b=other.get(name, 0))
        for name in sorted(one.keys() | other.keys())
        if one.get(name, 0) != other.get(name, 0)
    ]
    return sorted(rows, key=lambda row: -abs(row["b"] - row["a"]))


def _measure_packages(side: Compared) -> list[tuple[str, int]]:
    return sizes.by_package((each.path, each.size_bytes) for each in records(side.tree))


def compare_files(before: Compared, after: Compared) -> list[ChangedFile]:
    """The model's own files that differ: what was trained, and the author's code."""
    one, other = map(_digest_model, (before, after))
    return [
        ChangedFile(
            name=name,
            change="added" if name not in one else "removed" if name not in other else "changed",
            is_code=PurePosixPath(name).suffix in _CODE,
        )
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


def _digest_model(side: Compared) -> dict[str, str]:
    place = PurePosixPath(side.manifest.model_path)
    return {
        each.path.relative_to(place).as_posix(): each.sha256
        for each in records(side.tree)
        if each.path.is_relative_to(place)
    }


def compare_signatures(before: Compared, after: Compared) -> list[ChangedSpec]:
    """Columns, tensors and parameters that were added, removed, or retyped.

    Those without a name go by their place.
    """
    return [
        change
        for part in _PARTS
        for change in _compare_specs(part, before.signature[part], after.signature[part])
    ]


def _compare_specs(
    part: str, before: Sequence[Mapping[str, Json]], after: Sequence[Mapping[str, Json]]
) -> Iterator[ChangedSpec]:
    one, other = map(_describe_specs, (before, after))
    for name in [*one, *(each for each in other if each not in one)]:
        was, now = one.get(name), other.get(name)
        if was != now:
            change = "added" if was is None else "removed" if now is None else "retyped"
            yield ChangedSpec(part=part, name=name, change=change, a=was, b=now)


def _describe_specs(specs: Sequence[Mapping[str, Json]]) -> dict[str, str]:
    return {
        str(spec.get("name", f"number {at}")): describe_spec(spec) for at, spec in enumerate(specs)
    }


def describe_spec(spec: Mapping[str, Json]) -> str:
    """`long`, `double, optional`, `float32 [-1, 4]`, or the spec itself for a nested type."""
    tensor = spec.get("tensor-spec")
    plain = spec.keys() <= {"name", "type", "required", "default", "shape", "tensor-spec", "dtype"}
    if isinstance(tensor, dict):
        kind = f"{tensor.get('dtype')} {tensor.get('shape')}"
    elif plain:
        kind = str(spec.get("type", spec.get("dtype")))
    else:
        inner = {key: each for key, each in spec.items() if key not in {"name", "required"}}
        kind = json.dumps(inner, sort_keys=True)
    if spec.get("shape") is not None:
        kind += f" {spec['shape']}"
    if "default" in spec:
        kind += f", {json.dumps(spec['default'])} by default"
    return kind if spec.get("required", True) else f"{kind}, optional"

"""The bill of materials and the lock of an artifact, held to the function's own files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name

from handlers.manifest import FILENAME
from packager.commands.artifact.description import (
    LOCK,
    SBOM,
    DescribedArtifact,
    find_inside,
    is_regular,
    read_own_text,
)
from packager.commands.artifact.supply_chain.shipped_files import (
    LIES_OUTSIDE,
    STORED,
    is_extension,
    list_shipped,
)
from packager.system.file_tree import sha256
from packager.types import Json


def check_sbom(artifact: DescribedArtifact) -> Iterator[str]:
    """The bill of materials against the function's own files, both ways."""
    document = artifact.read(SBOM)
    subject = document["metadata"]["component"]
    if (told := _read_hash(subject)) != artifact.sha256:
        yield f"{SBOM} describes another function: {told}."
    parts = [each for each in document["components"] if isinstance(each, dict)]
    models = [each for each in parts if each.get("type") == "machine-learning-model"]
    if [_read_hash(each) for each in models] != [artifact.model_digest]:
        yield f"{SBOM} describes another model."
    yield from _compare_packages(parts, artifact.tree)
    outside = {str(each["name"]): _read_hash(each) for each in parts if _has(each, LIES_OUTSIDE)}
    inside = [each for each in parts if each.get("name") not in outside]
    nested = [each for part in parts for each in part.get("components", ())]
    yield from _compare_libraries(
        [each for each in inside if not is_extension(str(each.get("name")))], artifact.tree
    )
    yield from _compare_extensions([*inside, *nested], artifact.tree)
    yield from _compare_weights(outside, artifact.read(FILENAME))


def _compare_packages(parts: Sequence[Mapping[str, Json]], tree: Path) -> Iterator[str]:
    told: dict[str, str] = {
        canonicalize_name(each["name"]): str(each["version"])
        for each in parts
        if str(each.get("purl", "")).startswith("pkg:pypi/")
    }
    there = _read_packages(tree)
    for name in sorted(told.keys() | there.keys()):
        version, is_named_only = there.get(name, (None, False))
        if told.get(name) != version and not (is_named_only and name not in told):
            yield (
                f"{SBOM} has {name} {told.get(name, 'not at all')}, "
                f"and the function {version or 'not at all'}."
            )


def _read_packages(tree: Path) -> dict[str, tuple[str, bool]]:
    """Name to version, and whether that is all: an answer for a package that was left out."""
    found: dict[str, tuple[str, bool]] = {}
    for path in sorted(tree.glob("*.dist-info/METADATA")):
        if not is_regular(path):
            continue  # the check of the function names it
        meta = HeaderParser().parsestr(path.read_text(encoding="utf-8", errors="replace"))
        is_named_only = set(meta.keys()) == {"Metadata-Version", "Name", "Version"}
        found[canonicalize_name(str(meta["Name"]))] = str(meta["Version"]), is_named_only
    return found


def _compare_libraries(parts: Sequence[Mapping[str, object]], tree: Path) -> Iterator[str]:
    """Compare by digest each library that is told, and each in lib/, which the build supplies."""
    files = [each for each in parts if each.get("type") == "file"]
    stored = {str(each["name"]): _read_hash(each) for each in files if _has(each, STORED)}
    if stored:
        yield from _compare_stored(stored, tree)
    told = {
        str(each["name"]): _read_hash(each) for each in files if str(each["name"]) not in stored
    }
    for name in sorted(told.keys() | {f"lib/{each.name}" for each in (tree / "lib").glob("*.so*")}):
        path = find_inside(tree, name)
        if path is None or told.get(name) != sha256(path):
            yield f"{SBOM} and the function differ in {name}."


def _compare_extensions(parts: Sequence[Mapping[str, object]], tree: Path) -> Iterator[str]:
    """Compare both ways the extension modules that packages are told to have.

    Those in the compressed store are compared by name: to unpack them all takes most of a second.
    A list of an earlier build tells of none, so that nothing is missing from it.
    """
    told = {
        str(each["name"]): _read_hash(each)
        for each in parts
        if each.get("type") == "file" and is_extension(str(each["name"]))
    }
    if not told:
        return
    shipped = list_shipped(tree)
    there = {name for name in shipped.names if is_extension(name)}
    for name in sorted(told.keys() | there):
        path = find_inside(tree, name) if name in shipped.plain else None
        if (told.keys() >= {name}) != (name in there) or (path and told[name] != sha256(path)):
            yield f"{SBOM} and the function differ in {name}."


def _compare_stored(told: Mapping[str, str | None], tree: Path) -> Iterator[str]:
    """Compare by digest each library that is told to lie in the compressed store."""
    there = {each.path: each.sha256 for each in list_shipped(tree).list_libraries()}
    for name in sorted(told):
        if there.get(name) != told[name]:
            yield f"{SBOM} and the function's compressed store differ in {name}."


def _compare_weights(told: Mapping[str, str | None], manifest: Mapping[str, Json]) -> Iterator[str]:
    """Compare what lies outside with what the function asks for at its start, both ways."""
    listed = {f"model/{each['path']}": str(each["sha256"]) for each in manifest.get("weights", ())}
    for name in sorted(told.keys() | listed.keys()):
        if told.get(name) != listed.get(name):
            yield f"{SBOM} and {FILENAME} differ in {name}, which lies outside of the function."


def _has(component: Mapping[str, Json], name: str) -> bool:
    return any(each.get("name") == name for each in component.get("properties", ()))


def _read_hash(component: Mapping[str, Json]) -> str | None:
    hashes = {each["alg"]: each["content"] for each in component.get("hashes", ())}
    return hashes.get("SHA-256")


def check_lock(artifact: DescribedArtifact) -> Iterator[str]:
    """Each package of the bill of materials is locked, at its version and with its digest."""
    locked: dict[tuple[str, str], set[str]] = {}
    document = tomllib.loads(read_own_text(artifact.home / LOCK))
    for each in document.get("packages", ()):
        key = (str(canonicalize_name(each["name"])), str(each.get("version", "")))
        wheels = [*each.get("wheels", ()), *filter(None, [each.get("archive")])]
        hashes = {wheel.get("hashes", {}).get("sha256") for wheel in wheels}
        locked.setdefault(key, set()).update(hashes - {None})
    for part in artifact.read(SBOM)["components"]:
        if not str(part.get("purl", "")).startswith("pkg:pypi/"):
            continue
        key = (str(canonicalize_name(part["name"])), str(part["version"]))
        if key not in locked:
            yield f"{LOCK} does not have {key[0]} {key[1]}, which {SBOM} has."
        elif (told := _read_hash(part)) is not None and told not in locked[key]:
            yield f"{LOCK} has no wheel of {key[0]} {key[1]} with the digest that {SBOM} has."

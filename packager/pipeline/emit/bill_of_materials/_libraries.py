"""Shared libraries that ship: those of wheels, and those that the build supplied in lib/.

A scanner knows no package of theirs: a wheel's OpenBLAS is in no index. What a wheel's own document
says of a library is inside its component.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.component import (
    Component,
    ComponentType,
    Patch,
    PatchClassification,
    Pedigree,
)
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from packager.commands.artifact.supply_chain.shipped_files import (
    STORE,
    STORED,
    Library,
    ShippedFiles,
)
from packager.commands.artifact.supply_chain.wheel_documents import ListedPart, WheelParts

PACKAGE: Final = "packager:package"
_SUPPLIED: Final = "lib/"
_OPENBLAS: Final = re.compile(rb"OpenBLAS (\d+\.\d+\.\d+)")
"""It says so in each library: openblas_get_config()."""
_BASE: Final = re.compile(r"(lib.*?)(?:-[0-9a-f]{8})*\.so")
"""auditwheel puts a part of the digest into a copied library's name."""
_FILE_VERSION: Final = re.compile(r"\.so\.(\d+(?:\.\d+)*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Distribution of each top-level name of the function's folder, where one alone has it."""

    names: Mapping[str, str]
    versions: Mapping[str, str]

    def find(self, path: str) -> str:
        """Return the distribution that a file is of; empty where none, or more than one, is."""
        return self.names.get(path.partition("/")[0], "")

    def make_purl(self, name: str) -> PackageURL:
        return PackageURL("pypi", None, name, self.versions[name])


def describe_libraries(
    shipped: ShippedFiles,
    staged: Mapping[str, str],
    owners: Owners,
    parts: Mapping[str, WheelParts],
) -> Iterator[Component]:
    """Yield a component for each library; `staged` has digests before any pass, by path.

    `parts` has what wheels list of themselves, by distribution.
    """
    libraries = [*shipped.list_libraries()]
    paths = [each.path for each in libraries]
    for library in libraries:
        owner = owners.find(library.path)
        known = parts.get(owner, WheelParts()).parts
        beside = [path for path in paths if owners.find(path) == owner]
        listed = _find_listed(library.path, known) if _is_meant(library.path, beside) else None
        release = (listed.version if listed else "") or _read_release(library)
        yield Component(
            name=library.path,
            version=release or None,
            type=ComponentType.FILE,
            bom_ref=library.path,
            hashes=[_describe_digest(library.sha256)],
            properties=list(_list_properties(library, owner, owners)),
            licenses=listed.licenses if listed else [],
            pedigree=_describe_changes(library, staged),
            components=[_describe_listed(listed, library)] if listed else [],
        )


def describe_extensions(shipped: ShippedFiles, owners: Owners) -> Iterator[tuple[str, Component]]:
    """Yield (distribution, component) for each extension module; its digest is as it ships."""
    for module in shipped.list_extensions():
        stored = [Property(name=STORED, value=STORE)] if module.is_stored else []
        yield (
            owners.find(module.path),
            Component(
                name=module.path,
                type=ComponentType.FILE,
                bom_ref=module.path,
                hashes=[_describe_digest(module.sha256)],
                properties=stored,
            ),
        )


def _list_properties(library: Library, owner: str, owners: Owners) -> Iterator[Property]:
    if owner:
        yield Property(name=PACKAGE, value=owner)
        if owner in owners.versions:
            yield Property(name="packager:wheel", value=owners.make_purl(owner).to_string())
    elif library.path.startswith(_SUPPLIED):
        yield Property(name="packager:supplied-by", value="the build, which found a wheel lack it")
    if found := _FILE_VERSION.search(library.path):
        yield Property(name="packager:file-version", value=found[1])
    if library.is_stored:
        yield Property(name=STORED, value=STORE)


def _is_meant(path: str, beside: list[str]) -> bool:
    """Tell whether a wheel's document that names a library means this one.

    Of several of one name it means that which was copied from a system: auditwheel gave its name
    one digest, and those of another wheel, which it was given with, two.
    """
    base = _BASE.match(path.rpartition("/")[2])
    alike = [
        found
        for each in beside
        if (found := _BASE.match(each.rpartition("/")[2])) and base and found[1] == base[1]
    ]
    if base is None or len(alike) == 1:
        return base is not None
    fewest = min(each[0].count("-") for each in alike)
    first = [each for each in alike if each[0].count("-") == fewest]
    return len(first) == 1 and first[0][0] == base[0]


def _find_listed(path: str, parts: tuple[ListedPart, ...]) -> ListedPart | None:
    """Find what a wheel's document says of a library: what has its name."""
    found = _BASE.match(path.rpartition("/")[2])
    if found is None:
        return None
    own = found[1].lower()
    names = {own, own.removeprefix("lib")}
    return next((each for each in parts if each.name.lower() in names), None)


def _describe_listed(listed: ListedPart, library: Library) -> Component:
    return Component(
        name=listed.name,
        version=listed.version or None,
        type=ComponentType.LIBRARY,
        bom_ref=f"{library.path}#{listed.name}",
        purl=listed.purl,
        licenses=listed.licenses,
        properties=[Property(name="packager:listed-in", value=listed.document)],
    )


def _read_release(library: Library) -> str:
    if "openblas" not in library.path.lower():
        return ""
    found = _OPENBLAS.search(library.content)
    return found[1].decode() if found else ""


def _describe_changes(library: Library, staged: Mapping[str, str]) -> Pedigree | None:
    before = staged.get(library.path)
    if before is None or before == library.sha256:
        return None
    return Pedigree(
        ancestors=[
            Component(
                name=library.path,
                type=ComponentType.FILE,
                bom_ref=f"{library.path}#installed",
                hashes=[_describe_digest(before)],
            )
        ],
        patches=[Patch(type=PatchClassification.UNOFFICIAL)],
        notes="Parts that no program loads were taken out, or code for devices that the target has "
        "not; evidence.json has what each pass did.",
    )


def _describe_digest(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def name_owners(tops: Mapping[str, frozenset[str]], versions: Mapping[str, str]) -> Owners:
    """`tops` has the top-level names of each distribution; `versions` those that ship."""
    found: dict[str, str] = {}
    shared: set[str] = set()
    for name, own in sorted(tops.items()):
        for top in own:
            if found.setdefault(top, name) != name:
                shared.add(top)
    for name in versions:
        plain = name.replace("-", "_")
        for top in (plain, f"{plain}.libs"):
            found.setdefault(top, name)
    named = {top: str(canonicalize_name(name)) for top, name in found.items() if top not in shared}
    return Owners(names=named, versions=versions)

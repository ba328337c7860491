"""Components that wheels list of themselves: CycloneDX and SPDX documents by PEP 770.

A wheel's author wrote them. They are read within bounds, and no word of theirs is taken for more
than a word: one that cannot be read is named, and the build goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.license import DisjunctiveLicense, License
from packageurl import PackageURL

from packager.commands.artifact.supply_chain.licences import StatedLicence, normalize_expression
from packager.errors import ModelFormatError
from packager.models import model_documents
from packager.types import WheelDocument

_LOG = logging.getLogger(__name__)
_MOST_PARTS: Final = 2000
"""Components of one document."""
_MOST_DEPTH: Final = 20
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPart:
    """A component that a wheel's own document lists."""

    name: str
    version: str = ""
    purl: PackageURL | None = None
    licence: StatedLicence = field(default_factory=StatedLicence)
    document: str
    """The document's path in the wheel."""

    @property
    def licenses(self) -> list[License]:
        return make_licences(self.licence)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelParts:
    """Parts of one wheel by its own documents, and documents that could not be read."""

    parts: tuple[ListedPart, ...] = ()
    unread: tuple[str, ...] = ()
    """A sentence each."""


def read_documents(documents: Sequence[WheelDocument]) -> dict[str, WheelParts]:
    """Return the folder of metadata, `NAME-VERSION.dist-info`, to what its documents list."""
    found: dict[str, WheelParts] = {}
    for document in documents:
        folder = document.path.parts[0]
        before = found.get(folder, WheelParts())
        try:
            parts = _read_parts(document)
        except ModelFormatError as error:
            said = f"{document.path} lists nothing here: {error}"
            _LOG.warning("%s", said)
            found[folder] = WheelParts(parts=before.parts, unread=(*before.unread, said))
        else:
            found[folder] = WheelParts(parts=(*before.parts, *parts), unread=before.unread)
    return found


def make_licences(licence: StatedLicence) -> list[License]:
    """Make what a component states: one expression or id, else its words as names."""
    if licence.expression:
        return [LicenseFactory().make_from_string(licence.expression)]
    return [DisjunctiveLicense(name=cut_text(word)) for word in licence.words]


def cut_text(text: str) -> str:
    """The text on one line, without what a terminal acts on, and no longer than names are."""
    plain = "".join(each if each.isprintable() else " " for each in text[: _LONGEST * 2])
    return plain.strip()[:_LONGEST]


def _read_parts(document: WheelDocument) -> tuple[ListedPart, ...]:
    """Raises ModelFormatError for a document that cannot be read."""
    if document.unread:
        raise ModelFormatError(f"{document.unread}.")
    try:
        text = document.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"it is not UTF-8 ({error.reason}).") from error
    try:
        told = model_documents.parse_json(text, document.path.name)
    except ModelFormatError as error:
        raise ModelFormatError(
            "it is no JSON, or has more in it, or deeper, than is read."
        ) from error
    if not isinstance(told, Mapping):
        raise ModelFormatError("it is no JSON object.")
    if told.get("bomFormat") == "CycloneDX":
        listed = [*_walk_cyclonedx(told.get("components"), document, 0)]
    elif "spdxVersion" in told:
        listed = [*_list_spdx(told.get("packages"), document)]
    else:
        raise ModelFormatError("it is neither CycloneDX nor SPDX 2 in JSON.")
    if len(listed) > _MOST_PARTS:
        raise ModelFormatError(f"it lists more than {_MOST_PARTS:,} components.")
    wheel = _name_wheel(document)
    unique = {(each.name, each.version, str(each.purl)): each for each in listed}
    return tuple(each for each in unique.values() if not _is_wheel(each, wheel))


def _walk_cyclonedx(value: object, document: WheelDocument, depth: int) -> Iterator[ListedPart]:
    if depth > _MOST_DEPTH or not isinstance(value, list):
        return
    for each in value:
        if not isinstance(each, Mapping):
            continue
        if part := _make_part(
            each, each.get("version"), each.get("purl"), read_licences(each), document
        ):
            yield part
        yield from _walk_cyclonedx(each.get("components"), document, depth + 1)


def _list_spdx(value: object, document: WheelDocument) -> Iterator[ListedPart]:
    for each in value if isinstance(value, list) else ():
        if not isinstance(each, Mapping):
            continue
        references = each.get("externalRefs")
        purls = [
            reference.get("referenceLocator")
            for reference in (references if isinstance(references, list) else ())
            if isinstance(reference, Mapping) and reference.get("referenceType") == "purl"
        ]
        licence = _state_licence(each.get("licenseConcluded"), document) or _state_licence(
            each.get("licenseDeclared"), document
        )
        purl = purls[0] if purls else None
        if part := _make_part(each, each.get("versionInfo"), purl, licence, document):
            yield part


def _make_part(
    told: Mapping[str, object],
    version: object,
    purl: object,
    licence: StatedLicence | None,
    document: WheelDocument,
) -> ListedPart | None:
    name = told.get("name")
    if not isinstance(name, str) or not cut_text(name):
        return None
    return ListedPart(
        name=cut_text(name),
        version=cut_text(version) if isinstance(version, str) else "",
        purl=_parse_purl(purl),
        licence=licence or StatedLicence(),
        document=document.path.as_posix(),
    )


def _parse_purl(value: object) -> PackageURL | None:
    if not isinstance(value, str) or len(value) > _LONGEST * 2:
        return None
    try:
        found = PackageURL.from_string(value)
    except ValueError:
        return None
    # auditwheel appends a file's digest, cargo a folder of the machine that built the wheel
    kept = {
        name: each
        for name, each in dict(found.qualifiers or {}).items()
        if not str(each).startswith("file:")
    }
    return PackageURL(found.type, found.namespace, found.name, found.version, kept or None)


def read_licences(told: Mapping[str, object]) -> StatedLicence | None:
    """Join what CycloneDX lists: each of several licences holds."""
    words: list[str] = []
    listed = told.get("licenses")
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, Mapping):
            continue
        inner = each.get("license")
        named = inner if isinstance(inner, Mapping) else {}
        stated = each.get("expression") or named.get("id") or named.get("name")
        if isinstance(stated, str) and cut_text(stated):
            words.append(stated)
    if not words:
        return None
    return _state_licence(words[0] if len(words) == 1 else words, told)


def _state_licence(stated: object, source: object) -> StatedLicence | None:
    """`source` is the document, or what is read of it, whose name says where it is stated."""
    words = [stated] if isinstance(stated, str) else stated
    if not isinstance(words, list):
        return None
    named = [each for each in words if each.upper() not in {"NOASSERTION", "NONE", ""}]
    if not named:
        return None
    where = source.path.as_posix() if isinstance(source, WheelDocument) else "its wheel's document"
    each = [normalize_expression(word) for word in named]
    several = len(each) > 1
    expression = " AND ".join(f"({one})" if several and " OR " in one else one for one in each)
    return StatedLicence(
        expression=expression if all(each) else "",
        words=tuple(map(cut_text, named)),
        field=where,
    )


def _name_wheel(document: WheelDocument) -> str:
    return document.path.parts[0].removesuffix(".dist-info").rpartition("-")[0]


def _is_wheel(part: ListedPart, wheel: str) -> bool:
    """Tell whether a listed component is the wheel itself."""
    if part.purl is not None and part.purl.type != "pypi":
        return False
    return part.name.lower().replace("-", "_") == wheel.lower().replace("-", "_")

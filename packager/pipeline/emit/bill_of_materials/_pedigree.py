"""Changes that the build made to a wheel: files that were left out, compressed or rewritten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.component import Component, ComponentType, Pedigree

from packager.commands.artifact.supply_chain.shipped_files import (
    STORE,
    ShippedFiles,
    list_left_out,
)
from packager.pipeline.emit.bill_of_materials._libraries import Owners
from packager.types import Bundle

_COMPRESSED: Final = "cold"
"""The rule of what went into the compressed store: it ships."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelChanges:
    """Counts of one distribution's files."""

    installed: int
    removed: Mapping[str, int]
    """Rule -> files that it left out."""
    compressed: int
    archived: int
    rewritten: int
    left_out: tuple[str, ...] = ()
    """Modules, and folders of them, that do not ship."""

    @property
    def notes(self) -> str:
        """Say all of it in sentences; empty where nothing was changed."""
        return " ".join(self._list_sentences())

    def _list_sentences(self) -> Iterator[str]:
        if self.removed:
            total = sum(self.removed.values())
            rules = ", ".join(f"{rule}: {count:,}" for rule, count in sorted(self.removed.items()))
            yield f"{total:,} of {self.installed:,} installed files were left out ({rules})."
        if self.compressed:
            yield f"{self.compressed:,} files are compressed in {STORE}, and unchanged."
        if self.archived:
            yield f"{self.archived:,} modules are bytecode that was compiled from their sources."
        if self.rewritten:
            yield f"{self.rewritten:,} files were rewritten without what is never loaded."


def count_changes(
    bundle: Bundle, shipped: ShippedFiles, owners: Owners
) -> Mapping[str, WheelChanges]:
    """Count by distribution; what more than one of them may own is nobody's."""
    installed = Counter(owners.find(str(each.path)) for each in bundle.staged)
    removed: dict[str, Counter[str]] = {}
    for each in bundle.removed:
        if each.rule != _COMPRESSED:
            removed.setdefault(owners.find(str(each.path)), Counter())[each.rule] += 1
    compressed = Counter(owners.find(name) for name in shipped.stored)
    archived = Counter(owners.find(name) for name in shipped.archived)
    now = {str(each.path): each.sha256 for each in bundle.files}
    rewritten = Counter(
        owners.find(str(each.path))
        for each in bundle.staged
        if now.get(str(each.path), each.sha256) != each.sha256
    )
    gone: dict[str, list[str]] = {}
    for name in list_left_out((str(file.path) for file in bundle.staged), shipped.names):
        gone.setdefault(owners.find(name), []).append(name)
    return {
        name: WheelChanges(
            installed=installed[name],
            removed=dict(removed.get(name, {})),
            compressed=compressed[name],
            archived=archived[name],
            rewritten=rewritten[name],
            left_out=tuple(gone.get(name, ())),
        )
        for name in owners.versions
    }


def describe_pedigree(
    name: str, changes: WheelChanges, owners: Owners, digest: str | None
) -> Pedigree | None:
    """The wheel that it was, and what was changed; None where nothing was."""
    if not changes.notes:
        return None
    purl = owners.make_purl(name)
    wheel = Component(
        name=name,
        version=owners.versions[name],
        type=ComponentType.LIBRARY,
        bom_ref=f"{purl.to_string()}#wheel",
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
    )
    return Pedigree(ancestors=[wheel], notes=changes.notes)

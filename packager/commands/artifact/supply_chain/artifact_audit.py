"""Audit of a finished artifact: what is known today of what it ships."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from packager.commands.artifact.description import (
    SBOM,
    DescribedArtifact,
    check_built,
    read_artifact,
)
from packager.commands.artifact.integrity import warn_of_changes
from packager.commands.artifact.supply_chain.licences import StatedLicence
from packager.commands.artifact.supply_chain.policy import (
    AUDIT,
    LICENCES,
    VULNERABILITIES,
    Licensed,
    audit_tree,
    check_options,
    judge_licences,
    list_licences,
    list_refused,
    read_metadata,
    word_wheel,
)
from packager.commands.artifact.supply_chain.records import describe_chain
from packager.commands.artifact.supply_chain.requirers import read_requirers
from packager.commands.artifact.supply_chain.shipped_files import LEFT_OUT
from packager.commands.artifact.supply_chain.wheel_documents import cut_text, read_licences
from packager.errors import ConfigurationError
from packager.system.atomic_output import MARKER
from packager.types import Architecture, ArtifactAudit, Json, SupplyChainOptions


def audit_artifact(folder: Path, options: SupplyChainOptions) -> ArtifactAudit:
    """Ask about each distribution that ships; nothing is changed.

    Raises ConfigurationError for options that cannot be used, ModelFormatError where no build made
    `folder`, IntegrityError where the artifact is damaged.
    """
    if wrong := [*check_options(options)]:
        raise ConfigurationError("\n".join(wrong))
    home = folder.absolute()
    check_built(home)
    warn_of_changes(home)
    artifact = read_artifact(home)
    metadata = read_metadata(artifact.tree)
    report = artifact.read(MARKER)
    architecture: Architecture = "arm64" if report.get("architecture") == "arm64" else "x86_64"
    minor = ".".join(str(report["target"]["python"]).split(".")[:2])
    requirers = read_requirers(artifact.tree, minor, architecture)
    listed = itertools.chain(list_licences((), metadata), _list_parts(artifact, metadata))
    refused, chain = judge_licences(listed, options, requirers)
    audit = audit_tree(artifact.tree, metadata, options, _read_left_out(artifact))
    refusals = {
        LICENCES: refused,
        AUDIT if not audit.done else VULNERABILITIES: list_refused(audit, options),
    }
    return {
        "folder": str(home),
        "sha256": artifact.sha256,
        "refused": {way: each for way, each in refusals.items() if each},
        **describe_chain(replace(chain, audit=audit)),
    }


def _list_parts(artifact: DescribedArtifact, shipped: Collection[str]) -> Iterator[Licensed]:
    """Yield what the bill of materials has inside of each wheel, as the wheel listed it."""
    for wheel in _list_components(artifact.read(SBOM)):
        if wheel.get("name") in shipped:
            inside = word_wheel(str(wheel.get("name")), cut_text(str(wheel.get("version", ""))))
            for part in _list_components(wheel):
                yield Licensed(
                    name=cut_text(str(part.get("name"))),
                    version=cut_text(str(part.get("version", ""))),
                    licence=read_licences(part) or StatedLicence(),
                    within=inside,
                )


def _list_components(told: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    listed = told.get("components")
    return (each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict))


def _read_left_out(artifact: DescribedArtifact) -> frozenset[str]:
    """Read what the build left out of each wheel; an artifact of before has no such list."""
    parts = artifact.read(SBOM).get("components", ())
    listed = (each for part in parts for each in part.get("properties", ()))
    return frozenset(
        name
        for each in listed
        if each.get("name") == LEFT_OUT
        for name in str(each.get("value", "")).split(", ")
    )

"""Answers that a build was given about known vulnerabilities, read from its evidence."""

from __future__ import annotations

from collections.abc import Mapping

from packager.commands.artifact.report_values import read_text, read_texts
from packager.commands.artifact.supply_chain.records import AUDITED
from packager.types import Audit, Json, Severity, Vulnerability


def recall_audit(evidence: Json, packages: Mapping[str, str]) -> Audit:
    """Return what an artifact's build was told of its packages: no service is asked.

    More is known of them tomorrow, and says nothing about the bytes. What the answers mean for the
    artifact is judged anew. Raises LookupError, TypeError, AttributeError or ValueError for an
    evidence that no build wrote.
    """
    told = evidence["supply_chain"]["audit"]
    found = tuple(map(_recall_vulnerability, told["vulnerabilities"]))
    if strange := [each for each in found if packages.get(each.package) != each.version]:
        raise ValueError(f"{strange[0].package} {strange[0].version} does not ship")
    return Audit(
        asked=True,
        done=told["status"] == AUDITED,
        why_not=read_text(told["why_not"]),
        source=read_text(told["source"]),
        day=read_text(told["day"]),
        packages=len(packages) if told["status"] == AUDITED else 0,
        found=found,
    )


def _recall_vulnerability(told: Mapping[str, Json]) -> Vulnerability:
    """An advisory without what was decided about it: that is decided again."""
    score = told["score"]
    return Vulnerability(
        id=read_text(told["id"]),
        aliases=tuple(read_texts(told["aliases"])),
        package=read_text(told["package"]),
        version=read_text(told["version"]),
        severity=Severity(told["severity"]),
        score=None if score is None else float(score),
        vector=read_text(told.get("vector", "")),
        summary=read_text(told["summary"]),
        fixed_in=tuple(read_texts(told["fixed_in"])),
        published=read_text(told["published"]),
        code=tuple(read_texts(told["code"])),
        code_from=read_text(told["code_from"]),
    )

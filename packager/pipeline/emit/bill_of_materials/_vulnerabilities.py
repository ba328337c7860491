"""Known vulnerabilities with what they mean for the artifact: a VEX note in the bill of materials.

`not_affected` is said of code that is not there, and of nothing else. That code was not loaded
while the artifact was proven shows nothing of what another request loads.
https://cyclonedx.org/capabilities/vex/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from cyclonedx.model import Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component
from cyclonedx.model.impact_analysis import (
    ImpactAnalysisJustification,
    ImpactAnalysisResponse,
    ImpactAnalysisState,
)
from cyclonedx.model.vulnerability import (
    BomTarget,
    VulnerabilityAnalysis,
    VulnerabilityRating,
    VulnerabilityReference,
    VulnerabilityScoreSource,
    VulnerabilitySeverity,
    VulnerabilitySource,
)
from cyclonedx.model.vulnerability import Vulnerability as CdxVulnerability

from packager.types import Audit, Severity, SupplyChain, Vulnerability

_OSV: Final = VulnerabilitySource(name="OSV", url=XsUri("https://osv.dev/"))
_SEVERITIES: Final[Mapping[Severity, VulnerabilitySeverity]] = {
    Severity.UNKNOWN: VulnerabilitySeverity.UNKNOWN,
    Severity.LOW: VulnerabilitySeverity.LOW,
    Severity.MEDIUM: VulnerabilitySeverity.MEDIUM,
    Severity.HIGH: VulnerabilitySeverity.HIGH,
    Severity.CRITICAL: VulnerabilitySeverity.CRITICAL,
}


def add_vulnerabilities(bom: Bom, chain: SupplyChain, packages: Mapping[str, Component]) -> None:
    """Add what was found, each with what it affects, and whether an audit was made at all."""
    audit = chain.audit
    for each in audit.found:
        package = packages.get(each.package)
        bom.vulnerabilities.add(_describe(each, package))
    if audit.asked:
        bom.metadata.properties.update(_list_properties(audit))


def _list_properties(audit: Audit) -> Iterator[Property]:
    yield Property(name="packager:audit", value="audited" if audit.done else "not audited")
    yield Property(name="packager:audit-source", value=audit.source)
    if audit.done:
        yield Property(name="packager:audit-day", value=audit.day)
    else:
        yield Property(name="packager:audit-missing", value=audit.why_not)


def _describe(found: Vulnerability, package: Component | None) -> CdxVulnerability:
    method = VulnerabilityScoreSource.get_from_vector(found.vector) if found.vector else None
    rating = VulnerabilityRating(
        source=_OSV,
        score=None if found.score is None else Decimal(str(found.score)),
        severity=_SEVERITIES[found.severity],
        method=method,
        vector=found.vector or None,
    )
    fixed = f"Take {found.package} {', '.join(found.fixed_in)}." if found.fixed_in else None
    return CdxVulnerability(
        bom_ref=f"{found.id}@{found.package}",
        id=found.id,
        source=_name_source(found.id),
        references=[
            VulnerabilityReference(id=alias, source=_name_source(alias)) for alias in found.aliases
        ],
        ratings=[rating],
        description=found.summary or None,
        recommendation=fixed,
        analysis=_analyse(found),
        affects=[] if package is None else [BomTarget(ref=str(package.bom_ref))],
    )


def _name_source(name: str) -> VulnerabilitySource:
    return VulnerabilitySource(name="OSV", url=XsUri(f"https://osv.dev/vulnerability/{name}"))


def _analyse(found: Vulnerability) -> VulnerabilityAnalysis:
    responses = [ImpactAnalysisResponse.WILL_NOT_FIX] if found.ignored else []
    return VulnerabilityAnalysis(
        state=ImpactAnalysisState(found.state.value),
        justification=(
            ImpactAnalysisJustification(found.justification) if found.justification else None
        ),
        responses=responses,
        detail=found.detail or None,
    )

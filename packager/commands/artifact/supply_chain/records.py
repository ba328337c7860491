"""Audit and licences as evidence.json and the command line have them."""

from __future__ import annotations

from packager.types import (
    Audit,
    AuditRecord,
    LicenceFinding,
    LicenceRecord,
    LicencesRecord,
    SupplyChain,
    SupplyChainRecord,
    Vulnerability,
    VulnerabilityRecord,
)

NOT_ASKED = "not asked for"
AUDITED = "audited"
NOT_AUDITED = "not audited"


def describe_chain(chain: SupplyChain) -> SupplyChainRecord:
    """Describe both parts, whether or not they were asked for."""
    return {"audit": _describe_audit(chain.audit), "licences": _describe_licences(chain)}


def _describe_audit(audit: Audit) -> AuditRecord:
    status = NOT_ASKED if not audit.asked else AUDITED if audit.done else NOT_AUDITED
    return {
        "status": status,
        "why_not": audit.why_not,
        "source": audit.source,
        "day": audit.day,
        "packages": audit.packages,
        "vulnerabilities": [_describe_vulnerability(each) for each in audit.found],
        "notes": list(audit.notes),
    }


def _describe_vulnerability(each: Vulnerability) -> VulnerabilityRecord:
    return {
        "id": each.id,
        "aliases": list(each.aliases),
        "package": each.package,
        "version": each.version,
        "severity": each.severity.value,
        "score": each.score,
        "vector": each.vector,
        "summary": each.summary,
        "fixed_in": list(each.fixed_in),
        "published": each.published,
        "code": list(each.code),
        "code_from": each.code_from,
        "state": each.state.value,
        "justification": each.justification,
        "detail": each.detail,
        "ignored": each.ignored,
    }


def _describe_licences(chain: SupplyChain) -> LicencesRecord:
    return {
        "denied": list(chain.denied_patterns),
        "judged": chain.judged,
        "unknown": [_describe_licence(each) for each in chain.unknown],
    }


def _describe_licence(each: LicenceFinding) -> LicenceRecord:
    return {
        "package": each.package,
        "version": each.version,
        "licence": each.licence,
        "stated_in": each.stated_in,
        "pulled_in_by": each.pulled_in_by,
    }

"""`packager audit`: known vulnerabilities of what an artifact ships."""

from __future__ import annotations

import typer

from packager.cli import _options as opt
from packager.cli._build import supply_chain_options as so
from packager.cli._common import show
from packager.commands import console
from packager.errors import SupplyChainError
from packager.types import OSV, Severity, SupplyChainOptions


def audit(
    artifact: opt.Artifact,
    *,
    audit_severity: so.AuditSeverity = None,
    ignore_vulnerabilities: so.IgnoreVulnerability = None,
    vulnerable_code: so.VulnerableCode = None,
    deny_licenses: so.DenyLicense = None,
    osv_url: so.OsvUrl = None,
    refresh_audit: so.RefreshAudit = False,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Ask which known vulnerabilities the packages in an artifact have today.

    OSV's service is asked for each distribution whose code ships. What slimming left out is not
    asked for. Where an advisory names its functions, and no file of the artifact has them, the
    artifact is not affected. Nothing in the artifact is changed.

    Ends with 16 where one counts, where a licence is one that you refuse, or where the service
    does not answer.
    """
    from packager.commands.artifact.supply_chain.artifact_audit import audit_artifact

    options = SupplyChainOptions(
        audit=True,
        require_audit=True,
        audit_severity=None if audit_severity is None else Severity(audit_severity),
        ignore_vulnerabilities=tuple(ignore_vulnerabilities or ()),
        vulnerable_code=tuple(vulnerable_code or ()),
        deny_licenses=tuple(deny_licenses or ()),
        osv_url=osv_url or OSV,
        refresh_audit=refresh_audit,
    )
    with console.progress(verbose=verbose, quiet=quiet):
        found = audit_artifact(artifact, options)
    if as_json or not found["refused"]:
        show(found, as_json=as_json, human=console.show_audit)
    if found["refused"]:
        error = SupplyChainError(found["refused"])
        if as_json:
            raise typer.Exit(error.exit_code)
        raise error

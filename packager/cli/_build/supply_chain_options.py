"""Options for vulnerabilities and licences of what ships, for `build` and `audit` alike."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from packager.cli._choices import define_choice
from packager.cli._panels import Panel
from packager.types import Severity

_LEVELS = [each.value for each in Severity if each is not Severity.UNKNOWN]

Audit: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--audit",
        rich_help_panel=Panel.SUPPLY_CHAIN,
        help="Ask OSV for known vulnerabilities of what ships, and refuse those that count. "
        "Without an answer the build goes on, and the evidence says that it is not audited.",
    ),
]
RequireAudit: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--require-audit",
        rich_help_panel=Panel.SUPPLY_CHAIN,
        help="As --audit, and refuse to build without an answer.",
    ),
]
AuditSeverity: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--audit-severity",
        **(define_choice(*_LEVELS) | {"metavar": "<severity>"}),
        rich_help_panel=Panel.SUPPLY_CHAIN,
        help="Least severity that counts: low, medium, high or critical. A vulnerability that "
        "nobody has rated always counts. Without it: all count.",
        show_default=False,
    ),
]
IgnoreVulnerability: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-vulnerability",
        metavar="<id[=reason]>",
        rich_help_panel=Panel.SUPPLY_CHAIN,
        help="Vulnerability to go on with, by any of its ids, and why. Repeatable.",
    ),
]
VulnerableCode: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--vulnerable-code",
        metavar="<id=module,...>",
        rich_help_panel=Panel.SUPPLY_CHAIN,
        help="Modules that a vulnerability is in, where you have read so. It does not count if "
        "none of them ships. Repeatable.",
    ),
]
DenyLicense: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--deny-license",
        metavar="<pattern>",
        rich_help_panel=Panel.SUPPLY_CHAIN,
        help="SPDX licence that nothing which ships may be under, as 'GPL-3.0*'; or unknown. "
        "Repeatable.",
    ),
]
OsvUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--osv-url",
        metavar="<url>",
        rich_help_panel=Panel.SUPPLY_CHAIN,
        help="Service to ask, if it is a mirror of OSV's own, https://api.osv.dev/v1/query.",
        show_default=False,
    ),
]
RefreshAudit: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--refresh-audit",
        rich_help_panel=Panel.SUPPLY_CHAIN,
        help="Ask again instead of taking answers of the last 24 hours.",
    ),
]

"""Known vulnerabilities and licences of what ships, and what was decided about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

OSV: Final = "https://api.osv.dev/v1/query"
"""Service that is asked, https://google.github.io/osv.dev/post-v1-query/."""


class Severity(StrEnum):
    """Rating of a vulnerability by its advisory: the mildest first."""

    UNKNOWN = "unknown"
    """No advisory rates it: it counts, whatever is asked for."""
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return [*Severity].index(self)


class AnalysisState(StrEnum):
    """State of a vulnerability in this artifact, in CycloneDX's words."""

    IN_TRIAGE = "in_triage"
    """Nobody has shown that the artifact is not affected."""
    NOT_AFFECTED = "not_affected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """A known vulnerability of a distribution that ships."""

    id: str
    aliases: tuple[str, ...] = ()
    package: str
    version: str
    severity: Severity = Severity.UNKNOWN
    score: float | None = None
    """CVSS base score."""
    vector: str = ""
    """CVSS vector that the score is of."""
    summary: str = ""
    fixed_in: tuple[str, ...] = ()
    published: str = ""
    code: tuple[str, ...] = ()
    """Modules and functions that are vulnerable, by the advisory or by you."""
    code_from: str = ""
    """Who named them: `the advisory` or `you`."""
    state: AnalysisState = AnalysisState.IN_TRIAGE
    justification: str = ""
    """CycloneDX's: `code_not_present`; empty where the artifact may be affected."""
    detail: str = ""
    """Why that is its state, in sentences."""
    ignored: bool = False
    """True where the build was told to go on with it."""

    @property
    def names(self) -> frozenset[str]:
        """Ids that it goes by, in upper case."""
        return frozenset(each.upper() for each in (self.id, *self.aliases))


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Answer to what is known of the distributions that ship."""

    asked: bool = False
    """True where an audit was wanted."""
    done: bool = False
    """True where every distribution was asked about and answered."""
    why_not: str = ""
    """Why it was not done, as a sentence."""
    source: str = ""
    """Address of the service, without credentials."""
    day: str = ""
    """Of the oldest answer, ISO 8601, in UTC."""
    packages: int = 0
    found: tuple[Vulnerability, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceFinding:
    """A package whose licence is refused, or cannot be judged."""

    package: str
    version: str
    licence: str
    """In SPDX's terms where it can be, else in its own words; empty where it says nothing."""
    stated_in: str
    """Where it says so."""
    denied: tuple[str, ...] = ()
    """Ids that are refused; empty where it is unknown."""
    pulled_in_by: str = ""
    """What requires it, as the end of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyChain:
    """Audit and licences of what ships, as far as they were asked for."""

    audit: Audit = field(default_factory=Audit)
    denied_patterns: tuple[str, ...] = ()
    judged: int = 0
    """Licences that were held to the patterns."""
    unknown: tuple[LicenceFinding, ...] = ()
    """Licences that could not be judged."""

"""Results that commands show: `--json` prints them, and tables are made of them."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from packager.types._choices import Json


class ArtifactCheck(TypedDict):
    """One part of an artifact's verification."""

    name: str
    passed: bool
    problems: list[str]


class ArtifactVerification(TypedDict):
    """Verdict on an artifact's files; `sha256` is that of what is deployed."""

    folder: str
    sha256: str
    report_sha256: str
    verified: bool
    checks: list[ArtifactCheck]
    notes: list[str]


class VulnerabilityRecord(TypedDict):
    """Known vulnerability of a distribution that ships."""

    id: str
    aliases: list[str]
    package: str
    version: str
    severity: str
    score: float | None
    vector: str
    summary: str
    fixed_in: list[str]
    published: str
    code: list[str]
    code_from: str
    state: str
    justification: str
    detail: str
    ignored: bool


class AuditRecord(TypedDict):
    """Audit of what ships; `status` is `not asked for`, `audited` or `not audited`."""

    status: str
    why_not: str
    source: str
    day: str
    packages: int
    vulnerabilities: list[VulnerabilityRecord]
    notes: list[str]


class LicenceRecord(TypedDict):
    """Package whose licence cannot be judged."""

    package: str
    version: str
    licence: str
    stated_in: str
    pulled_in_by: str


class LicencesRecord(TypedDict):
    """Licences that are refused, and what was held to them."""

    denied: list[str]
    judged: int
    unknown: list[LicenceRecord]


class SupplyChainRecord(TypedDict):
    """Audit and licences."""

    audit: AuditRecord
    licences: LicencesRecord


class ArtifactAudit(SupplyChainRecord):
    """Result of `packager audit`; `refused` has what counts, by what to do about it."""

    folder: str
    sha256: str
    refused: dict[str, list[str]]


class PushedFile(TypedDict):
    """A file of the model that lies in object storage; `sent_bytes` is what had to be sent."""

    path: str
    key: str
    size_bytes: int
    sent_bytes: int


class PushedWeights(TypedDict):
    """Weights of an artifact in object storage, and what its template is to be told of them."""

    destination: str
    files: list[PushedFile]
    parameters: dict[str, str]


class SignedArtifact(TypedDict):
    """Statements that were signed of an artifact; `key` is the id of the public key."""

    folder: str
    file: str
    key: str
    scheme: str
    statements: list[str]
    parameters: dict[str, str]
    """By which the template demands this signature; empty without a rollout."""
    notes: list[str]


class ReportPage(TypedDict):
    """Where the page of an artifact lies, and whether it was made just now."""

    folder: str
    """The artifact's; empty for that of a model, which was built for the page alone."""
    page: str
    made: bool
    problems: list[str]
    """How the artifact is not as it was built; the page says so too."""


class LedgerRow(TypedDict):
    """Account of one slimming pass."""

    name: str
    bytes_before: int
    bytes_after: int
    files_before: int
    files_after: int
    reason: str
    proof: str
    reverted: tuple[str, ...] | list[str]
    cpu_ms_saved: float | None


class CeilingRow(TypedDict):
    """Limit of a target beside what was measured."""

    what: str
    used: float
    limit: float
    unit: str
    fits: bool
    left: float


class MonthRow(TypedDict):
    """Dollars of a month, by what they are paid for."""

    compute: float
    http: float
    starts: float
    standby: float
    total: float


class WayRow(TypedDict):
    """Cost of one way of running an artifact on a target."""

    name: str
    label: str
    architecture: str
    memory_mb: int | None
    request_ms: float
    cold_share: float
    instances: int
    dollars_a_month: MonthRow
    dollars_per_million: float
    checked: bool
    """Whether every price was read at its vendor's page."""
    requests_a_month: float
    rows: int
    at_work: float
    """Instances that are at work at once on average."""
    prices: list[str]
    prices_of: dict[str, str]
    """Of each price, what it is paid for."""
    old_prices: list[str]
    """Of these, the ones that were last read more than 90 days ago."""
    idle_seconds: float | None
    """Time after which an instance that nobody asks is taken to be gone."""
    idle_source: str


class TargetRow(TypedDict):
    """Verdict on one target."""

    target: str
    fits: bool
    margins: list[str]
    ceilings: list[CeilingRow]
    reasons: list[str]
    dollars_per_million: float | None
    reckoned: str
    limits: str
    ways: list[WayRow]
    """The cheapest first."""


class EngineRow(TypedDict):
    """Engine that applies to a model; its figures where it was built."""

    engine: str
    applies: str
    why: str
    unzipped_bytes: NotRequired[int]
    zipped_bytes: NotRequired[int]
    start_cpu_ms: NotRequired[float | None]
    peak_rss_bytes: NotRequired[int | None]
    warm_invoke_ms: NotRequired[float | None]
    max_rel_error: NotRequired[float]
    max_abs_error: NotRequired[float]
    rows_compared: NotRequired[int]


class AttemptRow(TypedDict):
    engine: str
    tier: str
    frame: str
    requirements: str
    target: str
    runtime: str
    platform: str
    interpreter: str
    packages: str
    passes: list[str]
    reasons: list[str]


class OptionRow(TypedDict):
    """An option of a run that is not the default, and where it was given."""

    option: str
    value: str
    source: str


class PlanRows(TypedDict):
    model: dict[str, Json]
    attempts: list[AttemptRow]
    options: NotRequired[list[OptionRow]]


class PlanSummary(PlanRows):
    locks_sha256: str
    """Of all attempts' locks: the same while what may ship is."""


class Sent(TypedDict):
    """A message to a destination, as a function sent it."""

    to: str
    body: str
    attributes: NotRequired[dict[str, str]]


class Invocation(TypedDict):
    """Answer of a booted artifact, and what it took."""

    response: str
    sent: list[Sent]
    failed: bool
    refused: bool
    init_wall_ms: float
    cpu_ms: float
    peak_rss_bytes: int
    first_ms: float
    warm_ms: float | None
    log: str


class DoorAnswer(TypedDict):
    """Answer of the demo's function by one way in."""

    door: str
    status: Json
    answer: str


class MachineCheck(TypedDict):
    """One thing of this machine that a build can use."""

    name: str
    works: bool
    needed: bool
    """Without it nothing can be built."""
    found: str
    lost: str
    """What cannot be done without it."""
    remedy: str


class MachineReport(TypedDict):
    """Result of `doctor`; `ready` where all that is needed is there."""

    ready: bool
    checks: list[MachineCheck]


class FactRow(TypedDict):
    """One table of facts."""

    file: str
    name: str
    values: dict[str, Json]
    source: str
    unchecked: str
    """Where it was read in place of its source; empty where it was read there."""
    as_of: str
    days: int
    """Its age."""


class FactCheck(TypedDict):
    """A fact beside what a vendor's own model states."""

    fact: str
    stated: str
    model: str
    holds: bool
    remedy: str
    """Empty where it holds."""
    fields: list[str]
    """Facts that it compares, each as FILE TABLE FIELD."""


class UncheckedFact(TypedDict):
    """A table of facts of which no installed package states some fields, or any."""

    file: str
    name: str
    fields: list[str]
    source: str
    unchecked: str
    as_of: str
    days: int


class FactsReport(TypedDict):
    """Every fact; with a check, what was compared with the vendors' models, and what is old."""

    facts: list[FactRow]
    checks: list[FactCheck]
    not_compared: list[UncheckedFact]
    old: list[FactRow]
    """A warning: they may be right."""
    old_days: int
    models: list[str]
    """Models that were read, and what was not compared because one is not installed."""
    checked: bool
    holds: bool
    """No comparison differs."""


class DemoResult(TypedDict):
    table: list[list[str]]
    doors: list[DoorAnswer]
    proof: dict[str, str]
    next: list[str]


class Inspection(TypedDict, total=False):
    """Result of `inspect`: of a model with `attempts`, of an artifact with `report`."""

    model: dict[str, Json]
    attempts: list[AttemptRow]
    summary: dict[str, Json]
    ledger: list[LedgerRow]
    largest: list[tuple[str, int]]
    room: str
    targets: list[TargetRow]
    engines: list[EngineRow]
    notes: list[str]
    report: dict[str, Json]
    evidence: dict[str, Json]


class WeighedRow(TypedDict):
    """A way to run a model whose weights fit no zip, beside the others."""

    name: str
    target: str
    weights: str
    chosen: bool
    measured: bool
    """It was built; else it is judged by what was measured on another."""
    fits: bool
    start_cpu_ms: float
    """With one whole CPU."""
    weights_seconds: float | None
    """For having the weights there, by a speed that is stated and not measured."""
    weights_speed: str
    start_seconds: float | None
    """With the CPU that its memory gives, and with its weights."""
    dollars_a_month: float | None
    way: str
    why: str


class Choice(TypedDict):
    """Result of weighing these ways."""

    needed: str
    requests_per_second: float
    rows: int
    rule: str
    ways: list[WeighedRow]


class ReportSummary(TypedDict):
    """Result of a build."""

    artifact: dict[str, Json]
    evidence: dict[str, Json]
    ledger: list[LedgerRow]
    reasons: list[str]
    notes: list[str]
    largest: list[tuple[str, int]]
    room: str
    summary: dict[str, Json]
    next: list[str]
    targets: NotRequired[list[TargetRow]]
    choice: NotRequired[Choice]
    """Where the weights' place was chosen too."""


class BuildOutcome(TypedDict):
    """Result of one of several builds of a run."""

    build: str
    """Its name in the file, or the model's address."""
    target: str
    folder: str
    exit_code: int
    report: NotRequired[ReportSummary]
    plan: NotRequired[PlanSummary]
    """In the place of `report`, of a dry run."""
    error: NotRequired[str]
    message: NotRequired[str]


class VersionRow(TypedDict):
    """One published version of a deployed function."""

    version: str
    percent: float
    """Of the requests that its alias gets."""
    published: str
    """When, ISO 8601."""
    description: str
    code_sha256: str
    this_artifact: bool | None
    """Whether its code is that of the artifact that was named; None where nobody here can tell."""


class FollowEvent(TypedDict, total=False):
    """A step of `packager follow`: a line of its --json."""

    event: str
    time: str
    """In UTC."""
    model: str
    alias: str
    version: str
    by: str
    """Version that the alias names instead."""
    sha256: str
    """Of the artifact's deployed files."""
    stage: str
    """`build`, `deploy` or `registry`."""
    error: str
    message: str
    exit_code: int
    retry_at: str
    """When the same version is tried again; without it, never."""
    serving: str
    """Version that was deployed last."""
    deploys: str
    """The command that deploys."""
    address: str
    sender: str


class FunctionVersions(TypedDict):
    """Versions of a deployed function, newest first."""

    stack: str
    function: str
    alias: str
    versions: list[VersionRow]

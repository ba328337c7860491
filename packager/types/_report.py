"""Proof and result of a build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from packager.types._bundle import Bundle, ImportedModule
from packager.types._choices import Check, Json
from packager.types._plan import BuildPlan, Spread
from packager.types._supply_chain import SupplyChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that stands between a bundle and the cloud."""

    check: Check
    message: str
    hint: str
    missing: str | None = None
    """A file or module that was not there: a candidate for a keep-rule."""
    absent: str | None = None
    """A module that nothing installed has."""

    def __str__(self) -> str:
        return f"{self.check}: {self.message} {self.hint}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """Measured on the artifact under the emulator; this machine's figures, not the cloud's."""

    init_wall_ms: float
    init_cpu_ms: float
    """User plus system time of the function's process until its first answer began."""
    first_invoke_ms: float
    warm_invoke_ms: float
    peak_rss_bytes: int
    modules: int | None = None
    response_bytes: int | None = None
    """Of the answer to the request that was timed."""
    invoke_ms_by_rows: Mapping[str, float] = field(default_factory=dict)
    """Rows of a generated request -> the time of its answer, once the function is warm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """Distances of the values of answers that passed from the registered model's."""

    equal: int = 0
    """Values that do not differ."""
    random: int = 0
    """Values that the registered model draws at random: compared by type alone."""
    by_power: Mapping[int, int] = field(default_factory=dict)
    """Power of ten at or below an absolute difference -> how many values differ so far."""

    @property
    def is_told(self) -> bool:
        """False where every value is random, or there is none: nothing is shown by it."""
        return bool(self.equal or self.by_power)

    def __add__(self, other: Distances) -> Distances:
        powers = sorted({*self.by_power, *other.by_power})
        return Distances(
            equal=self.equal + other.equal,
            random=self.random + other.random,
            by_power={
                each: self.by_power.get(each, 0) + other.by_power.get(each, 0) for each in powers
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Comparison of the booted function with the registered model, and how it was made."""

    rows_compared: int = 0
    requests_compared: int = 0
    max_abs_error: float = 0.0
    differences: Distances = field(default_factory=Distances)
    mismatches: int = 0
    refusals_agreed: int = 0
    """Requests that both sides refused with the same status."""
    unseen_rows: int = 0
    """Rows compared beside these that nothing was slimmed by: drawn anew, extremes, gaps."""
    unseen_requests: int = 0
    cold_store_misses: tuple[str, ...] = ()
    """Files that the replay asked of the compressed store: each costs time, never an answer."""
    unseen_cold_store_misses: int = 0
    """How many of these nothing but the unseen rows asked for."""
    spread: Spread = field(default_factory=Spread)
    """Of the registered model's own answers, where they part."""
    cold_start: ColdStart | None = None
    read_only: str = ""
    """How writes to the function's folder were prevented and checked."""
    host: str = ""
    """What it ran in, in a sentence."""
    protections: tuple[str, ...] = ()
    """What held while it ran, a sentence each."""
    emulated: str = ""
    """What stood for its processor, with its version; empty where that is this machine's."""
    doors: str = ""
    """By which sources a message was answered, in a sentence; empty where there are none."""
    snapshot: str = ""
    """What was asked after a start as from a snapshot, in a sentence; empty where none is taken."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Comparisons that were made, and what came of them."""

    proven: bool
    why_unproven: str = ""
    replay: Replay = field(default_factory=Replay)
    """Empty where nothing was booted."""
    threads: int | None = None
    """What the model was held to, on both sides; None where it had what its author gave it."""
    oracle: str = ""
    """The environment in which the registered model answered: Python, mlflow, how it was built."""
    oracle_protections: tuple[str, ...] | None = None
    """What held while the registered model answered; None where it was not asked."""
    declared_bytes: int | None = None
    """Installed size of the environment that the model declares, as it is."""
    declared_start_cpu_ms: float | None = None
    """CPU of that environment from process start to its first answer through mlflow.pyfunc."""
    imports: Mapping[str, tuple[ImportedModule, ...]] = field(default_factory=dict)
    """Of a start under the recorder, "before" imports were deferred and "after"; empty for none."""
    seed: int = 0
    tried: tuple[str, ...] = ()
    """Tiers and frames that were tried before, each with why it was given up."""
    notes: tuple[str, ...] = ()
    engine: Mapping[str, Json] = field(default_factory=dict)
    """Of a compiled model: candidates, rows, differences, opsets, versions."""
    checks: Mapping[str, str] = field(default_factory=dict)
    """Each further check with its result in a sentence: budget, linkage, glibc."""

    def describe(self) -> dict[str, Any]:
        """Return it as evidence.json has it: the replay's figures beside the others."""
        done = self.replay
        told = {each.name: getattr(of, each.name) for of in (done, self) for each in fields(of)}
        apart = ("replay", "spread", "host", "doors", "snapshot", "emulated")
        for name in (*apart, "protections", "oracle_protections"):
            del told[name]
        booted = {"host": done.host, "doors": done.doors, "snapshot": done.snapshot}
        sandbox = {} if self.oracle_protections is None else {"oracle": self.oracle_protections}
        emulated = {"emulated": done.emulated} if done.emulated else {}
        return told | {
            "rounding": dict(done.spread.rounding),
            "random": sorted(done.spread.chance),
            "differences": asdict(done.differences),
            "cold_start": None if done.cold_start is None else asdict(done.cold_start),
            "imports": {
                when: [asdict(each) for each in every] for when, every in self.imports.items()
            },
            "notes": (*done.notes, *self.notes),
            "sandbox": sandbox | ({"boot": done.protections} if done.host else {}) | emulated,
            "checks": {**self.checks, **{name: said for name, said in booted.items() if said}},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySample:
    """A request that was replayed, and the registered model's answer, both JSON."""

    name: str
    rows: int
    request: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """A bundle that passed every check; the only thing that `package` takes."""

    bundle: Bundle
    evidence: Evidence
    samples: tuple[ReplaySample, ...] = ()
    """Requests of the proof that a deployed function can be asked again."""
    supply_chain: SupplyChain = field(default_factory=SupplyChain)
    """Known vulnerabilities and licences of what ships, where they were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedBundle:
    """A bundle that a check failed, and what the other checks found all the same."""

    plan: BuildPlan
    unzipped_bytes: int
    evidence: Evidence


INTERFACE: Final = 2
"""Number of the calls by which `serve` uses a function's own modules; a report holds it.

Raise it where an artifact that was built before could not be served any more.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    path: Path
    """The zip; the folder, where an image is built of it."""
    folder: Path
    """The same tree, unpacked."""
    sha256: str
    """Of the zip; of the folder's sorted file records, where an image is built of it."""
    size_bytes: int
    unzipped_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    plan: BuildPlan
    bundle: Bundle
    evidence: Evidence
    artifact: Artifact
    emitted: tuple[Path, ...]
    supply_chain: SupplyChain = field(default_factory=SupplyChain)

    @property
    def lacks_audit(self) -> bool:
        """True where known vulnerabilities were asked for, and nobody answered."""
        return self.supply_chain.audit.asked and not self.supply_chain.audit.done


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """An output folder that holds a whole artifact: one that was built, or one that was kept."""

    folder: Path
    """Where it lies: the request's own folder."""
    reused: str = ""
    """Why nothing was built, as a sentence; empty where it was."""
    resolved: str = ""
    """When the package index was asked, as a sentence; empty where that was just now."""

"""The request for a build, in the groups that `packager build --help` shows."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final

from packager.types._choices import (
    Architecture,
    Compute,
    Device,
    Engine,
    Front,
    HttpAuth,
    InfrastructureTool,
    Rollout,
    Shipped,
    Tier,
    Weights,
)
from packager.types._fitting import fit_value, list_hints
from packager.types._supply_chain import OSV, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Model to package, where it is registered, and what its code and packages may reach."""

    uri: str
    tracking_uri: str | None = None
    registry_uri: str | None = None
    trust_model_index: bool = False
    """Packages may come from indexes and addresses that only the model names."""
    upgrade_pins: bool = False
    """Newer patch releases may take the place of pins that have no wheel, where answers stay the
    same to the last bit."""
    allow_network: bool = False
    """Let the model's code reach the network while it is loaded, asked and proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """Place that the artifact runs in."""

    name: str = "aws-lambda"
    """`aws-lambda`, `aws-lambda-image`, `azure-functions` or `gpu-container`; `auto` is of the
    command alone."""
    architecture: Architecture = "x86_64"
    arm64_python: Path | None = None
    """Folder with the files of an arm64 system, whose Python a function for arm64 is booted in on
    x86_64; None takes the variable's, else Debian's."""
    python_minor: str | None = None
    """`3.13`; None takes what the model and the target's runtimes lead to."""
    memory_mb: int | None = None
    timeout_seconds: int | None = None
    compute: Compute = Compute.ON_DEMAND
    """Machines that a Lambda function runs on."""
    base_image: str | None = None
    """What an image is built on: `NAME@sha256:...`; None takes the target's."""
    device: Device | None = None
    """What the model runs on; None takes what the target is for."""
    driver: str | None = None
    """The NVIDIA driver of the machines that it will run on, as `580`, or a known host's name."""
    rollout: Rollout | None = None
    """How a new version takes over the traffic; None moves all of it, and checks nothing."""
    emit: tuple[InfrastructureTool, ...] = ()
    """Tools that are written for too, beside the target's own."""
    weights: Weights = Weights.PACKAGE
    """Where the model's large data files go."""
    facts_dir: Path | None = None
    """A folder whose TOML files override those in packager/facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Way in which the model runs, and how far a compiled one's answers may be off."""

    kind: Engine | None = None
    """What answers; None takes machine code that is equal to the last bit, else the framework.

    With a tolerance it takes machine code or a graph that is within it.
    """
    tier: Tier | None = None
    """Only this tier is tried; None tries all that apply, in order."""
    rtol: float | None = None
    """Relative error that the numbers of a compiled model may have; labels have none."""
    atol: float | None = None
    """Absolute error that they may have beside it."""

    @property
    def tolerance(self) -> tuple[float, float]:
        """Relative and absolute: numbers may be off by `atol + rtol * |expected|`."""
        return (1e-5 if self.rtol is None else self.rtol, 1e-6 if self.atol is None else self.atol)

    @property
    def is_tolerant(self) -> bool:
        """Tell whether the user said how far numbers may be off."""
        return self.rtol is not None or self.atol is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Endpoint of the function, and what it reports of its requests."""

    front: Front = Front.HTTP_API
    auth: HttpAuth = HttpAuth.IAM
    """What a caller has to bring, where the template's parameter is not given another value."""
    opentelemetry: bool = False
    """Metrics, traces and logs leave by the OpenTelemetry distribution of the target's cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """Sources of events and batches, and where their answers go."""

    sources: tuple[str, ...] = ()
    """What calls it beside HTTP and direct invokes, by the names of `packager build --event`."""
    output_to: str | None = None
    """Where answers go that no caller waits for: `s3://bucket/prefix`, `sqs://queue`,
    `eventbridge://bus`, `dynamodb://table` or `firehose://stream`."""
    once: bool = False
    """Records that were answered are remembered in a table, and not scored again."""
    batch: bool = False
    """A state machine that runs whole files and folders through the function."""
    baseline: Path | None = None
    """A table (CSV, JSON Lines, Parquet) that drift is measured from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofOptions:
    """Requests that the artifact is asked before it is called proven."""

    example: Path | None = None
    """A JSON request body (MLflow's scoring format) or a CSV file to replay."""
    rows: int = 1000
    """Rows generated for replay, beside the saved example."""
    seed: int = 0
    allow_unproven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SlimmingOptions:
    """Limits on what is left out of the artifact."""

    passes: tuple[str, ...] | None = None
    """Names of the slimming passes to run; None runs all."""
    keep: tuple[str, ...] = ()
    """Glob patterns of files, relative to the function's folder, that no pass may remove."""
    requirements: Shipped = Shipped.SERVING
    """The part of the author's requirements that is tried first."""
    keep_packages: tuple[str, ...] = ()
    """Distributions that are installed whether or not serving is known to need them."""
    trace: bool = True
    """Run the function under a recorder before it is slimmed by what it was seen to use."""
    optimize: int = 0
    """Python's -O for the bytecode: 1 leaves asserts out, 2 docstrings too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyChainOptions:
    """Vulnerabilities and licences that what ships may not have."""

    audit: bool = False
    """Known vulnerabilities are asked for."""
    require_audit: bool = False
    """As `audit`, and nothing is built without an answer."""
    audit_severity: Severity | None = None
    """The least that counts; None lets all count."""
    ignore_vulnerabilities: tuple[str, ...] = ()
    """Vulnerabilities to go on with, each as `ID` or `ID=REASON`."""
    vulnerable_code: tuple[str, ...] = ()
    """Modules that a vulnerability is in, each as `ID=MODULE,...`."""
    deny_licenses: tuple[str, ...] = ()
    """Licences that nothing which ships may be under, as patterns of SPDX's ids."""
    osv_url: str = OSV
    refresh_audit: bool = False
    """No answer of the last day is taken out of the cache."""

    @property
    def is_audited(self) -> bool:
        return self.audit or self.require_audit


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """Place of the artifact; read by a build alone."""

    folder: Path = Path("dist")
    reuse: bool = True
    """Where nothing has changed since an earlier build, its artifact is taken as it is."""
    refresh: bool = False
    """The index is asked, whatever it answered in the last day; so it is without `reuse`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Options of a follower, beside the request of each build."""

    own_command: bool = False
    """The target's own command deploys."""
    commands: tuple[str, ...] = ()
    """Commands that deploy in its place."""
    passed: tuple[str, ...] = ()
    """Names of further variables that they see."""
    interval_seconds: float = 60.0
    listen: tuple[str, int] | None = None
    """Host and port for webhooks."""
    tag: str | None = None
    """Name of the place, for the tag of the version that runs there; None writes none."""
    sign_key: str | None = None
    """Private key that signs each version before it is deployed."""
    required: tuple[str, ...] = ()
    """Public keys whose holders must have signed."""
    equivalence: str | None = None
    """Largest difference that the proof may state, or `bit-equal`."""
    least_rows: int | None = None
    """Rows that the proof must have compared."""
    once: bool = False
    """End when there is nothing left to do."""
    retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildInputs:
    """Inputs of a build that no artifact holds, and leave that no artifact is believed."""

    options: ModelOptions = field(default_factory=lambda: ModelOptions(uri=""))
    """Registry and leave; the address is for a model that the report's own does not lead to."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """`example`, `baseline` and `facts_dir`."""
    allow_unproven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Request of the caller, parsed and checked; the only way in."""

    model: ModelOptions
    target: TargetOptions = field(default_factory=TargetOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    http: HttpOptions = field(default_factory=HttpOptions)
    events: EventOptions = field(default_factory=EventOptions)
    proof: ProofOptions = field(default_factory=ProofOptions)
    slimming: SlimmingOptions = field(default_factory=SlimmingOptions)
    supply_chain: SupplyChainOptions = field(default_factory=SupplyChainOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    versions: tuple[str, ...] = ()
    """`name==version` that packages must have: no option, but of an artifact's lock, to build it
    again."""
    added_packages: tuple[str, ...] = ()
    """Of `keep_packages`, those that the build itself added when a proof missed them."""


_GROUPS: Final = {
    "model": ModelOptions,
    "target": TargetOptions,
    "engine": EngineOptions,
    "http": HttpOptions,
    "events": EventOptions,
    "proof": ProofOptions,
    "slimming": SlimmingOptions,
    "supply_chain": SupplyChainOptions,
    "output": OutputOptions,
}
_NAMES: Final = {
    ("model", "uri"): "model_uri",
    ("target", "name"): "target",
    ("engine", "kind"): "engine",
    ("events", "sources"): "events",
    ("output", "folder"): "out_dir",
}
"""Settings that are called otherwise where they stand alone, as options do."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Numbers that a setting may have."""

    low: float
    high: float | None = None
    is_whole: bool = False

    def refuse(self, value: object) -> str:
        """Say what the value would have to be; empty where it is that."""
        kinds = (int,) if self.is_whole else (int, float)
        kind = "a whole number" if self.is_whole else "a number"
        if isinstance(value, bool) or not isinstance(value, kinds):
            return kind
        # what is no number at all is on neither side
        if not value >= self.low or not value <= (math.inf if self.high is None else self.high):
            return (
                f"{kind} of at least {self.low:g}"
                if self.high is None
                else (f"{kind} from {self.low:g} to {self.high:g}")
            )
        return ""


BOUNDS: Final = {
    "rows": Bound(0, is_whole=True),
    "rtol": Bound(0, 1),
    "atol": Bound(0, 1e12),
    "optimize": Bound(0, 2, is_whole=True),
}
"""Settings with bounds, by their names as options: a tolerance without an end proves nothing."""


def list_settings() -> Iterator[tuple[str, str, str]]:
    """Yield every setting: its name where it stands alone, its group, its field there."""
    for group, kind in _GROUPS.items():
        for each in fields(kind):
            yield _NAMES.get((group, each.name), each.name), group, each.name


def change_request(request: BuildRequest, **settings: object) -> BuildRequest:
    """Return the request with settings changed, each by its name as an option.

    Raises TypeError for a name that no setting has and a value of another type, and ValueError for
    a text that is none of a setting's choices.
    """
    places = {name: (group, key) for name, group, key in list_settings()}
    if unknown := sorted(settings.keys() - places.keys()):
        asked = _suggest(unknown, places)
        raise TypeError(f"A request has no setting {', '.join(unknown)}.{asked}")
    for name, given in settings.items():
        group, key = places[name]
        # a build refuses what is out of bounds, with the exit code of an option
        hint = list_hints(_GROUPS[group])[key]
        value = given if name in BOUNDS else fit_value(name, hint, given)
        request = replace(request, **{group: replace(getattr(request, group), **{key: value})})
    return request


def make_request(model_uri: str, **settings: object) -> BuildRequest:
    """Return a request for a model, with settings by their names.

    An enum's value stands for the enum, a text for a path, and any list for a tuple. Raises
    TypeError for a name that no setting has and a value of another type, and ValueError for a text
    that is none of a setting's choices.
    """
    request = BuildRequest(model=ModelOptions(uri=""))
    return change_request(request, model_uri=model_uri, **settings)


def _suggest(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Ask whether close names are meant, those that begin alike among them."""
    names = sorted(known)
    close = {
        found
        for each in unknown
        for found in (
            difflib.get_close_matches(each, names, n=1)
            or [name for name in names if name.startswith(each)][:1]
        )
    }
    return f" Did you mean {', '.join(sorted(close))}?" if close else ""

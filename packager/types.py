"""The values that pass from stage to stage, in the order in which they appear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

BATCH_SOURCES = ("files", "stepfunctions")
"""What the function of a batch must take: files by name, and items of a map."""
Architecture: TypeAlias = Literal["x86_64", "arm64"]
Door: TypeAlias = Literal["direct", "http"]
"""How a function is asked: with a request as its event, or over HTTP."""
Json: TypeAlias = Any
"""A JSON value: dict, list, str, int, float, bool or None."""


class Engine(StrEnum):
    """How a model runs in the artifact."""

    ONNX = "onnx"
    """Compiled to a graph; its framework is not installed."""
    NATIVE = "native"
    """By its own framework, or by MLflow."""


class Tier(StrEnum):
    """How much of MLflow the artifact carries; tried in this order."""

    NATIVE = "native"
    """Our loader alone; nothing named mlflow is importable."""
    STUB = "stub"
    """Our stand-in for the few mlflow names that a user's class needs."""
    SKINNY = "skinny"
    """mlflow-skinny at the model's own version, loading through mlflow.pyfunc."""


class Frame(StrEnum):
    """What a model is handed for a column-based request."""

    NUMPY = "numpy"
    """A dict of column name to one-dimensional array; pandas is not installed for it."""
    PANDAS = "pandas"


class Device(StrEnum):
    """What a model runs on."""

    CPU = "cpu"
    CUDA = "cuda"


class Front(StrEnum):
    """The HTTP front of a function."""

    HTTP_API = "http-api"
    FUNCTION_URL = "function-url"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What the caller asked for, parsed and checked; the only way in."""

    model_uri: str
    out_dir: Path
    target: str = "aws-lambda"
    architecture: Architecture = "x86_64"
    python_minor: str | None = None
    """`3.13`; None takes what the model and the target's runtimes lead to."""
    tracking_uri: str | None = None
    registry_uri: str | None = None
    example: Path | None = None
    """A JSON request body (MLflow's scoring format) or a CSV file to replay."""
    tier: Tier | None = None
    """Only this tier is tried; None tries all that apply, in order."""
    engine: Engine | None = Engine.NATIVE
    """None tries to compile the model, and falls back to its own framework."""
    rtol: float = 1e-5
    atol: float = 1e-6
    """How far a compiled model's numbers may be off: `atol + rtol * |expected|`; labels never."""
    passes: tuple[str, ...] | None = None
    """Names of the slimming passes to run; None runs all."""
    keep: tuple[str, ...] = ()
    """Glob patterns of files, relative to the function's folder, that no pass may remove."""
    trace: bool = True
    """Run the function under a recorder before it is slimmed by what it was seen to use."""
    optimize: int = 0
    """Python's -O for the bytecode: 1 leaves asserts out, 2 docstrings too."""
    allow_unproven: bool = False
    rows: int = 1000
    """Rows generated for replay, beside the saved example."""
    seed: int = 0
    front: Front = Front.HTTP_API
    events: tuple[str, ...] = ()
    """Event sources, by their names under handlers.events, beside HTTP and direct invokes."""
    output_to: str | None = None
    """Where answers go that no caller waits for: `s3://bucket/prefix`, `sqs://queue`,
    `eventbridge://bus`, `dynamodb://table` or `firehose://stream`."""
    once: bool = False
    """Records that were answered are remembered in a table, and not scored again."""
    baseline: Path | None = None
    """A table (CSV, JSON Lines, Parquet) that drift is measured from."""
    batch: bool = False
    """A state machine that runs whole files and folders through the function."""
    memory_mb: int | None = None
    timeout_seconds: int | None = None
    base_image: str | None = None
    """What an image is built on: `NAME@sha256:...`; None takes the target's."""
    device: Device | None = None
    """What the model runs on; None takes what the target is for."""
    driver: str | None = None
    """The NVIDIA driver of the machines that it will run on, as `580`, or a known host's name."""
    facts_dir: Path | None = None
    """A folder whose TOML files override those in packager/facts."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file, as a wheel's RECORD has it."""

    path: PurePosixPath
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What the author's environment was declared to be, as MLflow reads it."""

    lines: tuple[str, ...]
    """PEP 508 requirements, each on its own; paths to wheels are relative to the model."""
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """Index options, as uv takes them: `--extra-index-url https://...`."""
    source: str = "requirements.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedExample:
    """The input example that was logged with the model, or given with --example."""

    body: bytes
    """A request body in MLflow's scoring format."""
    content_type: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """A model folder of our own, and what its MLmodel says."""

    uri: str
    name: str
    version: str | None
    aliases: tuple[str, ...] = ()
    run_id: str | None = None
    model_id: str | None = None
    mlflow_version: str | None = None
    python_version: str | None = None
    """The author's interpreter, in full: `3.11.7`."""
    flavors: Mapping[str, Mapping[str, Json]]
    """Every flavor of MLmodel with its configuration, `python_function` among them."""
    signature: Mapping[str, Json] | None
    """`inputs`, `outputs`, `params`: each a list of column, tensor or parameter specs, or None."""
    signature_from_type_hints: bool = False
    example: SavedExample | None = None
    requirements: Requirements
    created: str | None = None
    """When it was logged, in UTC, as MLmodel has it."""
    baseline: Path | None = None
    """A table of rows that the model is usually asked."""
    baseline_source: str = ""
    """Where that table is from, in words."""
    root: Path
    """The model folder: ours alone, author's paths removed; later stages only read it."""
    files: tuple[FileRecord, ...]
    digest: str
    """sha256 over the source's sorted file records, before anything was removed."""
    notes: tuple[str, ...] = ()

    @property
    def pyfunc(self) -> Mapping[str, Json]:
        return self.flavors.get("python_function", {})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderSpec:
    """What a flavor's loader must know, and what it needs installed."""

    loader: str
    """Module under `handlers.loaders`: its stem."""
    options: Mapping[str, Json]
    """Written into the manifest; read by the loader alone."""
    unpickled: tuple[str, ...] = ()
    """Files, relative to the model, that loading unpickles: they tie the Python minor version."""
    frames: tuple[Frame, ...] = (Frame.PANDAS,)
    """What the loader can be handed, the cheapest first."""
    requires: tuple[str, ...] = ()
    """Distributions that serving needs whether or not the model lists them."""
    drops: tuple[str, ...] = ()
    """Distributions that the model lists but serving never imports."""
    excludes: tuple[str, ...] = ()
    """Distributions that others require, for what serving never does: left out whoever asks."""
    alone: bool = False
    """Nothing that the model lists is installed: `requires` is all there is."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A graph that answered as the registered model, and how that was found."""

    folder: Path
    """What ships in place of the model's folder."""
    evidence: Mapping[str, Json]
    adversarial: tuple[Mapping[str, Json], ...] = ()
    """Columns of rows that the booted artifact is to be asked, beside the generated ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """How one MLflow flavor is read; one file each under packager/flavors."""

    name: str
    read: Callable[[ResolvedModel, Tier, Frame], LoaderSpec]
    tiers: tuple[Tier, ...] = (Tier.NATIVE, Tier.STUB, Tier.SKINNY)
    frames: Callable[[ResolvedModel], tuple[Frame, ...]] = lambda _model: (Frame.PANDAS,)
    """Which frames may be tried for this model, the cheapest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A platform's ceilings, with the page that states them and the day it was read."""

    unzipped_bytes: int
    zipped_bytes: int | None
    request_bytes: int
    response_bytes: int
    memory_mb: tuple[int, int]
    memory_sizes_mb: tuple[int, ...]
    """All that can be had, where not every size between the two can."""
    whole_cpu_mb: int
    """The memory that comes with one whole vCPU."""
    timeout_seconds: int
    tmp_bytes: int
    init_seconds: float
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A managed runtime of a target."""

    name: str
    """`python3.13`"""
    python_minor: str
    os: str
    glibc: tuple[int, int]
    end_of_life: date
    snapstart: bool
    platforms: Mapping[Architecture, str]
    """uv's --python-platform for each architecture."""
    provides: frozenset[str]
    """Distributions the runtime carries, normalised names."""
    libraries: frozenset[str]
    """Shared libraries (SONAMEs) that the runtime's system carries."""
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A distribution that the host would run on, and whose old versions it breaks on."""

    name: str
    least: str
    """The first version that does no harm."""
    below_python: str
    """The host imports the artifact's copy on older Pythons only: `3.13`."""
    why: str
    hint: str
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """What a target's images are built on, where nothing else is asked for."""

    reference: str
    """As `FROM` has it; `{python}` and `{architecture}` stand for the runtime's."""
    size_bytes: int
    """Of all its layers, uncompressed, at most: a platform's ceiling counts them too."""
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an artifact goes; one file each under packager/targets."""

    name: str
    templates: str
    """Folder under templates/."""
    entrypoint: str
    limits: Limits
    runtimes: tuple[Runtime, ...]
    requires: tuple[str, ...]
    """Distributions the thin entry point itself needs."""
    handlers: tuple[str, ...]
    """Files of handlers/ that ship beside the scoring core, as globs relative to handlers/."""
    deploy: str
    """The command that deploys, in the artifact's folder."""
    infra: str | None
    """Folder under infra/ whose templates are emitted too."""
    scripts: Mapping[str, frozenset[str]]
    """Files there that are emitted where one of these sources is asked for."""
    reserved: tuple[str, ...]
    """Files that no package may bring to the top: the host would take them for its own."""
    keep: tuple[str, ...]
    """What the host imports before the entry point, as globs: no pass may move it."""
    way_out: str
    """The target to name when a model does not fit."""
    sources: tuple[str, ...]
    """What can be its events beside HTTP: modules of one folder of handlers/."""
    source_modules: PurePosixPath
    """That folder, relative to handlers/."""
    answering: frozenset[str]
    """Those of the sources whose caller gets the answers; the others' go to a destination."""
    needs: Mapping[str, tuple[str, ...]]
    """Distributions that a source needs beside `requires`."""
    outputs: tuple[str, ...]
    """Kinds of destination."""
    failures: str | None
    """The kind that takes what can never be answered; None where the platform's bindings deliver,
    and no module of handlers.destinations ships."""
    remembers: bool
    """Whether it can keep a table of what was answered."""
    doors: tuple[Door, ...]
    root: PurePosixPath
    """Where the deployed folder lies on the target."""
    shadows: tuple[Shadow, ...]
    home: PurePosixPath
    """Where in it the tree of packages, model and handlers lies."""
    library_path: tuple[PurePosixPath, ...]
    """Folders of the tree that the dynamic loader searches: LD_LIBRARY_PATH."""
    base_image: BaseImage | None = None
    """None where a zip is deployed; else a container image is, which is built on this."""
    device: Device = Device.CPU
    """What is usual there; any that `devices` has may be asked for."""
    devices: tuple[Device, ...] = (Device.CPU,)
    shares: str | None = None
    """Folder under templates/ whose templates are taken too, where `templates` has none such."""

    def required_for(self, sources: Iterable[str]) -> tuple[str, ...]:
        """Distributions of the entry point and of these sources."""
        more = (line for name in sources for line in self.needs.get(name, ()))
        return (*self.requires, *more)

    def scripts_for(self, sources: Iterable[str]) -> tuple[str, ...]:
        asked = set(sources)
        return tuple(name for name, of in self.scripts.items() if asked & of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that was run and told its version."""

    path: Path
    version: str
    """In full: `3.13.0`."""
    found_by: str

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    name: str
    version: str
    size_bytes: int | None = None
    """Of the wheel that was chosen, compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What will be installed, by digest: a PEP 751 pylock."""

    text: str
    packages: tuple[LockedPackage, ...]

    def version(self, name: str) -> str | None:
        return next((p.version for p in self.packages if p.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything that will be done, decided; nothing done yet."""

    request: BuildRequest
    model: ResolvedModel
    flavor: str
    engine: Engine = Engine.NATIVE
    tier: Tier
    frame: Frame
    loader: LoaderSpec
    compiled: Compiled | None = None
    target: Target
    runtime: Runtime
    interpreter: Interpreter
    """A Python of the target's minor version, on this machine."""
    lock: Lock
    passes: tuple[str, ...]
    keep: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        return self.runtime.platforms[self.request.architecture]

    @property
    def device(self) -> Device:
        return self.request.device or self.target.device

    @property
    def base_image(self) -> str:
        """As `FROM` has it; empty where no image is built."""
        if self.target.base_image is None:
            return ""
        return self.request.base_image or self.target.base_image.reference.format(
            python=self.runtime.python_minor, architecture=self.request.architecture
        )

    @property
    def provided(self) -> tuple[str, ...]:
        """Distributions that the model lists, the runtime carries, and that are not installed."""
        listed = {line.partition("==")[0].strip().lower() for line in self.model.requirements.lines}
        locked = {package.name for package in self.lock.packages}
        return tuple(sorted((self.runtime.provides & listed) - locked))


@dataclass(frozen=True, slots=True)
class Removal:
    path: PurePosixPath
    size_bytes: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """What one pass did to the tree, and why."""

    name: str
    bytes_before: int
    bytes_after: int
    files_before: int
    files_after: int
    reason: str
    proof: str = ""
    reverted: tuple[str, ...] = ()
    """Paths that the pass changed and had to change back, or globs of those it had to spare."""
    cpu_ms_saved: float | None = None
    """CPU of a start that the pass saves, where it was measured on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a function was seen to touch; paths are relative to its folder."""

    init: tuple[str, ...]
    """Modules that are loaded when it has started, in the order in which their imports ended."""
    answering: tuple[str, ...]
    """Modules loaded first by a request that is answered."""
    refusing: tuple[str, ...]
    """Modules loaded first by a request that is turned down."""
    files: Mapping[str, PurePosixPath]
    """The file of each of these modules that lies in the folder."""
    opened: tuple[PurePosixPath, ...]
    """Files that were opened or mapped, sorted."""
    own_cpu_ms: Mapping[str, float]
    """CPU of each module's import without the imports inside it. A measurement: differs each time,
    so nothing that ships may hang on it."""
    answers: tuple[str, ...]
    """To each request: JSON, or the error that it failed with."""
    asked: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """For each module that a deferred import loaded: which module's, and of which name."""

    @property
    def modules(self) -> frozenset[str]:
        """Every module that was loaded at the end."""
        return frozenset((*self.init, *self.answering, *self.refusing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A staged file tree: what ships, and what was left out and why."""

    root: Path
    files: tuple[FileRecord, ...]
    removed: tuple[Removal, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    trace: Trace | None = None
    """None where none was made; `untraced` says why."""
    untraced: str = "no trace was asked for"
    tops: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Top-level names of the folder by the installed distribution that they are of."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that stands between a bundle and the cloud."""

    check: str
    message: str
    hint: str
    missing: str | None = None
    """A file or module that was not there: a candidate for a keep-rule."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was compared, and what came of it."""

    proven: bool
    why_unproven: str = ""
    rows_compared: int = 0
    requests_compared: int = 0
    max_abs_error: float = 0.0
    mismatches: int = 0
    refusals_agreed: int = 0
    """Requests that both sides refused with the same status."""
    unseen_rows: int = 0
    """Rows compared beside these that nothing was slimmed by: drawn anew, extremes, gaps."""
    unseen_requests: int = 0
    cold_store_misses: tuple[str, ...] = ()
    """Files that the replay asked of the cold store: each costs time, never an answer."""
    unseen_cold_store_misses: int = 0
    """How many of these nothing but the unseen rows asked for."""
    oracle: str = ""
    """The environment in which the registered model answered: Python, mlflow, how it was built."""
    declared_bytes: int | None = None
    """Installed size of the environment that the model declares, as it is."""
    declared_start_cpu_ms: float | None = None
    """CPU of that environment from process start to its first answer through mlflow.pyfunc."""
    read_only: str = ""
    """How writes to the function's folder were prevented and checked."""
    seed: int = 0
    cold_start: ColdStart | None = None
    tried: tuple[str, ...] = ()
    """Tiers and frames that were tried before, each with why it was given up."""
    notes: tuple[str, ...] = ()
    engine: Mapping[str, Json] = field(default_factory=dict)
    """Of a compiled model: candidates, rows, differences, opsets, versions."""
    checks: Mapping[str, str] = field(default_factory=dict)
    """Each further check with its result in a sentence: budget, linkage, glibc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """A bundle that passed every check; the only thing that `package` takes."""

    bundle: Bundle
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedBundle:
    """A bundle that a check failed, and what the other checks found all the same."""

    plan: BuildPlan
    unzipped_bytes: int
    evidence: Evidence


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

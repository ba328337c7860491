"""The request, what the registry gave for it, and the way in which it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from packager.types._choices import Architecture, Device, Engine, Frame, Front, Json, Shipped, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Request of the caller, parsed and checked; the only way in."""

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
    requirements: Shipped = Shipped.SERVING
    """The part of the author's requirements that is tried first."""
    keep_packages: tuple[str, ...] = ()
    """Distributions that are installed whether or not serving is known to need them."""
    trace: bool = True
    """Run the function under a recorder before it is slimmed by what it was seen to use."""
    optimize: int = 0
    """Python's -O for the bytecode: 1 leaves asserts out, 2 docstrings too."""
    allow_unproven: bool = False
    allow_network: bool = False
    """Let the model's code reach the network while it is loaded, asked and proven."""
    rows: int = 1000
    """Rows generated for replay, beside the saved example."""
    seed: int = 0
    front: Front = Front.HTTP_API
    events: tuple[str, ...] = ()
    """Names under handlers.events.sources: what calls it beside HTTP and direct invokes."""
    output_to: str | None = None
    """Where answers go that no caller waits for: `s3://bucket/prefix`, `sqs://queue`,
    `eventbridge://bus`, `dynamodb://table` or `firehose://stream`."""
    once: bool = False
    """Records that were answered are remembered in a table, and not scored again."""
    baseline: Path | None = None
    """A table (CSV, JSON Lines, Parquet) that drift is measured from."""
    batch: bool = False
    """A state machine that runs whole files and folders through the function."""
    opentelemetry: bool = False
    """Metrics, traces and logs leave by the OpenTelemetry distribution of the target's cloud."""
    memory_mb: int | None = None
    timeout_seconds: int | None = None
    base_image: str | None = None
    """What an image is built on: `NAME@sha256:...`; None takes the target's."""
    trust_model_index: bool = False
    """Packages may come from indexes and addresses that only the model names."""
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
    """Environment that the author declared, as MLflow reads it."""

    lines: tuple[str, ...]
    """PEP 508 requirements, each on its own; paths to wheels are relative to the model."""
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """Index options that are heeded, as uv takes them: `--extra-index-url https://...`."""
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By line or constraint, the digests that one of its files must have: `sha256:...`."""
    unused_indexes: tuple[str, ...] = ()
    """Index options that only the model names and nobody trusts, without credentials."""
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
    """Facts that a flavor's loader must know, and what it needs installed."""

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
    """Reader of one MLflow flavor; one file each under packager/models/flavors."""

    name: str
    read: Callable[[ResolvedModel, Tier, Frame], LoaderSpec]
    tiers: tuple[Tier, ...] = (Tier.NATIVE, Tier.STUB, Tier.SKINNY)
    frames: Callable[[ResolvedModel], tuple[Frame, ...]] = lambda _model: (Frame.PANDAS,)
    """Which frames may be tried for this model, the cheapest first."""

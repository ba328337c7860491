"""The model that a registry gave for a request, and the way in which it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypedDict

from packager.types._choices import Frame, Json, Tier


class TensorSpec(TypedDict, total=False):
    """Type and shape of a tensor in a signature; a length of -1 is any."""

    dtype: str
    shape: list[int]


ColumnSpec = TypedDict(
    "ColumnSpec",
    {
        "name": str,
        "type": str,
        "required": bool,
        "tensor-spec": TensorSpec,
        "items": "ColumnSpec",
        "values": "ColumnSpec",
        "properties": "dict[str, ColumnSpec]",
    },
    total=False,
)
"""A column, a tensor or a part of one in a signature, as MLmodel holds it."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file, as a wheel's RECORD has it."""

    path: PurePosixPath
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChange:
    """A requirement line that is not used as the author wrote it."""

    line: str
    used: str = ""
    """The line that takes its place; empty where none does."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradedPin:
    """A pinned distribution of which a newer patch release ships."""

    name: str
    old: str
    new: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """Environment that the author declared, as MLflow reads it."""

    lines: tuple[str, ...]
    """PEP 508 requirements, each on its own; paths to wheels are relative to the model."""
    constraints: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    """Versions for other systems or for conda: what else requires them gets these, if it can."""
    overrides: tuple[str, ...] = ()
    """Pins that hold whatever the packages require: of lines that do not go together otherwise."""
    conflict: str = ""
    """Why they do not, in the resolver's words."""
    options: tuple[str, ...] = ()
    """Index options that are heeded, as uv takes them: `--extra-index-url https://...`."""
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By line or constraint, the digests that one of its files must have: `sha256:...`."""
    unused_indexes: tuple[str, ...] = ()
    """Index options that only the model names and nobody trusts, without credentials."""
    source: str = "requirements.txt"
    conda: tuple[str, ...] = ()
    """Packages of conda.yaml's outside of its pip part, as it has them."""
    changes: tuple[LineChange, ...] = ()
    """Lines that the plan left out, or reads as others."""

    @property
    def declared(self) -> int:
        """Count the lines that the author wrote."""
        return len(self.lines) + sum(not change.used for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedExample:
    """The input example that was logged with the model, or given with --example."""

    body: bytes
    """A request body in MLflow's scoring format."""
    content_type: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """A data set that was logged with a run."""

    name: str
    digest: str
    """As MLflow computes it: it tells one version of the data from another."""
    context: str = ""
    """What it was used for, in the author's word: `training`, `eval`."""
    source: str = ""
    """Its address, without credentials; empty where it lies on a machine."""
    rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """Record of the run that logged a model, as MLflow keeps it, without what may be a secret."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    """Those of the author: none that MLflow writes."""
    datasets: tuple[TrainingData, ...] = ()
    left_out: int = 0
    """Entries that may be secrets, or that are beyond the bounds."""


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
    training: TrainingRecord | None = None
    """None where no registry or tracking server knows a run of it."""
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
class RewrittenFile:
    """A pickle that ships with pandas' text as pandas keeps it where there is no pyarrow."""

    path: PurePosixPath
    """Relative to the model's folder."""
    arrays: int
    """Arrays of text that were decoded."""
    types: int
    """Types of columns that are kept beside them."""
    logged_sha256: str
    sha256: str
    """Of what ships."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A graph or a library that answered as the registered model, and how that was found."""

    folder: Path
    """What ships in place of the model's folder."""
    evidence: Mapping[str, Json]
    adversarial: tuple[Mapping[str, Json], ...] = ()
    """Columns of rows that the booted artifact is to be asked, beside the generated ones."""
    tolerance: tuple[float, float] | None = None
    """Relative and absolute, of the booted artifact's numbers; None asks for every bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """Reader of one MLflow flavor; one file each under packager/models/flavors."""

    name: str
    read: Callable[[ResolvedModel, Tier, Frame], LoaderSpec]
    tiers: tuple[Tier, ...] = (Tier.NATIVE, Tier.STUB, Tier.SKINNY)
    frames: Callable[[ResolvedModel], tuple[Frame, ...]] = lambda _model: (Frame.PANDAS,)
    """Which frames may be tried for this model, the cheapest first."""

"""Targets that an artifact goes to: mostly data, read from packager/facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Final

from packager.types._choices import (
    Architecture,
    Compute,
    Device,
    Door,
    HostKind,
    HttpAuth,
    InfrastructureTool,
    Weights,
)

_TOP: Final = PurePosixPath()
_LIBRARIES: Final = PurePosixPath("lib")
_SOURCES: Final = PurePosixPath("events/aws_sources")


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
class Surroundings:
    """Surroundings of a function on a platform, beside its own folder and /tmp."""

    user: str
    uid: int
    gid: int
    home: str
    """As HOME or the password file has it; it is neither there nor can it be made."""
    shared_memory_bytes: int
    """Of /dev/shm; 0 where there is none, so that a lock between processes cannot be made."""
    cpu_files: frozenset[str]
    """Architectures on which /sys/devices/system is there."""
    commands: tuple[str, ...]
    """Programs that a function can start by name."""
    processes: int
    """Processes and threads together."""
    open_files: int
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
    snapstart_by_label: bool = False
    """Whether an image of it has to say by a label that it may start from a snapshot."""
    base_image: str = ""
    """As `FROM` has it, where it is another than the target's: `{python}` stands for its Python."""
    requires: tuple[str, ...] = ()
    """Distributions that the base image lacks and the platform's own has."""
    requires_for_events: tuple[str, ...] = ()
    """The same, where events are taken."""
    keep: tuple[str, ...] = ()
    """What of these is imported before the entry point, as globs: no pass may move it."""

    @property
    def brings_client(self) -> bool:
        """Tell whether a function brings what calls it, as on a base image that has none.

        Elsewhere the platform's own client calls it, whatever the function ships.
        """
        return bool(self.requires)


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
class Telemetry:
    """Sender of OpenTelemetry to a target's cloud, where that is asked for."""

    requires: tuple[str, ...]
    keep: tuple[str, ...]
    """What it imports, as globs: at times of its own, in threads of its own, so that a recorder
    sees it or not."""
    trial: Mapping[str, str]
    """Variables under which it starts before it is deployed; nothing listens where it sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCheck:
    """Library that checks the tokens of a target's callers, where `--auth jwt` asks for it."""

    requires: tuple[str, ...]
    keep: tuple[str, ...]
    """What it imports, as globs: the proof asks without a token, and never sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """Image that a target's images are built on, where nothing else is asked for."""

    reference: str
    """As `FROM` has it; `{python}` and `{architecture}` stand for the runtime's."""
    size_bytes: int
    """Of all its layers, uncompressed, at most: a platform's ceiling counts them too."""
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Code of ours that runs on a target, and what it needs there."""

    host: HostKind
    """Program that calls the entry point; what is booted, set and traced goes by it."""
    entrypoint: str
    requires: tuple[str, ...]
    """Distributions the thin entry point itself needs."""
    handlers: tuple[str, ...]
    """Files of handlers/ that ship beside the scoring core, as globs relative to handlers/."""
    keep: tuple[str, ...] = ()
    """What the host imports before the entry point, as globs: no pass may move it."""
    telemetry: Telemetry | None = None
    """None where `--opentelemetry` has nothing to add."""
    token_check: TokenCheck | None = None
    """None where the platform checks tokens itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Files that deploy an artifact, and the command that does it."""

    templates: str
    """Folder under templates/."""
    deploy: str
    """The command that deploys, in the artifact's folder."""
    unattended: tuple[str, ...] = ()
    """Commands that deploy where nobody answers a question; empty where the place decides them."""
    shares: str | None = None
    """Folder under templates/ whose templates are taken too, where `templates` has none such."""
    infra: str | None = None
    """Folder under infra/ whose templates are emitted too."""
    scripts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Files there that are emitted where one of these sources is asked for."""
    base_image: BaseImage | None = None
    """None where a zip is deployed; else a container image is, which is built on this."""
    rolls_out: bool = False
    """Whether its template can move traffic to a new version step by step."""
    replays: bool = False
    """Whether the check of what is deployed goes along as a program that asks over HTTP."""
    makes_endpoint: bool = False
    """Whether its template makes the HTTP endpoint, and can say who may call."""
    callers: tuple[HttpAuth, ...] = ()
    """What it can ask of HTTP callers in place of its default, where no template makes the
    endpoint."""
    emits: tuple[InfrastructureTool, ...] = ()
    """Tools that its template can be written for."""
    compared_by_hand: str = ""
    """How to compare what runs with the artifact; empty where a stack of ours states its digest."""

    def list_scripts(self, sources: Iterable[str]) -> tuple[str, ...]:
        """Return the scripts that deploying these sources takes."""
        wanted = set(sources)
        return tuple(name for name, of in self.scripts.items() if wanted & of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Place of the deployed folder on a target, and of the function's files in it."""

    root: PurePosixPath
    """Where the deployed folder lies on the target."""
    home: PurePosixPath = _TOP
    """Where in it the tree of packages, model and handlers lies."""
    library_path: tuple[PurePosixPath, ...] = (_TOP, _LIBRARIES)
    """Folders of the tree that the dynamic loader searches: LD_LIBRARY_PATH."""
    reserved: tuple[str, ...] = ()
    """Files that no package may bring to the top: the host would take them for its own."""
    shadows: tuple[Shadow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSupport:
    """Events of a target beside HTTP, and where their answers can go."""

    sources: tuple[str, ...] = ()
    """Modules of one folder of handlers/."""
    source_modules: PurePosixPath = _SOURCES
    """That folder, relative to handlers/."""
    answering: frozenset[str] = frozenset()
    """Those of the sources whose caller gets the answers; the others' go to a destination."""
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Distributions that a source needs beside the program's."""
    outputs: tuple[str, ...] = ()
    """Kinds of destination."""
    failures: str | None = None
    """The kind that takes what can never be answered; None where the platform's bindings deliver,
    and no module of handlers.events.destinations ships."""
    remembers: bool = False
    """Whether it can keep a table of what was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """Managed instances of AWS Lambda: what an environment on them may have."""

    python: str
    """The least Python whose runtime has several requests at once: `3.13`."""
    timeout_seconds: int
    memory_mb: tuple[int, int]
    tmp_mb: tuple[int, int]
    concurrency: int
    """Requests at once in one environment, at most; each has a process of its own."""
    usual_concurrency: int
    """The same, where nothing is set and memory is no limit."""
    memory_gib_per_vcpu: tuple[int, int]
    accelerator_gb: tuple[int, ...]
    """Memory of a GPU that can be asked for."""
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Processors that a target runs on."""

    told_memory: bool = False
    """Whether a function gets CPUs by its memory, and AWS_LAMBDA_FUNCTION_MEMORY_SIZE tells it."""
    many_cores: bool = False
    """Whether it is a server whose cores a model may have all; a function has one or two."""
    device: Device = Device.CPU
    """What is usual there; any that `devices` has may be asked for."""
    devices: tuple[Device, ...] = (Device.CPU,)
    computes: tuple[Compute, ...] = (Compute.ON_DEMAND,)
    """Kinds of machines that a function can be deployed to; the first is usual."""
    instances: Instances | None = None
    """Managed instances, where a build is for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSupport:
    """Ways in which a target's function can have weights that are not in what is deployed."""

    ways: tuple[Weights, ...]
    """The first is taken where the build is to choose."""
    handlers: tuple[str, ...]
    """Files of handlers/ that ship then, as globs relative to handlers/."""
    tmp_most_bytes: int
    """Most of /tmp that can be asked for: what is fetched lies there. 0 where nothing is."""
    fetch_bytes_per_second: int
    """Of one function, as its source measured it; nothing here can. 0 where nothing is fetched."""
    source: str
    as_of: date

    @property
    def fetches(self) -> bool:
        return Weights.FETCH in self.ways


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Target that an artifact goes to; one file each under packager/targets."""

    name: str
    way_out: str
    """The target to name when a model does not fit."""
    doors: tuple[Door, ...]
    limits: Limits
    runtimes: tuple[Runtime, ...]
    program: Program
    deployment: Deployment
    tree: Tree
    events: EventSupport = field(default_factory=EventSupport)
    machine: Machine = field(default_factory=Machine)
    weights: WeightsSupport | None = None
    """None where the model's files are always in what is deployed."""

    def has_runtime(self, runtime: Runtime, today: date) -> bool:
        """Tell whether that one can be deployed to: an image outlives its Python's end of life."""
        return runtime.end_of_life > today or self.deployment.base_image is not None

    def required_for(self, sources: Iterable[str]) -> tuple[str, ...]:
        """Distributions of the entry point and of these sources."""
        more = (line for name in sources for line in self.events.needs.get(name, ()))
        return (*self.program.requires, *more)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveTarget:
    """A target, and what one build has for it beside what any build has."""

    target: Target
    requires: tuple[str, ...]
    """Distributions of the entry point, the event sources, telemetry and the device."""
    keep: tuple[str, ...]
    """Globs of what the host and telemetry import: no pass may move it."""

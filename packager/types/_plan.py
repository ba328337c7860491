"""Everything decided, and what it was decided with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager.types._choices import Device, Engine, Frame, Shipped, Tier, Weights
from packager.types._model import (
    Compiled,
    LoaderSpec,
    ResolvedModel,
    RewrittenFile,
    UpgradedPin,
)
from packager.types._request import BuildRequest
from packager.types._target import Runtime, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedPython:
    """A Python for another processor, and the program that runs it on this machine's."""

    program: Path
    """qemu's."""
    options: tuple[str, ...]
    """The processor that it stands for."""
    version: str
    """In full: `qemu-aarch64 7.2.22`."""
    root: Path
    """Folder that stands for the root of the file system, where what is asked for is there."""
    python: Path
    """Below `root`."""
    source: str
    """Where it is from, with its version, as part of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that was run and told its version."""

    path: Path
    version: str
    """In full: `3.13.0`."""
    found_by: str
    emulated: EmulatedPython | None = None
    """What a function is booted in, where it is for another processor than this machine's."""

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def server_options(self) -> tuple[str, ...]:
        """Options of a server: no user's packages, and from Python 3.11 on no folder of its own."""
        return ("-P", "-s") if self.is_from(3, 11) else ("-s",)

    def is_from(self, major: int, minor: int) -> bool:
        """Tell whether it is of that version or a later one."""
        found = self.version.split(".")
        return (int(found[0]), int(found[1])) >= (major, minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    name: str
    version: str
    size_bytes: int | None = None
    """Of the wheel that was chosen, compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Distributions to install, by digest: a PEP 751 pylock."""

    text: str
    packages: tuple[LockedPackage, ...]

    def version(self, name: str) -> str | None:
        return next((p.version for p in self.packages if p.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Distance of the registered model's own answers to one request: place -> the most seen."""

    rounding: Mapping[str, float] = field(default_factory=dict)
    """Where nothing but last digits move, as the sums of threads do."""
    chance: Mapping[str, float] = field(default_factory=dict)
    """Where more than these does; 0 where what differs is no number."""


REQUIRED_BESIDE: Final = "what is installed beside it requires it"
"""The reason of a distribution until it is installed, and metadata tell by what it is required."""


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
    shipped: Shipped = Shipped.DECLARED
    """The part of the author's requirements that the lock has."""
    kept_for: Mapping[str, str] = field(default_factory=dict)
    """Distribution -> why it is in the lock, as the end of a sentence."""
    named: frozenset[str] = frozenset()
    """Distributions that the model's own files name, or --keep-package does: all of them ships."""
    spared: frozenset[str] = frozenset()
    """Distributions that are listed, and that no pass takes out while the tree fits the target."""
    spared_for: str = ""
    """Why these are, as the end of a sentence: `code/steps.py:3 imports what only running it
    tells`."""
    unshipped: tuple[str, ...] = ()
    """Distributions of the author's environment that are not in the lock."""
    entry_groups: tuple[str, ...] = ()
    """Groups of entry points that the model's code asks for."""
    declaring: Mapping[str, str] = field(default_factory=dict)
    """Distribution of the author's environment -> the first of these groups that it declares;
    known once the registered model was asked."""
    upgraded: tuple[UpgradedPin, ...] = ()
    """Pins of the author's in whose place newer patch releases are in the lock."""
    answered: tuple[tuple[str, str], ...] = ()
    """Distributions that are not installed and that importlib.metadata answers for, and versions:
    MLflow's, where the model's code asks."""
    base_digest: str = ""
    """Digest of the image's base, `sha256:...`, as its registry gave it; empty where it did not, or
    where the base was named with one."""
    rewritten: tuple[RewrittenFile, ...] = ()
    """Pickles that ship with pandas' text as it is kept without pyarrow, which the lock lacks."""
    drift: str | None = None
    """Text of drift.json, what drift is measured from; None where it is not measured."""
    passes: tuple[str, ...]
    threads: int | None = None
    """What the model is held to where it is served and where it is asked; None leaves it alone."""
    spread: Spread = Spread()
    """Of the registered model's answers, asked as `threads` has it."""
    system_libraries: tuple[str, ...] = ()
    """Of this machine's system, which the registered model loaded when it was asked."""
    keep: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        return self.runtime.platforms[self.request.target.architecture]

    @property
    def allows_unproven(self) -> bool:
        """True where an artifact may leave without proof: never one of upgraded pins."""
        return self.request.proof.allow_unproven and not self.upgraded

    @property
    def device(self) -> Device:
        return self.request.target.device or self.target.machine.device

    @property
    def weights_way(self) -> Weights:
        """Return how the function has weights that lie outside of it, where some do."""
        wanted, support = self.request.target.weights, self.target.weights
        if wanted in (Weights.FETCH, Weights.MOUNT) or support is None:
            return wanted
        return support.ways[0]

    @property
    def variables(self) -> Mapping[str, str]:
        """Variables of the environment that the function is booted in before it is deployed."""
        telemetry = self.target.program.telemetry
        return telemetry.trial if telemetry and self.request.http.opentelemetry else {}

    @property
    def base_image(self) -> str:
        """As `FROM` has it; empty where no image is built."""
        if self.target.deployment.base_image is None:
            return ""
        named = self.runtime.base_image or self.target.deployment.base_image.reference
        chosen = self.request.target.base_image or named.format(
            python=self.runtime.python_minor, architecture=self.request.target.architecture
        )
        return f"{chosen}@{self.base_digest}" if self.base_digest else chosen

    @property
    def provided(self) -> tuple[str, ...]:
        """Distributions that the runtime carries, not installed: what the model lists of them.

        And what the handlers of events ask AWS's services by.
        """
        listed = {line.partition("==")[0].strip().lower() for line in self.model.requirements.lines}
        listed |= {"botocore"} if self.request.events.sources else set()
        locked = {package.name for package in self.lock.packages}
        return tuple(sorted((self.runtime.provides & listed) - locked))

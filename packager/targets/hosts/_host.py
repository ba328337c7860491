"""Interface of a target's host: boot a built function's folder, ask as its callers would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from packager.probes import Probe
from packager.system.sandbox.confined_program import ProcessStats
from packager.system.sandbox.endings import Ending
from packager.types import Door, Interpreter, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWeights:
    """Weights that a function has beside it, each called by its sha256."""

    folder: Path
    fetched: bool
    """True where they are served in ranges, as by S3; else the folder is what is mounted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """Function to boot, and what it is given."""

    folder: Path
    """As it is deployed."""
    interpreter: Interpreter
    entrypoint: str
    memory_mb: int = 1024
    """What the function is told, where its platform tells it."""
    memory_limit_mb: int | None = None
    """What it may take before it is killed; None for as much as there is."""
    network: bool = False
    """Whether it reaches what this machine reaches."""
    timeout_seconds: int = 60
    provided: tuple[str, ...] = ()
    """Distributions that the runtime carries and the function leaves to it."""
    snapshot: bool = False
    """Whether it starts as from a snapshot, where its platform takes one (SnapStart)."""
    brings_client: bool = False
    """As its runtime has it: a runtime that has a client uses its own, whatever is shipped."""
    weights: LocalWeights | None = None
    """Where its weights lie on this machine; None where none lie outside of it."""
    tmp_mb: int | None = None
    """Size of /tmp; None for the platform's own."""
    env: Mapping[str, str] = field(default_factory=dict)
    path_first: tuple[Path, ...] = ()
    """Folders outside the function that its Python looks into first.

    A host that confines the function lets it read them.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, before it is put into the form of a door."""

    body: bytes = b""
    content_type: str | None = None
    door: Door = "http"
    method: str = "POST"
    path: str = "/invocations"

    @classmethod
    def of(cls, probe: Probe) -> Call:
        return cls(body=probe.body, content_type=probe.content_type, door=probe.door)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Result of one message of an event source."""

    answers: tuple[Json, ...] = ()
    """What was sent to the destination."""
    failure: str | None = None
    """Why the message must come again; None where it is done with."""


PING = Call(method="GET", path="/ping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer, read: an HTTP status, the text of the body, and the JSON that it holds."""

    status: int
    text: str
    body: Json
    content_type: str = "application/json"
    words: str = ""
    """What to show of a refusal: its code, never its message, which may quote the request."""
    seconds: float = 0.0
    failure: str | None = None
    """Why the function could not be started, or what ended it; None where it answered."""
    ending: Ending | None = None
    """How its process ended, where it did."""
    loading: bool = False
    """Whether that was before the model was loaded."""


@runtime_checkable
class Delivers(Protocol):
    """A host that can hand a function a message of each of its sources."""

    def deliver(self, source: str, body: bytes) -> Delivered:
        """`body` is JSON. Raises EmulatorError where the host is gone."""
        ...


class Host(Protocol):
    """A context manager: inside it the function is up, after it nothing of it is left.

    Raises EmulatorError where the host itself does not come up or is gone.
    """

    about: str
    """In a sentence, what stands for the platform here, and how far it is that."""
    read_only: str
    """How writes to the function's folder are prevented."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def ask(self, call: Call) -> Answered:
        """A function that ends, or runs past its time, is an answer too: `failure` says so.

        Raises EmulatorError where the host itself is gone.
        """
        ...

    def size_bytes(self, call: Call) -> int:
        """Return the size of the request as the platform counts it."""
        ...

    def stats(self) -> ProcessStats: ...

    def log(self) -> str: ...

    def read_exceeded(self) -> str:
        """The limit for which the function was killed, in a sentence; empty where it was not."""
        ...

    def protections(self) -> tuple[str, ...]:
        """List what holds while it runs, a sentence each."""
        ...

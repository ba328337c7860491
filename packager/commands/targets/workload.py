"""Measurements of an artifact, and the requests that it will be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from packager.pipeline import sizes
from packager.types import Compute, Front, Runtime, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measurements of one artifact; None for what was not measured."""

    unzipped_bytes: int
    memory_bytes: int | None = None
    """The most that it held: after its load, and at the largest batch that was replayed."""
    init_seconds: float | None = None
    """With one whole CPU."""
    answer_seconds: float | None = None
    """For `rows`, with one whole CPU."""
    rows: int = 1
    seconds_by_rows: Mapping[int, float] = field(default_factory=dict)
    """Rows of a request -> the time of its answer, with one whole CPU."""
    request_bytes: int | None = None
    """For `rows`."""
    response_bytes: int | None = None
    weights_bytes: int = 0
    """Of the model's folder, outside of what was unpacked, on a target that can have them there."""
    outside_bytes: int | None = None
    """What lies outside of it, the same content once; None where that is all of the weights."""
    mounts_weights: bool = False
    """True where they are read from a mounted file system: no start fetches them."""
    reading_seconds: float | None = None
    """Time that a start takes to have them there; None for that of fetching, where it fetches."""
    needs_gpu: str = ""
    """Why it runs on a GPU alone; empty where a CPU will do."""
    python_minor: str = ""
    """Of the runtime that it was built for; empty where none was chosen."""
    architecture: str = "x86_64"
    """Processor on which its times were measured."""
    timed_by: str = ""
    """Another artifact of the same model, whose times these are; empty where they are its own."""
    why_untimed: str = ""
    """Why nothing of it was timed, and what shows its costs; empty where nobody knows."""
    front: Front = Front.HTTP_API
    """HTTP endpoint that it was built for."""
    compute: Compute = Compute.ON_DEMAND
    """Machines that it was built for."""

    def list_runtimes(self, target: Target) -> list[Runtime]:
        """Runtimes of a target that it can run on: of its own Python, where one was chosen."""
        return [each for each in target.runtimes if self.python_minor in {"", each.python_minor}]

    def count_unpacked_bytes(self, target: Target) -> int:
        """Count what a target would unpack: the weights too, where none lie outside there."""
        return self.unzipped_bytes + (0 if target.weights else self.weights_bytes)

    def count_whole_bytes(self) -> int:
        """Count what would be unpacked with the weights in it."""
        return self.unzipped_bytes + self.weights_bytes

    def count_outside_bytes(self) -> int:
        """Count what a start fetches where nothing is mounted."""
        return self.weights_bytes if self.outside_bytes is None else self.outside_bytes

    def can_snapshot(self, target: Target) -> bool:
        """Tell whether it can start from a snapshot there (SnapStart), with its weights' place."""
        outside = self.count_outside_bytes() if target.weights else 0
        runtimes = self.list_runtimes(target)
        return any(runtime.snapstart for runtime in runtimes) and sizes.allows_snapshot(
            target, outside, mounted=self.mounts_weights
        )

    def choose_tmp_mb(self, target: Target) -> int:
        """Choose the size of /tmp as its template does: with room for what a start fetches."""
        fetches = target.weights is not None and target.weights.fetches
        outside = self.count_outside_bytes() if fetches and not self.mounts_weights else 0
        return sizes.fit_tmp_mb(target, outside)

    def estimate_fetch_seconds(self, target: Target) -> float:
        """Estimate how long a start on the target fetches weights, at the speed of its facts."""
        if self.reading_seconds is not None:
            return self.reading_seconds
        if target.weights is None or not target.weights.fetches or self.mounts_weights:
            return 0.0
        return self.count_outside_bytes() / target.weights.fetch_bytes_per_second

    def estimate_seconds(self, rows: int) -> float | None:
        """Return the time of an answer of so many rows; None where no answer was timed.

        Between two sizes that were timed it is on the line between them, beyond the largest on the
        line of the last two. Where only one answer was timed it is that one's, by its rows.
        """
        points = sorted(self.seconds_by_rows.items())
        if len(points) < 2:
            whole = self.answer_seconds
            return None if whole is None else whole * rows / self.rows
        if rows <= points[0][0]:
            return points[0][1]
        pairs = list(pairwise(points))
        (low, fast), (high, slow) = next((pair for pair in pairs if rows <= pair[1][0]), pairs[-1])
        # a larger request that was timed faster tells of the machine, not of the model
        return fast + max(0.0, slow - fast) * (rows - low) / (high - low)

    def explain_seconds(self, rows: int) -> str:
        """Tell how the time of so many rows is known."""
        sizes = sorted(self.seconds_by_rows)
        there = f" on {self.architecture}, by {self.timed_by}" if self.timed_by else ""
        if len(sizes) < 2:
            return f"scaled from {self.rows} rows{there}"
        if rows in sizes:
            return f"measured{there}"
        return f"by those measured at {', '.join(f'{size:,}' for size in sizes)} rows{there}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests that it will be asked."""

    requests_per_second: float = 1.0
    rows: int = 1
    """Of a request."""
    front: Front | None = None
    """HTTP endpoint that they come by; None for that of the artifact, or of a build by default."""

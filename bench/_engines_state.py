"""What a run of bench/engines.py has so far: a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.zoo.results import find_commit

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Built:
    """Of an artifact that `packager build` proved, what the measurements need."""

    folder: str
    entrypoint: str
    python_minor: str
    numpy: str
    engine: dict[str, Any]
    rows_replayed: int
    declared_start_cpu_ms: float | None


class OutOfTimeError(Exception):
    """The time of this run is over; what it has is kept."""


class State:
    """A JSON file in the work's folder; what other code or another model made is thrown away.

    After `minutes` nothing more is begun: OutOfTimeError is raised in its place.
    """

    def __init__(
        self, work: Path, model: str, *, fresh: bool, minutes: float = float("inf")
    ) -> None:
        self.work = work
        self._path = work / "state.json"
        self._end = time.monotonic() + 60 * minutes
        self._run: dict[str, Any] | None = None
        of = {"model": model, "code": _digest()}
        self._found: dict[str, Any] = {}
        if self._path.is_file() and not fresh:
            self._found = json.loads(self._path.read_text())
        if self._found.get("of") != of:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            self._found = {"of": of}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What was made under this name before, else what is made now."""
        if name not in self._found:
            self.check_time()
            self.put(name, make())
        return self._found[name]

    def check_time(self) -> None:
        """Raises OutOfTimeError where nothing more is to be begun."""
        if time.monotonic() >= self._end:
            raise OutOfTimeError

    def begin_part(self, part: str) -> None:
        """Note when, at which commit and beside how much else it is measured from here on."""
        now, load = tell_time(), os.getloadavg()[0]
        self._run = {"from": now, "until": now, "load": [load, load], "commit": find_commit()}
        self._found.setdefault("runs", {}).setdefault(part, []).append(self._run)

    def end_part(self, part: str, measured: Sequence[str]) -> dict[str, Any]:
        """How a part that is whole was measured: `measured` begins what is measured anew next time.

        What was built stays.
        """
        runs, self._run = self._found["runs"].pop(part), None
        loads = [load for each in runs for load in each["load"]]
        for name in [each for each in self._found if each.startswith(tuple(measured))]:
            del self._found[name]
        self._write()
        return {
            "from": runs[0]["from"],
            "until": runs[-1]["until"],
            "runs": len(runs),
            "load": [min(loads), max(loads)],
            "commits": sorted({each["commit"] for each in runs}),
        }

    def put(self, name: str, value: Any) -> None:
        self._found[name] = value
        if self._run is not None:
            load = os.getloadavg()[0]
            least, most = self._run["load"]
            self._run.update(until=tell_time(), load=[min(least, load), max(most, load)])
        self._write()

    def _write(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self._found))
        part.replace(self._path)

    def get(self, name: str, default: Any) -> Any:
        return self._found.get(name, default)

    def built(self, name: str, make: Callable[[Path], Built]) -> Built:
        folder = self.work / name

        def build() -> dict[str, Any]:
            shutil.rmtree(folder, ignore_errors=True)
            return asdict(make(folder))

        return Built(**self.once(f"built {name}", build))

    def tree(self, name: str, make: Callable[[Path], None]) -> Path:
        """A folder that is whole."""
        folder = self.work / name

        def lay() -> bool:
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            return True

        self.once(f"tree {name}", lay)
        return folder

    def samples(
        self, rounds: int, runs: Sequence[tuple[str, Callable[[], dict[str, float]]]]
    ) -> dict[str, list[dict[str, float]]]:
        """Each of the runs as often as there are rounds, one after the other within a round."""
        found: dict[str, list[dict[str, float]]] = self.get("samples", {})
        for number in range(rounds):
            for name, run in runs:
                if len(found.setdefault(name, [])) <= number:
                    self.check_time()
                    found[name].append(run())
                    self.put("samples", found)
        return {name: found[name][:rounds] for name, _ in runs}


def tell_time() -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())


def _digest() -> str:
    made = hashlib.sha256()
    for folder in ("packager", "handlers", "bench", "tests/engines"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            made.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return made.hexdigest()

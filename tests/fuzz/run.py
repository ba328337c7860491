"""Ask the scoring code what nobody should, until it breaks or the time is up.

    python tests/fuzz/run.py --minutes 30 [--seed N] [--skip-huge] [--keep FOLDER]

A crash is an exception that escapes, a status of 500 or more, an answer that took more CPU than
--seconds, or ten times that on the clock, or more memory than --megabytes. The first one stops the
run with exit code 1; its input lies in the folder that is named then, and `--replay FOLDER` asks it
again. Every fourth request is asked once more as if it were large: both ways must give the same
bytes.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import logging
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from handlers.http.asgi import App  # noqa: E402
from handlers.http.fastapi_app import create_app  # noqa: E402 - the checkout is put on the path first
from handlers.scoring import fast_json  # noqa: E402 - the checkout is put on the path first
from handlers.scoring.errors import ScoringError  # noqa: E402
from handlers.scoring.scorer import Answer, Scorer  # noqa: E402
from tests.conformance.asking import ours  # noqa: E402
from tests.fuzz.bodies import LIMIT_BYTES, Sample, endless, huge  # noqa: E402
from tests.handlers.scorers import ask  # noqa: E402

DOORS_EVERY = 50
"""Of so many requests, one goes through both front doors too."""


LARGE_EVERY = 4
"""Of so many requests, one is asked by the way of large bodies too."""


WAITING = 10


class Quiet:
    """A model that takes anything and answers little."""

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return [0.5]


class TooSlowError(Exception):
    pass


class CrashError(Exception):
    pass


@dataclasses.dataclass
class Run:
    seconds: float
    megabytes: float
    scorers: dict[str, tuple[Scorer, ...]] = dataclasses.field(default_factory=dict)
    statuses: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    slowest: tuple[float, str] = (0.0, "")

    def ask(self, sample: Sample) -> None:
        """Raises whatever is wrong with the answer."""
        self.kinds[sample.kind.partition(",")[0]] += 1
        key = json.dumps([sample.signature, sample.type_hints])
        if key not in self.scorers:
            if len(self.scorers) > 200:
                self.scorers.clear()
            self.scorers[key] = tuple(
                ours(sample.signature, Quiet(), frame=frame, type_hints=sample.type_hints)
                for frame in ("numpy", "pandas")
            )
        for frame, scorer in zip(("numpy", "pandas"), self.scorers[key], strict=True):
            begun = time.process_time()
            self._set_timers(self.seconds)
            try:
                answer = scorer.invocations(sample.body, sample.content_type)
                self._check(answer.status, sample)
                if sum(self.kinds.values()) % LARGE_EVERY == 0:
                    self._as_if_large(scorer, sample, answer)
                if sum(self.kinds.values()) % DOORS_EVERY == 0:
                    self._through_doors(scorer, sample, answer.status)
            finally:
                self._set_timers(0)
            spent = time.process_time() - begun
            self.slowest = max(self.slowest, (spent, f"{sample.kind}, frame {frame}"))
        peak = peak_megabytes()
        if peak > self.megabytes:
            raise CrashError(f"memory: a peak of {peak:.0f} MB")

    @staticmethod
    def _set_timers(seconds: float) -> None:
        """Of CPU, so that a busy machine is no crash; and of the clock, for what only waits."""
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, WAITING * seconds)

    def _as_if_large(self, scorer: Scorer, sample: Sample, answer: Answer) -> None:
        before = fast_json.LARGE_BYTES
        fast_json.LARGE_BYTES = 1
        try:
            large = scorer.invocations(sample.body, sample.content_type)
        finally:
            fast_json.LARGE_BYTES = before
        if large != answer:
            raise CrashError(f"as if large: {large}, and else {answer}")

    def _through_doors(self, scorer: Scorer, sample: Sample, status: int) -> None:
        media = sample.content_type
        if media is not None and not media.isascii():
            return  # a header is bytes: what these are is the client's affair
        for app in (App(scorer), create_app(scorer)):
            reply = ask(app, "/invocations", body=sample.body, content_type=media)
            if reply is None or reply.status != status:
                raise CrashError(f"{type(app).__name__} answers {reply}, the scorer {status}")
        if media == "application/json":
            with contextlib.suppress(ScoringError, ValueError, RecursionError):
                scorer.invoke(json.loads(sample.body))

    def _check(self, status: int, sample: Sample) -> None:
        self.statuses[status] += 1
        if status >= 500 and sample.content_type is not None:  # without one, as MLflow's own
            raise CrashError(f"status {status}")

    def summary(self) -> str:
        spent, kind = self.slowest
        return (
            f"{sum(self.statuses.values()):,} answers to {sum(self.kinds.values()):,} requests: "
            f"{dict(sorted(self.statuses.items()))}; {dict(self.kinds.most_common(3))}; slowest "
            f"{spent:.1f} s of CPU ({kind}); peak memory {peak_megabytes():.0f} MB"
        )


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def limit_memory(megabytes: float) -> None:
    """So that too much is an error here, and no trouble for the machine."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    soft = pages * resource.getpagesize() + int(megabytes * 1024 * 1024)
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _too_slow(signum: int, frame: object) -> None:
    raise TooSlowError


def keep(sample: Sample, folder: Path | None) -> Path:
    kept = folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "body").write_bytes(sample.body)
    described = {k: v for k, v in sample._asdict().items() if k != "body"}
    (kept / "sample.json").write_text(json.dumps(described), encoding="utf-8")
    return kept


def read(folder: Path) -> Sample:
    described = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
    return Sample(**described, body=(folder / "body").read_bytes())


def samples(options: argparse.Namespace) -> Iterator[Sample]:
    if options.replay:
        return iter([read(options.replay)])
    return chain(() if options.skip_huge else huge(), endless(options.seed))


def fuzz(options: argparse.Namespace) -> int:
    run = Run(options.seconds, options.megabytes)
    end = time.monotonic() + options.minutes * 60
    shown = time.monotonic()
    for sample in samples(options):
        try:
            run.ask(sample)
        except Exception:  # noqa: BLE001 - anything that escapes is what is looked for
            kept = keep(sample._replace(body=sample.body[:LIMIT_BYTES]), options.keep)
            traceback.print_exc(limit=-12)
            print(f"CRASH: {sample.kind}. {run.summary()}\nIts input: --replay {kept}")
            return 1
        if time.monotonic() > end:
            break
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(run.summary(), flush=True)
    print(f"No crash. {run.summary()}")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30, help="of CPU for one answer")
    parser.add_argument("--megabytes", type=float, default=2048, help="of peak memory")
    parser.add_argument("--skip-huge", action="store_true", help="leave out the bodies of 6 MB")
    parser.add_argument("--keep", type=Path, help="where a crash's input goes")
    parser.add_argument("--replay", type=Path, help="a folder that an earlier run named")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    limit_memory(options.megabytes)
    signals = (signal.SIGALRM, signal.SIGPROF)
    previous = [signal.signal(number, _too_slow) for number in signals]
    try:
        return fuzz(options)
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    sys.exit(main())

"""One model, its devices and its queue: started, asked, drained."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from handlers.container_server import accelerator, otel_spans, replicas, warmup
from handlers.container_server.batcher import (
    Batcher,
    ClosedError,
    FullError,
    Job,
    LateError,
    Limits,
)
from handlers.container_server.metrics import Metrics
from handlers.container_server.runner import Runner
from handlers.container_server.settings import ServiceSettings
from handlers.http.asgi import TIMED_OUT, run_in_thread
from handlers.http.timeouts import timeout
from handlers.manifest import Manifest
from handlers.observability import log_redaction
from handlers.scoring import predictor, request_merging
from handlers.scoring.errors import INTERNAL_ERROR, ScoringError
from handlers.scoring.scorer import Answer, Checked, Scorer

_LOG = logging.getLogger(__name__)
_INLINE_BYTES: Final = 16_384
"""A smaller body is read on the event loop: a thread's hand-over would cost more."""
_NOT_TAKING: Final = "TEMPORARILY_UNAVAILABLE"


class State(enum.Enum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class _Late:
    """The first device's predictor, once it is there."""

    inner: predictor.Predictor | None = None

    def predict(self, data: Any, params: dict[str, object] | None) -> Any:
        if self.inner is None:
            raise ScoringError(
                "The model is not loaded yet. Try again soon.", error_code=_NOT_TAKING
            )
        return self.inner.predict(data, params)


class Service:
    """Answers bodies; every way in ends at `predict`."""

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        settings: ServiceSettings,
        *,
        load: replicas.Load | None,
    ) -> None:
        """Nothing is loaded yet. Raises NoAcceleratorError, ValueError, KeyError or TypeError."""
        self.manifest = manifest
        self.settings = settings
        self.devices = accelerator.devices()
        self.metrics = Metrics(manifest, self.devices)
        self.traces = otel_spans.start(manifest)
        self.state = State.STARTING
        self.placed: tuple[str, ...] = ()
        self.copies: tuple[replicas.Copy, ...] = ()
        self.warm: tuple[warmup.Warm, ...] = ()
        self._folder = folder
        self._load = load or predictor.load
        self._late = _Late()
        self.scorer = Scorer(manifest, self._late)
        self._batcher: Batcher | None = None
        self._runners: tuple[Runner, ...] = ()
        self._merges = False

    # --- life

    async def start(self) -> None:
        """Load one copy a device, warm each up, and be ready. Raises what a loader raises."""
        begun = time.monotonic()
        loaded = await run_in_thread(self._load_replicas)
        ready = time.monotonic()
        example = await run_in_thread(replicas.example, self.scorer, self._folder)
        self.copies = tuple(
            [await run_in_thread(replicas.warm, each, example, self.settings) for each in loaded]
        )
        self.warm = tuple(each.warm for each in self.copies if each.warm is not None)
        rows = min(each.batch_rows for each in self.warm)
        self._merges = all(each.merges for each in self.warm)
        self._runners = tuple(Runner(each.scorer.predict, rows) for each in self.copies)
        limits = Limits(
            batch_rows=rows,
            queue_rows=self.settings.queue_rows,
            queue_seconds=self.settings.queue_seconds,
        )
        self._batcher = batcher = Batcher(self._runners, limits, self)
        batcher.start()
        self.metrics.live(
            queue_age=batcher.oldest_seconds,
            queue_rows=lambda: batcher.queued_rows,
            ready=lambda: self.state is State.READY,
            recovered=lambda: sum(runner.recovered for runner in self._runners),
        )
        done = time.monotonic()
        self.metrics.record_start(ready - begun, done - ready, rows, merges=self._merges)
        self.metrics.record_acceleration(all(each.proof.used for each in self.copies))
        self.state = State.READY
        _LOG.info(
            "Ready on %s: %d rows at once; %s", ", ".join(self.placed), rows, self.warm[0].why
        )

    def _load_replicas(self) -> list[replicas.Copy]:
        made = []
        for device in self.devices:
            copy = replicas.load(self.manifest, self._folder, device, self._load)
            self._late.inner = self._late.inner or copy.predictor
            made.append(copy)
        self.placed = tuple(copy.placed for copy in made)
        return made

    async def drain(self) -> None:
        """Refuse what comes from now on, answer what was taken, within the time for it."""
        self.state = State.DRAINING
        begun = time.monotonic()
        if self._batcher is not None:
            with contextlib.suppress(*TIMED_OUT):
                async with timeout(self.settings.drain_seconds):
                    await self._batcher.close()
        left = self.settings.linger_seconds - (time.monotonic() - begun)
        await asyncio.sleep(max(0.0, left))

    # --- requests

    @property
    def unready(self) -> Answer | None:
        """The 503 of a server that takes no requests; None of one that does."""
        if self.state is State.READY:
            return None
        error = ScoringError(f"The server is {self.state.value}.", error_code=_NOT_TAKING)
        refused = self.scorer.refusal(error)
        return Answer(503, refused.content_type, refused.body, headers=(("retry-after", "1"),))

    def ping(self) -> Answer:
        return self.unready or self.scorer.ping()

    async def invocations(self, body: bytes, content_type: str | None) -> Answer:
        """MLflow's protocol over the batcher."""

        def read() -> Checked:
            return self.scorer.read(body, content_type)

        return await self.answer_request(
            lambda: self.off_loop(read, len(body)),
            lambda prediction, checked: self.off_loop(
                lambda: self.scorer.write(prediction, checked), len(body)
            ),
        )

    async def answer_request(self, read: Any, write: Any) -> Answer:
        """`read`, predict, `write`; whatever is wrong becomes an answer."""
        if (refused := self.unready) is not None:
            return refused
        try:
            checked = await read()
            prediction = await self.predict(checked)
            return await write(prediction, checked)  # type: ignore[no-any-return]
        except (ScoringError, RecursionError, FullError, LateError, ClosedError) as error:
            return self.refusal(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours, whose text may quote the request
            _LOG.error("%s at %s", type(error).__name__, log_redaction.place(error))
            fault = ScoringError("The server failed.", error_code=INTERNAL_ERROR)
            return self.scorer.refusal(fault)

    def refusal(
        self, error: ScoringError | RecursionError | FullError | LateError | ClosedError
    ) -> Answer:
        """Answer a request that has none."""
        if isinstance(error, ClosedError) and (refused := self.unready) is not None:
            return refused
        if isinstance(error, ScoringError):
            told = error
        elif isinstance(error, RecursionError):
            told = ScoringError("The input is nested too deeply.")
        elif isinstance(error, LateError):
            told = ScoringError("It took too long.", error_code="DEADLINE_EXCEEDED")
        elif isinstance(error, ClosedError):
            told = ScoringError("The server ends.", error_code=_NOT_TAKING)
        else:
            told = ScoringError(
                f"Too many requests: {error.reason}.", error_code="REQUEST_LIMIT_EXCEEDED"
            )
        refused = self.scorer.refusal(told)
        if not isinstance(error, FullError):
            return refused
        return replace(refused, headers=(("retry-after", str(error.retry_after_seconds)),))

    async def predict(self, checked: Checked) -> Any:
        """Raises ScoringError and the batcher's errors."""
        if self._batcher is None:
            raise ClosedError
        form = request_merging.form(checked) if self._merges else None
        rows = 1 if form is None else request_merging.length(checked.data)
        job = Job(
            form=form,
            rows=rows,
            data=checked.data,
            params=checked.params,
            trace=self.traces.here(),
        )
        seconds = self.scorer.settings.request_timeout_seconds
        try:
            return await self._batcher.submit(job, seconds)
        except ScoringError as error:
            raise self.scorer.quote_request(error, checked) from error

    # --- what the batcher tells

    def batch(
        self, jobs: Sequence[Job], waits_seconds: Sequence[float], compute_seconds: float
    ) -> None:
        self.metrics.batch(jobs, waits_seconds, compute_seconds)
        self.traces.batch(jobs, compute_seconds)

    def count_shed(self, reason: str) -> None:
        self.metrics.count_shed(reason)

    def count_refused_token(self, status: int) -> None:
        self.metrics.count_answer("token", status)

    async def off_loop(self, work: Callable[[], object], size_bytes: int) -> object:
        """`work` for a body of so many bytes, without holding up the other requests."""
        return work() if size_bytes < _INLINE_BYTES else await run_in_thread(work)

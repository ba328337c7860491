"""A dynamic batcher: what waits while a device is busy goes to it together, and nothing else waits.

Work-conserving (as Triton without a queue delay, https://github.com/triton-inference-server/server):
a request that finds an idle device starts at once. Batches are counted in rows, hold requests of
one form alone, and are formed by group in turn, so that no form starves. The queue is bounded in
rows and in predicted wait, for which a line `seconds = per_row * rows + per_batch` is fitted to
the last batches (as BentoML's dispatcher does, https://github.com/bentoml/BentoML).
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from handlers.http.asgi import TIMED_OUT
from handlers.http.timeouts import timeout
from handlers.values import zip_equal


@dataclass(frozen=True)
class Job:
    """One request's rows, as the model is handed them."""

    form: Hashable | None
    """Equal for what may go to the model together; None for what goes alone."""
    rows: int
    data: Any
    params: dict[str, object] | None = None
    trace: Any = None
    """Of the request, for who observes."""


@dataclass(frozen=True)
class Limits:
    batch_rows: int = 64
    queue_rows: int = 2048
    queue_seconds: float = 5.0
    """A request that would wait longer than this is turned away at once."""


class FullError(Exception):
    """The queue is full: 429."""

    def __init__(self, reason: str, retry_after_seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = max(1, math.ceil(retry_after_seconds))


class LateError(Exception):
    """The deadline passed before there was an answer: 504."""


class ClosedError(Exception):
    """Nothing is taken any more: 503."""


class Observer(Protocol):
    """Observer of each batch; called on the event loop."""

    def batch(
        self, jobs: Sequence[Job], waits_seconds: Sequence[float], compute_seconds: float
    ) -> None: ...

    def count_shed(self, reason: str) -> None: ...


class Line:
    """Least squares through (rows, seconds), older batches counting less and less."""

    _KEPT = 0.95

    def __init__(self) -> None:
        self._w = self._x = self._y = self._xx = self._xy = 0.0

    def add(self, rows: int, seconds: float) -> None:
        kept = self._KEPT
        self._w = self._w * kept + 1
        self._x = self._x * kept + rows
        self._y = self._y * kept + seconds
        self._xx = self._xx * kept + rows * rows
        self._xy = self._xy * kept + rows * seconds

    def at(self, rows: float, batches: float) -> float:
        """Seconds for so many rows in so many batches; 0 before anything was measured."""
        if not self._w:
            return 0.0
        spread = self._w * self._xx - self._x * self._x
        mean = self._y / self._w
        if spread <= 1e-9 * self._w * self._xx:
            return mean * batches
        per_row = max(0.0, (self._w * self._xy - self._x * self._y) / spread)
        per_batch = max(0.0, mean - per_row * self._x / self._w)
        return per_row * rows + per_batch * batches


@dataclass(eq=False)
class _Pending:
    job: Job
    answer: asyncio.Future[Any]
    deadline: float
    since: float


@dataclass
class _Device:
    run: Callable[[Sequence[Job]], Sequence[Any]]
    busy_until: float = 0.0
    """By the fitted line; 0 while idle."""
    line: Line = field(default_factory=Line)


class Batcher:
    """Feeds the devices, each in a thread of its own.

    A device is a function from jobs of one form to one result a job, in order; a result that is
    an exception is raised to that job's caller alone. Its thread takes the next batch by itself:
    an event loop that has fallen behind its sockets would let it idle.
    """

    def __init__(
        self,
        devices: Sequence[Callable[[Sequence[Job]], Sequence[object]]],
        limits: Limits,
        observer: Observer,
    ) -> None:
        self._limits = limits
        self._observer = observer
        self._devices = [_Device(run) for run in devices]
        self._groups: dict[Hashable, deque[_Pending]] = {}
        self._rows = 0
        self._some = threading.Condition()
        """Holds the lock of all that is the devices' threads' too."""
        self._waking = False
        self._turn = 0
        """Counts when the devices were woken."""
        self._closed = False
        self._ended: list[asyncio.Future[None]] = []

    def start(self) -> None:
        """On the running event loop."""
        loop = asyncio.get_running_loop()
        for device in self._devices:
            ended: asyncio.Future[None] = loop.create_future()
            self._ended.append(ended)
            # a daemon: a batch that never ends must not keep the process from ending
            threading.Thread(
                target=self._run_device, args=(device, loop, ended), name="device", daemon=True
            ).start()

    @property
    def queued_rows(self) -> int:
        return self._rows

    def oldest_seconds(self) -> float:
        """Age of what has waited longest."""
        now = time.monotonic()
        with self._some:
            heads = [now - group[0].since for group in self._groups.values() if group]
        return max(heads, default=0.0)

    async def submit(self, job: Job, seconds: float) -> object:
        """The job's result, within so many seconds.

        Raises FullError, LateError, ClosedError, or what the device answered. A caller that is
        cancelled leaves the queue: what nobody waits for is not computed.
        """
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        pending = _Pending(job, loop.create_future(), now + seconds, now)
        with self._some:
            if self._closed:
                raise ClosedError
            self._admit_request(job, seconds)
            key = object() if job.form is None else job.form
            self._groups.setdefault(key, deque()).append(pending)
            self._rows += job.rows
            if self._rows >= self._limits.batch_rows:
                self._some.notify()
            elif not self._waking:
                # behind what the loop has read already, which may go with it
                self._waking = True
                loop.call_soon(self._wake_worker)
        try:
            async with timeout(seconds):
                return await pending.answer
        except TIMED_OUT:
            self._observer.count_shed("deadline")
            raise LateError from None
        except asyncio.CancelledError:
            self._observer.count_shed("client_left")
            raise

    def _wake_worker(self) -> None:
        with self._some:
            self._waking = False
            self._turn += 1
            self._some.notify_all()

    async def close(self) -> None:
        """Take nothing more, finish what waits, and end the threads."""
        with self._some:
            self._closed = True
            self._some.notify_all()
        await asyncio.gather(*self._ended)

    def _admit_request(self, job: Job, seconds: float) -> None:
        wait = self._predicted_seconds()
        limits = self._limits
        # what finds an empty queue is taken whatever its size: it would never fit otherwise
        if self._rows and self._rows + job.rows > limits.queue_rows:
            self._observer.count_shed("queue_rows")
            raise FullError("the queue is full", wait)
        if wait > min(limits.queue_seconds, seconds):
            self._observer.count_shed("queue_seconds")
            raise FullError("the wait would be too long", wait - limits.queue_seconds)

    def _predicted_seconds(self) -> float:
        """That a request which came now would wait before its batch starts."""
        now = time.monotonic()
        left = min(max(0.0, device.busy_until - now) for device in self._devices)
        if not self._rows:
            return left
        batches = max(len(self._groups), math.ceil(self._rows / self._limits.batch_rows))
        queued = max(device.line.at(self._rows, batches) for device in self._devices)
        return left + queued / len(self._devices)

    def _run_device(
        self, device: _Device, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]
    ) -> None:
        took, turn = 0.0, 0
        while batch := self._next_batch(device, took, turn):
            begun = time.monotonic()
            rows = sum(pending.job.rows for pending in batch)
            try:
                results = device.run([pending.job for pending in batch])
            except Exception as error:  # noqa: BLE001 - a fault of ours, which each caller is told
                results = [error] * len(batch)
            took = time.monotonic() - begun
            with self._some:
                device.busy_until = 0.0
                device.line.add(rows, took)
                turn = self._turn
            waits = [begun - pending.since for pending in batch]
            loop.call_soon_threadsafe(self._deliver_answers, batch, results, waits, took)
        loop.call_soon_threadsafe(ended.set_result, None)

    def _next_batch(self, device: _Device, took: float, turn: int) -> list[_Pending]:
        """The next batch, as soon as there is one; none when all is done.

        Where less than a batch waits, the loop first ends the turn in which it tells of the batch
        before: what it reads meanwhile goes along. Should it be behind, that is not waited for
        longer than the batch before took.
        """
        with self._some:
            self._some.wait_for(
                lambda: self._turn != turn or self._rows >= self._limits.batch_rows, took
            )
            while not (batch := self._take_requests()):
                if self._closed:
                    return []
                self._some.wait()
            rows = sum(pending.job.rows for pending in batch)
            device.busy_until = time.monotonic() + device.line.at(rows, 1)
            return batch

    def _take_requests(self) -> list[_Pending]:
        """The next batch, of the group whose turn it is; what nobody waits for is dropped."""
        now = time.monotonic()
        while self._groups:
            key = next(iter(self._groups))
            group = self._groups.pop(key)
            batch: list[_Pending] = []
            rows = 0
            while group:
                head = group[0]
                if head.answer.done() or head.deadline <= now:
                    # its caller left, or is about to be told that it took too long
                    self._rows -= group.popleft().job.rows
                    continue
                if batch and rows + head.job.rows > self._limits.batch_rows:
                    break
                batch.append(group.popleft())
                rows += head.job.rows
            self._rows -= rows
            if group:
                self._groups[key] = group
            if batch:
                return batch
        return []

    def _deliver_answers(
        self,
        batch: Sequence[_Pending],
        results: Sequence[object],
        waits: Sequence[float],
        took: float,
    ) -> None:
        self._observer.batch([pending.job for pending in batch], waits, took)
        for pending, result in zip_equal(batch, results):
            if pending.answer.done():
                continue
            if isinstance(result, Exception):
                pending.answer.set_exception(result)
            else:
                pending.answer.set_result(result)
        self._wake_worker()

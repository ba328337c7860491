"""The queue before a device: what goes together, in which order, and what is turned away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.container_server.batcher import (
    Batcher,
    ClosedError,
    FullError,
    Job,
    LateError,
    Limits,
    Line,
)
from handlers.http.asgi import run_in_thread
from tests import examples


@dataclass
class Told:
    """An observer that keeps what it was told."""

    rows: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def batch(
        self, jobs: Sequence[Job], waits_seconds: Sequence[float], compute_seconds: float
    ) -> None:
        assert all(wait >= 0 for wait in waits_seconds)
        assert compute_seconds >= 0
        self.rows.append(sum(each.rows for each in jobs))

    def count_shed(self, reason: str) -> None:
        self.reasons.append(reason)


class Device:
    """Answers each job with its own data, once it is let; remembers the batches."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[Job]] = []
        self.entered = threading.Event()
        self.let = threading.Event()
        if not held:
            self.let.set()

    def __call__(self, jobs: Sequence[Job]) -> list[Any]:
        self.batches.append(list(jobs))
        self.entered.set()
        assert self.let.wait(30)
        return [job.data for job in jobs]


def job(data: Any, rows: int = 1, form: Any = "form") -> Job:
    return Job(form=form, rows=rows, data=data)


def run(
    device: Any,
    ask: Callable[[Batcher], Awaitable[Any]],
    *,
    told: Told | None = None,
    **limits: Any,
) -> Any:
    async def main() -> Any:
        batcher = Batcher([device], Limits(**limits), told or Told())
        batcher.start()
        try:
            return await ask(batcher)
        finally:
            if isinstance(device, Device):
                device.let.set()
            await batcher.close()

    return asyncio.run(main())


async def busy(device: Device, batcher: Batcher) -> asyncio.Task[Any]:
    """The device, held by one job."""
    first = asyncio.create_task(batcher.submit(job("first", form="other"), 30))
    await run_in_thread(device.entered.wait, 30)
    return first


def test_a_lone_request_starts_at_once() -> None:
    device = Device()

    answer = run(device, lambda batcher: batcher.submit(job("a"), 30))

    assert (answer, [len(batch) for batch in device.batches]) == ("a", [1])


def test_what_waits_while_the_device_is_busy_goes_together() -> None:
    device, told = Device(held=True), Told()

    async def ask(batcher: Batcher) -> list[Any]:
        first = await busy(device, batcher)
        rest = [asyncio.create_task(batcher.submit(job(i), 30)) for i in range(10)]
        await asyncio.sleep(0)
        device.let.set()
        return await asyncio.gather(first, *rest)

    assert run(device, ask, told=told, batch_rows=4) == ["first", *range(10)]
    assert told.rows == [1, 4, 4, 2]


def test_rows_are_counted_not_requests_and_no_request_is_split() -> None:
    device, told = Device(held=True), Told()

    async def ask(batcher: Batcher) -> None:
        first = await busy(device, batcher)
        rest = [
            asyncio.create_task(batcher.submit(job(i, rows=rows), 30))
            for i, rows in enumerate([3, 3, 1, 9, 2])
        ]
        await asyncio.sleep(0)
        device.let.set()
        await asyncio.gather(first, *rest)

    run(device, ask, told=told, batch_rows=4)

    assert told.rows == [1, 3, 4, 9, 2]


def test_a_loop_that_is_behind_lets_no_device_idle() -> None:
    done = threading.Event()

    def device(jobs: Sequence[Job]) -> list[Any]:
        answered.extend(j.data for j in jobs)
        if len(answered) == 12:
            done.set()
        return [j.data for j in jobs]

    answered: list[Any] = []

    async def ask(batcher: Batcher) -> list[Any]:
        tasks = [asyncio.create_task(batcher.submit(job(i), 30)) for i in range(12)]
        await asyncio.sleep(0)
        # as if it read a thousand sockets: nothing that waits for it can go on
        assert done.wait(30)
        return await asyncio.gather(*tasks)

    assert run(device, ask, batch_rows=4) == list(range(12))


def test_forms_never_mix_and_take_turns() -> None:
    device = Device(held=True)

    async def ask(batcher: Batcher) -> None:
        first = await busy(device, batcher)
        forms = ["a", "a", "a", "b", "a", None, None]
        rest = [
            asyncio.create_task(batcher.submit(job(i, form=form), 30))
            for i, form in enumerate(forms)
        ]
        await asyncio.sleep(0)
        device.let.set()
        await asyncio.gather(first, *rest)

    run(device, ask, batch_rows=2)

    together = [[j.form for j in batch] for batch in device.batches[1:]]
    assert together == [["a", "a"], ["b"], [None], [None], ["a", "a"]]


@pytest.mark.parametrize(
    ("limits", "reason"), [({"queue_rows": 3}, "queue_rows"), ({"queue_seconds": 0.0}, "")]
)
def test_a_full_queue_turns_away_and_says_when_to_come_again(
    limits: dict[str, Any], reason: str
) -> None:
    device, told = Device(held=True), Told()

    async def ask(batcher: Batcher) -> FullError:
        first = await busy(device, batcher)
        # the line is known: a second a batch
        for each in batcher._devices:
            each.line.add(1, 1.0)
        rest = [asyncio.create_task(batcher.submit(job(0, rows=3), 30))]
        await asyncio.sleep(0)
        with pytest.raises(FullError) as full:
            await batcher.submit(job(1), 30)
        device.let.set()
        await asyncio.gather(first, *rest)
        return full.value

    full = run(device, ask, told=told, **limits)

    assert full.retry_after_seconds >= 1
    assert told.reasons == [reason or "queue_seconds"]


def test_a_wait_beyond_the_callers_own_deadline_is_told_at_once() -> None:
    device = Device(held=True)

    async def ask(batcher: Batcher) -> None:
        first = await busy(device, batcher)
        for each in batcher._devices:
            each.line.add(1, 4.0)
        rest = asyncio.create_task(batcher.submit(job(0), 30))
        await asyncio.sleep(0)
        with pytest.raises(FullError):
            await batcher.submit(job(1), 1)
        device.let.set()
        await asyncio.gather(first, rest)

    run(device, ask)


def test_what_passed_its_deadline_or_lost_its_client_is_not_computed() -> None:
    device, told = Device(held=True), Told()

    async def ask(batcher: Batcher) -> None:
        first = await busy(device, batcher)
        late = asyncio.create_task(batcher.submit(job("late"), 0.01))
        gone = asyncio.create_task(batcher.submit(job("gone"), 30))
        kept = asyncio.create_task(batcher.submit(job("kept"), 30))
        with pytest.raises(LateError):
            await late
        gone.cancel()
        device.let.set()
        assert list(await asyncio.gather(first, kept)) == ["first", "kept"]
        assert batcher.queued_rows == 0

    run(device, ask, told=told)

    assert [[j.data for j in batch] for batch in device.batches] == [["first"], ["kept"]]
    assert sorted(told.reasons) == ["client_left", "deadline"]


def test_closing_finishes_what_was_taken_and_takes_no_more() -> None:
    device = Device(held=True)

    async def ask(batcher: Batcher) -> list[Any]:
        first = await busy(device, batcher)
        rest = [asyncio.create_task(batcher.submit(job(i), 30)) for i in range(5)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(ClosedError):
            await batcher.submit(job("new"), 30)
        device.let.set()
        await closing
        return await asyncio.gather(first, *rest)

    assert run(device, ask) == ["first", *range(5)]


def test_an_error_of_one_is_no_others() -> None:
    def device(jobs: Sequence[Job]) -> list[Any]:
        return [ValueError(j.data) if j.data == 2 else j.data for j in jobs]

    async def ask(batcher: Batcher) -> list[Any]:
        tasks = [batcher.submit(job(i), 30) for i in range(4)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert list(map(str, run(device, ask))) == ["0", "1", "2", "3"]
    assert isinstance(run(device, ask)[2], ValueError)


def test_a_device_that_breaks_is_told_to_every_caller_and_goes_on() -> None:
    broken = [True]

    def device(jobs: Sequence[Job]) -> list[Any]:
        if broken.pop() if broken else False:
            raise OSError("gone")
        return [j.data for j in jobs]

    async def ask(batcher: Batcher) -> Any:
        with pytest.raises(OSError, match="gone"):
            await batcher.submit(job(1), 30)
        return await batcher.submit(job(2), 30)

    assert run(device, ask) == 2


@settings(max_examples=examples.count(60), deadline=None)
@given(
    jobs=st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abc") | st.none()), max_size=30),
    batch_rows=st.integers(1, 12),
    devices=st.integers(1, 3),
)
def test_everyone_gets_their_own_answer(
    jobs: list[tuple[int, str | None]], batch_rows: int, devices: int
) -> None:
    made = [Device() for _ in range(devices)]

    async def main() -> list[Any]:
        batcher = Batcher(made, Limits(batch_rows=batch_rows), Told())
        batcher.start()
        tasks = [batcher.submit(job(i, rows, form), 30) for i, (rows, form) in enumerate(jobs)]
        answers = await asyncio.gather(*tasks)
        await batcher.close()
        return answers

    assert asyncio.run(main()) == list(range(len(jobs)))
    batches = [batch for device in made for batch in device.batches]
    for batch in batches:
        assert len({j.form for j in batch}) == 1
        assert len(batch) == 1 or batch[0].form is not None
        assert len(batch) == 1 or sum(j.rows for j in batch) <= batch_rows


@given(
    per_row=st.floats(0.0001, 1),
    per_batch=st.floats(0.0001, 1),
    rows=st.lists(st.integers(1, 64), min_size=2, max_size=20).filter(lambda r: len(set(r)) > 1),
)
def test_the_line_is_found(per_row: float, per_batch: float, rows: list[int]) -> None:
    line = Line()
    for count in rows:
        line.add(count, per_row * count + per_batch)

    assert line.at(100, 2) == pytest.approx(per_row * 100 + per_batch * 2, rel=1e-3)


def test_the_line_of_one_size_is_its_mean() -> None:
    line = Line()
    assert line.at(10, 1) == 0.0
    for seconds in (1.0, 1.0):
        line.add(8, seconds)
    assert line.at(16, 2) == pytest.approx(2.0)

"""Memory and timeout follow from what was measured, within what the target gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.deployments._parameters import template_parameters
from packager.errors import ConfigurationError, VerificationError
from packager.pipeline.emit._sizing import REQUESTS_PER_SECOND, Sizing, size, suggest_concurrency
from packager.types import ColdStart
from tests import fake_plan

_COLD = ColdStart(
    init_wall_ms=400,
    init_cpu_ms=400,
    first_invoke_ms=20,
    warm_invoke_ms=1,
    peak_rss_bytes=0,
)


def _size(*, peak_mb: float = 100, init_ms: float = 400, first_ms: float = 20) -> Sizing:
    cold = ColdStart(
        init_wall_ms=init_ms,
        init_cpu_ms=init_ms,
        first_invoke_ms=first_ms,
        warm_invoke_ms=1,
        peak_rss_bytes=int(peak_mb * (1 << 20)),
    )
    return size(fake_plan.plan(), fake_plan.evidence(cold_start=cold))


@pytest.mark.parametrize(
    ("peak_mb", "memory_mb"), [(1, 512), (393, 512), (394, 576), (1000, 1344), (9000, 10_240)]
)
def test_memory_is_the_peak_and_headroom_in_steps_of_64(peak_mb: int, memory_mb: int) -> None:
    assert _size(peak_mb=peak_mb).memory_mb == memory_mb


@pytest.mark.parametrize(
    ("peak_mb", "memory_mb"), [(100, 512), (394, 2048), (1500, 2048), (1600, 4096), (4000, 4096)]
)
def test_memory_is_one_of_the_sizes_that_can_be_had(peak_mb: int, memory_mb: int) -> None:
    limits = replace(fake_plan.LIMITS, memory_mb=(512, 4096), memory_sizes_mb=(512, 2048, 4096))
    plan = fake_plan.plan()
    cold = replace(_COLD, peak_rss_bytes=peak_mb << 20)
    sizing = size(
        replace(plan, target=replace(plan.target, limits=limits)),
        fake_plan.evidence(cold_start=cold),
    )
    assert sizing.memory_mb == memory_mb


@pytest.mark.parametrize(
    ("init_ms", "peak_mb", "seconds"),
    [
        (400, 100, 30),
        # 3 x 5.02 s at 512 of 1769 MB
        (5000, 100, 55),
        # 3 x 5.02 s with a whole CPU
        (5000, 1400, 30),
        # 3 x 20.02 s: more memory than a whole CPU's makes no code faster
        (20_000, 3000, 65),
        (200_000, 100, 900),
    ],
)
def test_timeout_allows_for_a_slower_cpu(init_ms: float, peak_mb: int, seconds: int) -> None:
    assert _size(init_ms=init_ms, peak_mb=peak_mb).timeout_seconds == seconds


@given(peak_mb=st.floats(1, 10_240), init_ms=st.floats(0, 1e6), first_ms=st.floats(0, 1e6))
def test_defaults_are_always_ones_that_can_be_had(
    peak_mb: float, init_ms: float, first_ms: float
) -> None:
    sizing = _size(peak_mb=peak_mb, init_ms=init_ms, first_ms=first_ms)

    assert 512 <= sizing.memory_mb <= 10_240
    assert sizing.memory_mb % 64 == 0
    assert sizing.memory_mb >= peak_mb
    assert 30 <= sizing.timeout_seconds <= 900
    assert 1000 <= sizing.p99_ms <= sizing.timeout_seconds * 1000


def test_noise_in_a_measurement_does_not_show() -> None:
    assert _size(init_ms=400, first_ms=20) == replace(
        _size(init_ms=440, first_ms=25),
        timeout_reason=_size(init_ms=400, first_ms=20).timeout_reason,
        p99_reason=_size(first_ms=20).p99_reason,
    )


@pytest.mark.parametrize(
    ("first_ms", "p99_ms"),
    # 3 x the first answer at 512 of 1769 MB, in steps of 500 ms; 800 of each second of timeout
    [(20, 1000), (100, 1500), (1000, 10_500), (5000, 48_000), (20_000, 172_000)],
)
def test_the_alarm_on_latency_leaves_a_fifth_of_the_timeout(first_ms: float, p99_ms: int) -> None:
    sizing = _size(first_ms=first_ms)
    assert sizing.p99_ms == p99_ms
    assert sizing.p99_ms <= sizing.timeout_seconds * 800


def test_an_alarm_without_a_measurement_is_four_fifths_of_the_timeout() -> None:
    sizing = size(fake_plan.plan(), fake_plan.evidence(cold_start=None))
    assert (sizing.timeout_seconds, sizing.p99_ms) == (60, 48_000)


@pytest.mark.parametrize("seconds", [2, 7])
def test_an_alarm_follows_the_timeout_that_was_asked_for(seconds: int) -> None:
    plan = fake_plan.plan(request=fake_plan.request(timeout_seconds=seconds))
    cold = replace(_COLD, first_invoke_ms=60_000)
    sizing = size(plan, fake_plan.evidence(cold_start=cold))
    assert sizing.p99_ms == seconds * 800


def test_what_was_not_measured_is_said() -> None:
    sizing = size(fake_plan.plan(), fake_plan.evidence(cold_start=None))

    assert (sizing.memory_mb, sizing.timeout_seconds) == (1024, 60)
    assert "nothing was measured" in sizing.memory_reason


@pytest.mark.parametrize(
    ("asked", "what"),
    [(128, "memory_mb"), (10_240, "memory_mb"), (1, "timeout_seconds"), (900, "timeout_seconds")],
)
def test_the_ends_of_what_can_be_had_can_be_had(asked: int, what: str) -> None:
    plan = fake_plan.plan(request=fake_plan.request(**{what: asked}))
    assert getattr(size(plan, fake_plan.EVIDENCE), what) == asked


def test_the_least_memory_has_its_own_reason() -> None:
    assert "would starve it of CPU" in _size(peak_mb=393).memory_reason
    assert "30% more, in steps of 64 MB" in _size(peak_mb=394).memory_reason


def test_the_request_wins() -> None:
    plan = fake_plan.plan(request=fake_plan.request(memory_mb=3008, timeout_seconds=7))
    sizing = size(plan, fake_plan.EVIDENCE)

    assert (sizing.memory_mb, sizing.timeout_seconds) == (3008, 7)
    assert sizing.memory_reason == "as asked for"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"memory_mb": 127}, "128 to 10240 MB"),
        ({"memory_mb": 10_241}, "128 to 10240 MB"),
        ({"timeout_seconds": 0}, "1 to 900 s"),
        ({"timeout_seconds": 901}, "1 to 900 s"),
    ],
)
def test_what_cannot_be_had_is_refused(asked: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        size(fake_plan.plan(request=fake_plan.request(**asked)), fake_plan.EVIDENCE)


def test_a_need_beyond_the_target_names_the_way_out() -> None:
    with pytest.raises(VerificationError, match=r"10,241 MB.*aws-lambda-image"):
        _size(peak_mb=10_241)


@pytest.mark.parametrize(
    ("warm_ms", "words"),
    [
        # 1,000 a second x 3 x 1 ms at 512 of 1769 MB
        (1.0, "none is set aside; 11 keeps this function"),
        (0.1, "none is set aside; 10 keeps this function"),
        (50.0, "none is set aside; 519 keeps this function"),
        (100.0, "need 1,037 at once"),
    ],
)
def test_reserved_concurrency_is_suggested_by_what_an_answer_took(
    warm_ms: float, words: str
) -> None:
    cold = replace(_COLD, warm_invoke_ms=warm_ms)
    found = suggest_concurrency(fake_plan.plan(), fake_plan.evidence(cold_start=cold), 512)
    assert words in found


def test_nothing_is_suggested_where_nothing_was_measured() -> None:
    evidence = fake_plan.evidence(cold_start=None)
    assert "nothing was measured" in suggest_concurrency(fake_plan.plan(), evidence, 512)


def test_the_rate_is_that_of_the_template() -> None:
    assert template_parameters()["RequestsPerSecond"]["Default"] == REQUESTS_PER_SECOND

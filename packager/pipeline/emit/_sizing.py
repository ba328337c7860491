"""Memory, timeout and alarm levels from what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from packager.errors import ConfigurationError, VerificationError
from packager.pipeline.emit._instances import (
    UNMEASURED_MB,
    InstanceSizing,
    choose_shared_memory,
    size_instances,
)
from packager.types import BuildPlan, Check, ColdStart, Evidence, Finding, Limits

_MB = 1 << 20
_STEP_MB = 64
_LEAST_MB = 512
_UNMEASURED_MB = 1024
_HEADROOM = 1.3
_LEAST_SECONDS = 30
_UNMEASURED_SECONDS = 60
_SLOWER = 3.0
_LEAST_P99_MS = 1000
REQUESTS_PER_SECOND = 1000
"""Requests that pass for long: the default of the template's RequestsPerSecond."""
_LEAST_RESERVED = 10
_MOST_RESERVED = 900
"""Of an account's 1,000, of which 100 stay for all others:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """Settings that the function is given by default, each with its reason in a sentence."""

    memory_mb: int
    memory_reason: str
    timeout_seconds: int
    timeout_reason: str
    p99_ms: int
    p99_reason: str
    instances: InstanceSizing | None = None
    """Of managed instances, where the function runs on them."""


def size(plan: BuildPlan, evidence: Evidence, fetch_seconds: float = 0.0) -> Sizing:
    """Choose them; a start takes `fetch_seconds` more there than here, for weights.

    Raises ConfigurationError for a request, VerificationError for a need over the limits.
    """
    measured = evidence.replay.cold_start
    shared = size_instances(plan, measured)
    memory, memory_reason = _memory(plan, measured, shared)
    share = min(1.0, memory / plan.target.limits.whole_cpu_mb)
    timeout, timeout_reason = _choose_timeout(plan, measured, share, fetch_seconds)
    p99, p99_reason = _measure_p99(measured, share, timeout)
    return Sizing(
        memory_mb=memory,
        memory_reason=memory_reason,
        timeout_seconds=timeout,
        timeout_reason=timeout_reason,
        p99_ms=p99,
        p99_reason=p99_reason,
        instances=shared,
    )


def _memory(
    plan: BuildPlan, measured: ColdStart | None, shared: InstanceSizing | None
) -> tuple[int, str]:
    low, high = plan.target.limits.memory_mb
    if (asked := plan.request.target.memory_mb) is not None:
        if not low <= asked <= high:
            raise ConfigurationError(
                f"--memory {asked} MB cannot be had: {plan.target.name} gives {low} to {high} MB."
            )
        return asked, "as asked for"
    if measured is None and shared is not None:
        memory, _ = choose_shared_memory(plan, UNMEASURED_MB, shared.concurrency)
        return memory, (
            f"{UNMEASURED_MB} MB and {_HEADROOM - 1:.0%} more for each process: a usual value, as "
            "the artifact could not be run here and nothing was measured"
        )
    if measured is None:
        memory = _choose_memory(plan.target.limits, _UNMEASURED_MB)
        return memory, "a usual value: the artifact could not be run here, so nothing was measured"
    peak = math.ceil(measured.peak_rss_bytes / _MB)
    if shared is not None and peak <= high:
        return choose_shared_memory(plan, peak, shared.concurrency)
    if peak > high:
        finding = Finding(
            check=Check.MEMORY,
            message=f"The artifact used {peak:,} MB; {plan.target.name} gives at most {high:,} MB.",
            hint=f"Build for {plan.target.way_out} instead.",
        )
        raise VerificationError([finding])
    need = math.ceil(peak * _HEADROOM / _STEP_MB) * _STEP_MB
    memory = _choose_memory(plan.target.limits, max(_LEAST_MB, need))
    if need <= _LEAST_MB:
        why = f"{peak} MB at most were used; less than {memory} MB would starve it of CPU"
    else:
        steps = ", ".join(map(str, plan.target.limits.memory_sizes_mb))
        sizes = f"out of {steps} MB" if steps else f"in steps of {_STEP_MB} MB"
        why = f"{peak} MB at most were used, and {_HEADROOM - 1:.0%} more, {sizes}"
    return memory, why


def _choose_memory(limits: Limits, need: int) -> int:
    """The least memory that can be had and is enough, or the most that can be had."""
    low, high = limits.memory_mb
    if limits.memory_sizes_mb:
        return min((size for size in limits.memory_sizes_mb if size >= need), default=high)
    return max(low, min(high, need))


def _choose_timeout(
    plan: BuildPlan, measured: ColdStart | None, share: float, fetch_seconds: float
) -> tuple[int, str]:
    limit = plan.target.limits.timeout_seconds
    if (asked := plan.request.target.timeout_seconds) is not None:
        if not 1 <= asked <= limit:
            raise ConfigurationError(
                f"--timeout {asked} s cannot be had: {plan.target.name} gives 1 to {limit} s."
            )
        return asked, "as asked for"
    if measured is None:
        return min(limit, _UNMEASURED_SECONDS), "a usual value: nothing was measured"
    start_ms = measured.init_wall_ms + measured.first_invoke_ms
    seconds = _SLOWER * (start_ms / 1000 / share + fetch_seconds)
    timeout = min(limit, max(_LEAST_SECONDS, math.ceil(seconds / 5) * 5))
    fetching = f", and {fetch_seconds:.1f} s for fetching weights," if fetch_seconds else ""
    return timeout, (
        f"start and first answer took {start_ms / 1000:.2f} s here; {_SLOWER:g} times that at "
        f"{share:.0%} of a CPU{fetching or ','} at least {min(limit, _LEAST_SECONDS)} s"
    )


def _measure_p99(measured: ColdStart | None, share: float, timeout_seconds: int) -> tuple[int, str]:
    ceiling = timeout_seconds * 800
    if measured is None:
        return ceiling, "80 % of the timeout: nothing was measured"
    slow = math.ceil(_SLOWER * measured.first_invoke_ms / share / 500) * 500
    return min(ceiling, max(_LEAST_P99_MS, slow)), (
        f"{_SLOWER:g} times the first answer's {measured.first_invoke_ms:.0f} ms at {share:.0%} of "
        f"a CPU, at least {_LEAST_P99_MS} ms, at most 80 % of the timeout"
    )


def suggest_concurrency(plan: BuildPlan, evidence: Evidence, memory_mb: int) -> str:
    """A sentence for Lambda's ReservedConcurrency, as no build sets anything aside.

    By Little's law: requests that arrive in the time that one takes are there at once.
    """
    measured = evidence.replay.cold_start
    share = min(1.0, memory_mb / plan.target.limits.whole_cpu_mb)
    if measured is None:
        return "none is set aside; nothing was measured that a number could be suggested by"
    busy_ms = _SLOWER * measured.warm_invoke_ms / share
    needed = max(_LEAST_RESERVED, math.ceil(REQUESTS_PER_SECOND * busy_ms / 1000))
    if needed > _MOST_RESERVED:
        return (
            f"none is set aside; {REQUESTS_PER_SECOND:,} requests a second need {needed:,} at "
            f"once, and an account's usual quota leaves {_MOST_RESERVED}: set "
            "RequestsPerSecond lower, or ask for a higher quota"
        )
    return (
        f"none is set aside; {needed} keeps this function from taking all that your account has, "
        f"and is enough for {REQUESTS_PER_SECOND:,} requests of one row a second: one took "
        f"{measured.warm_invoke_ms:.2g} ms here, {_SLOWER:g} times that at {share:.0%} of a CPU"
    )

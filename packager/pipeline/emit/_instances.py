"""Settings of a function on managed instances, from what one process of it was measured to take.

An environment has a process for each of its requests at once, and each process has its own model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from packager.errors import VerificationError
from packager.types import BuildPlan, Check, ColdStart, Device, Finding, Instances

_HEADROOM: Final = 1.3
_MB: Final = 1 << 20
_GB: Final = 1 << 30
UNMEASURED_MB: Final = 1024
"""Taken for a process that could not be run here."""
_ON_GPU: Final = 1
"""Processes that share a GPU, where nobody says otherwise: each has a copy of the model there."""
_CONTEXT_GB: Final = 1.0
"""CUDA's context, its libraries' work space and the rows of a request, for each process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSizing:
    """Settings of an environment by default, each with its reason in a sentence."""

    concurrency: int
    """Requests at once, each in a process of its own."""
    concurrency_reason: str
    accelerator_gb: int
    """Memory of the GPU; 0 without one."""
    accelerator_reason: str
    memory_gib_per_vcpu: int
    """Memory that comes with a vCPU."""


def size_instances(plan: BuildPlan, measured: ColdStart | None) -> InstanceSizing | None:
    """None where the function does not run on them.

    Raises VerificationError where no GPU there has the memory that the model wants.
    """
    instances = plan.target.machine.instances
    if instances is None:
        return None
    concurrency, why = _choose_concurrency(plan, instances, measured)
    accelerator, reason = _choose_accelerator(plan, instances, concurrency)
    return InstanceSizing(
        concurrency=concurrency,
        concurrency_reason=why,
        accelerator_gb=accelerator,
        accelerator_reason=reason,
        memory_gib_per_vcpu=plan.target.limits.whole_cpu_mb // 1024,
    )


def _choose_concurrency(
    plan: BuildPlan, instances: Instances, measured: ColdStart | None
) -> tuple[int, str]:
    """Choose how many requests an environment has at once, and say why."""
    if plan.device is Device.CUDA:
        return _ON_GPU, "each request at once has a copy of the model on the GPU"
    most = plan.request.target.memory_mb or instances.memory_mb[1]
    one = _estimate_process(measured)
    fitting = max(1, min(instances.usual_concurrency, most // one))
    if fitting == instances.usual_concurrency:
        return fitting, f"what Python's runtime has for a vCPU; {one} MB for each process"
    return fitting, f"{one} MB for each process, of {most:,} MB"


def choose_shared_memory(plan: BuildPlan, peak_mb: int, processes: int) -> tuple[int, str]:
    """Choose the memory of an environment with so many processes, and say why."""
    (low, high), step = plan.target.limits.memory_mb, plan.target.limits.whole_cpu_mb
    need = math.ceil(peak_mb * _HEADROOM) * processes
    memory = max(low, min(high, math.ceil(need / step) * step))
    many = f"for {processes} of them, " if processes > 1 else ""
    return memory, (
        f"one process used {peak_mb} MB at most; {many}{_HEADROOM - 1:.0%} more, in steps of "
        f"{step} MB, which is one vCPU each"
    )


def _choose_accelerator(plan: BuildPlan, instances: Instances, processes: int) -> tuple[int, str]:
    """Choose a GPU's memory in GB from the weights of the model; 0 where it runs on the CPU.

    Raises VerificationError where no GPU there has as much.
    """
    if plan.device is not Device.CUDA:
        return 0, ""
    weights = sum(file.size_bytes for file in plan.model.files)
    need = processes * (_HEADROOM * weights / _GB + _CONTEXT_GB)
    fitting = [size for size in instances.accelerator_gb if size >= need]
    if not fitting:
        finding = Finding(
            check=Check.MEMORY,
            message=f"The model's {weights:,} bytes want {need:.0f} GB of a GPU; Lambda's have "
            f"{max(instances.accelerator_gb)} GB at most.",
            hint="Build for gpu-container instead.",
        )
        raise VerificationError([finding])
    return min(fitting), (
        f"the model's files have {weights:,} bytes; {_HEADROOM - 1:.0%} more and "
        f"{_CONTEXT_GB:g} GB of CUDA's own for each process, of which there is {processes} at once"
    )


def _estimate_process(measured: ColdStart | None) -> int:
    """Estimate the MB of one process."""
    if measured is None:
        return UNMEASURED_MB
    return max(1, math.ceil(math.ceil(measured.peak_rss_bytes / _MB) * _HEADROOM))

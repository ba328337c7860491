"""AWS Lambda on managed instances: EC2 instances of the account, several requests at once.

Python's runtime has a process for each of the requests that an environment may have at once, each
with a model of its own; only /tmp is shared:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-python-runtime.html
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from packager import facts
from packager.types import Device, InfrastructureTool, Instances, Runtime, Target

_INIT_SECONDS: Final = 900.0
"""https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-execution-environment.html"""
_DRIVER: Final = "libcuda.so.1"
_ON_GPU: Final = ("container_server/__init__.py", "container_server/accelerator.py")
"""Files of handlers/ that put a model on a GPU, and find out if it is there."""


def adapt_target(target: Target, device: Device, facts_dir: Path | None = None) -> Target:
    """Return the target as it is on managed instances; only an image may have a GPU."""
    found = facts.instances("aws-lambda", facts_dir)
    is_image = target.deployment.base_image is not None
    least = facts.read_minor(found.python)
    runtimes = [each for each in target.runtimes if facts.read_minor(each.python_minor) >= least]
    on_gpu = is_image and device is Device.CUDA
    cpu_mb = _choose_gib_per_vcpu(found, on_gpu=on_gpu) * 1024
    program = target.program
    return replace(
        target,
        limits=replace(
            target.limits,
            memory_mb=(max(found.memory_mb[0], cpu_mb), found.memory_mb[1]),
            whole_cpu_mb=cpu_mb,
            timeout_seconds=found.timeout_seconds,
            init_seconds=_INIT_SECONDS,
            source=found.source,
            as_of=found.as_of,
        ),
        runtimes=tuple(_adapt_runtime(each, on_gpu=on_gpu) for each in runtimes),
        program=replace(program, handlers=(*program.handlers, *(_ON_GPU if on_gpu else ()))),
        # hashicorp/aws 6.69 has capacity providers, and no word for a GPU's memory
        deployment=replace(
            target.deployment,
            emits=(InfrastructureTool.CDK,) if on_gpu else target.deployment.emits,
        ),
        machine=replace(
            target.machine,
            instances=found,
            devices=(Device.CPU, Device.CUDA) if is_image else (Device.CPU,),
        ),
    )


def _choose_gib_per_vcpu(found: Instances, *, on_gpu: bool) -> int:
    """Choose the memory that comes with a vCPU: instances with a GPU have twice the least."""
    least, _ = found.memory_gib_per_vcpu
    return least * 2 if on_gpu else least


def _adapt_runtime(runtime: Runtime, *, on_gpu: bool) -> Runtime:
    """Instances are kept started: nothing starts from a snapshot; AWS brings a GPU's driver."""
    driver = {_DRIVER} if on_gpu else set()
    return replace(
        runtime,
        snapstart=False,
        snapstart_by_label=False,
        libraries=runtime.libraries | driver,
    )

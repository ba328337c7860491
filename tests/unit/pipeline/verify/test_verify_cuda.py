"""A build for a GPU has one CUDA, and has one."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from packager import targets
from packager.pipeline.verify import cuda
from packager.types import BuildPlan, Bundle, Device, FileRecord, Lock, LockedPackage
from tests import fake_plan

CUDA_12 = "nvidia/cuda_runtime/lib/libcudart.so.12"
CUDA_13 = "nvidia/cu13/lib/libcudart.so.13"


def plan(device: Device, version: str = "2.11.0") -> BuildPlan:
    request = fake_plan.request(target="gpu-container", device=device)
    lock = Lock(text="", packages=(LockedPackage(name="torch", version=version),))
    return fake_plan.plan(request=request, target=targets.load("gpu-container"), lock=lock)


def bundle(*paths: str) -> Bundle:
    files = [FileRecord(PurePosixPath(path), "0", 1) for path in ("torch/__init__.py", *paths)]
    return Bundle(root=Path("f"), files=tuple(files))


@pytest.mark.parametrize("path", [CUDA_12, CUDA_13, "torch/lib/libcudart-a7b20f20.so.11.0"])
def test_one_cuda_is_said(path: str) -> None:
    assert cuda.check(bundle(path), plan(Device.CUDA)) == (
        [],
        f"CUDA's runtime is there once: {path}.",
    )


def test_two_are_one_too_many() -> None:
    ((finding,), _) = cuda.check(bundle(CUDA_12, CUDA_13), plan(Device.CUDA))
    assert finding.message == f"CUDA's runtime is there 2 times: {CUDA_13}, {CUDA_12}."


def test_a_framework_that_is_built_for_a_cpu_is_named() -> None:
    ((finding,), _) = cuda.check(bundle(), plan(Device.CUDA, "2.11.0+cpu"))
    assert finding.message == "The artifact cannot use a GPU: torch is built for a CPU."
    assert "--device cpu" in finding.hint


def test_a_runtime_may_be_linked_in() -> None:
    findings, said = cuda.check(bundle(), plan(Device.CUDA))
    assert (findings, "linked in" in said) == ([], True)


def test_without_a_gpu_nothing_is_asked() -> None:
    assert cuda.check(bundle(CUDA_12, CUDA_13), plan(Device.CPU)) == ([], "")

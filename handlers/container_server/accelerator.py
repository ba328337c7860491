"""Devices that the model is loaded on, and a check that it is: never a CPU unnoticed.

PACKAGER_DEVICE is `cuda`, `cpu` or `auto`; with `cuda` (which a GPU's image sets) a model that ends
up on the CPU is an error, unless PACKAGER_ALLOW_CPU=1. Frameworks fall back without a word
(https://github.com/mlflow/mlflow/issues/15632 for onnxruntime).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

from handlers.scoring.errors import suggest_name

if TYPE_CHECKING:
    from ctypes import CDLL

Loaded = TypeVar("Loaded")

CPU: Final = "cpu"
_KINDS: Final = ("auto", "cuda", CPU)
_DEVICE: Final = "MLFLOW_DEFAULT_PREDICTION_DEVICE"
"""What MLflow's own loaders read, and so do ours."""


_CONTEXT_BYTES: Final = 64 << 20
"""Less than a CUDA context alone takes."""


class NoAcceleratorError(Exception):
    """A GPU was asked for, and there is none or the model is not on it."""


@dataclass(frozen=True)
class Memory:
    """Memory of one device, in bytes, as the driver counts it."""

    used: int
    total: int
    utilisation: float
    """The share of the last sample period in which a kernel ran: 0 to 1."""


def read_device(environ: Mapping[str, str] = os.environ) -> tuple[str, bool]:
    """The kind of device that was asked for, and whether a CPU will do in its place.

    Raises ValueError for a PACKAGER_DEVICE that is none.
    """
    kind = environ.get("PACKAGER_DEVICE", "auto").strip().lower() or "auto"
    if kind not in _KINDS:
        raise ValueError(
            f"PACKAGER_DEVICE must be one of {', '.join(_KINDS)}, and it is {kind!r}."
            f"{suggest_name(kind, _KINDS)}"
        )
    return kind, environ.get("PACKAGER_ALLOW_CPU", "") == "1" or kind != "cuda"


def devices(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """`cuda:0` and so on, one a GPU that this process may use, or `cpu`.

    Raises NoAcceleratorError where a GPU was asked for and the driver shows none.
    """
    kind, cpu_will_do = read_device(environ)
    count = 0 if kind == CPU else gpu_count()
    if count:
        return tuple(f"cuda:{index}" for index in range(count))
    if not cpu_will_do:
        raise NoAcceleratorError(
            "PACKAGER_DEVICE is cuda and the driver shows no GPU. Give the container one (--gpus "
            "all, nvidia.com/gpu: 1; AcceleratorMemoryGb on Lambda), or set PACKAGER_ALLOW_CPU=1 "
            "to answer on the CPU."
        )
    return (CPU,)


def gpu_count() -> int:
    """GPUs that CUDA_VISIBLE_DEVICES leaves, by NVML; 0 where there is no driver or no NVML."""
    nvml = _ask_nvml()
    if nvml is None:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = int(nvml.nvmlDeviceGetCount())
    if visible is None:
        return count
    named = [each for each in visible.split(",") if each.strip() not in {"", "-1"}]
    return min(count, len(named))


@contextmanager
def loading_on(device: str) -> Iterator[None]:
    """Loaders put the model there meanwhile."""
    before = os.environ.get(_DEVICE)
    os.environ[_DEVICE] = device
    try:
        yield
    finally:
        if before is None:
            del os.environ[_DEVICE]
        else:
            os.environ[_DEVICE] = before


def load_on_device(load: Callable[[], Loaded]) -> Loaded:
    """Load on the first device that was asked for, and find the model there.

    Raises NoAcceleratorError, and what `load` raises.
    """
    device = devices()[0]
    before = _read_used(device)
    with loading_on(device):
        found = load()
    confirm(found, device, _read_used(device) - before)
    return found


def _read_used(device: str) -> int:
    held = None if device == CPU else memory(int(device.partition(":")[2]))
    return 0 if held is None else held.used


def confirm(
    predictor: object, device: str, grown: int = 0, environ: Mapping[str, str] = os.environ
) -> str:
    """Check that the model is where it says. Raises NoAcceleratorError off `device`.

    A loader whose framework can tell gives its predictor `find_device()`; of the others CUDA's
    driver tells, which knows this process's own context: what others that share the GPU do is not
    in it. Only where the driver cannot be asked the device's memory tells: `grown` is by how many
    bytes more of it were in use after the load.
    """
    tells = getattr(predictor, "find_device", None)
    if tells is not None:
        found = str(tells())
    elif device == CPU:
        found = CPU
    else:
        has = has_context(int(device.partition(":")[2]))
        way = "memory" if has is None else "context"
        there = grown >= _CONTEXT_BYTES if has is None else has
        found = f"{device}, by its {way}" if there else "the CPU, it seems"
    if device != CPU and not found.startswith("cuda") and not read_device(environ)[1]:
        raise NoAcceleratorError(
            f"The model was loaded for {device} and is on {found}. Set PACKAGER_ALLOW_CPU=1 to "
            "answer from there all the same."
        )
    return found


def has_context(index: int) -> bool | None:
    """Tell whether this process works on the visible GPU of that index; None without a driver.

    https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__PRIMARY__CTX.html: a framework uses
    the primary context. Reading its state makes none.
    """
    import ctypes

    try:
        driver = _open_driver()
        device, flags, active = ctypes.c_int(), ctypes.c_uint(), ctypes.c_int()
        failed = (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(device), index)
            or driver.cuDevicePrimaryCtxGetState(device, ctypes.byref(flags), ctypes.byref(active))
        )
    except (OSError, AttributeError):
        return None
    return None if failed else bool(active.value)


def _open_driver() -> CDLL:
    """Raises OSError where this machine has none."""
    import ctypes

    return ctypes.CDLL("libcuda.so.1")


def memory(index: int) -> Memory | None:
    """Read the memory of the visible GPU of that index; None where NVML cannot be asked."""
    nvml = _ask_nvml()
    if nvml is None:
        return None
    handle = nvml.nvmlDeviceGetHandleByIndex(_find_physical(index))
    held = nvml.nvmlDeviceGetMemoryInfo(handle)
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return Memory(used=int(held.used), total=int(held.total), utilisation=rates.gpu / 100)


def _find_physical(index: int) -> int:
    """NVML does not heed CUDA_VISIBLE_DEVICES."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return index
    named = [each.strip() for each in visible.split(",")]
    return int(named[index]) if index < len(named) and named[index].isdecimal() else index


def _ask_nvml() -> ModuleType | None:
    """The library, started; None where it is not installed or finds no driver."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    library: ModuleType = pynvml
    return library

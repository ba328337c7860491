"""onnxruntime sessions set for a function: few threads, no memory held back for later."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from onnxruntime import InferenceSession, SessionOptions

_PLAIN = ("inter_op_num_threads", "intra_op_num_threads")
MEMORY = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
_CONCURRENCY = "AWS_LAMBDA_MAX_CONCURRENCY"
_MB_PER_CPU = 1769
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""


def options(onnxruntime: ModuleType, named: Mapping[str, Any]) -> SessionOptions:
    """SessionOptions as a model's own settings name them; open ones are set for a function."""
    made = onnxruntime.SessionOptions()
    for name in _PLAIN:
        if named.get(name):
            setattr(made, name, named[name])
    if not named.get("intra_op_num_threads"):
        made.intra_op_num_threads = threads()
    if mode := named.get("execution_mode"):
        made.execution_mode = getattr(onnxruntime.ExecutionMode, f"ORT_{mode.upper()}")
    if level := named.get("graph_optimization_level"):
        made.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
    for key, value in (named.get("extra_session_config") or {}).items():
        made.add_session_config_entry(key, value)
    return made


def threads(environ: Mapping[str, str] = os.environ) -> int:
    """The CPUs that the function has a whole share of; onnxruntime would count the host's.

    One, where each of several requests at once has a process of its own.
    """
    if environ.get(_CONCURRENCY, "1") != "1":
        return 1
    memory = environ.get(MEMORY, "")
    share = int(memory) // _MB_PER_CPU if memory.isdecimal() else len(os.sched_getaffinity(0))
    return max(1, min(share, len(os.sched_getaffinity(0))))


def providers(onnxruntime: ModuleType, named: Iterable[object]) -> list[object]:
    """The model's own that are installed, or the CPU's; CUDA's, where a GPU's server loads it.

    PACKAGER_TENSORRT=1 puts TensorRT first, with engines kept under PACKAGER_TENSORRT_CACHE.
    https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
    """
    available = set(onnxruntime.get_available_providers())
    device = os.environ.get("MLFLOW_DEFAULT_PREDICTION_DEVICE", "")
    if device.startswith("cuda"):
        index = int(device.partition(":")[2] or 0)
        wanted: list[object] = [("CUDAExecutionProvider", {"device_id": index})]
        if os.environ.get("PACKAGER_TENSORRT") == "1":
            cache = os.environ.get("PACKAGER_TENSORRT_CACHE", "")
            kept = {"trt_engine_cache_enable": True, "trt_engine_cache_path": cache}
            chosen = {"device_id": index, **(kept if cache else {})}
            wanted.insert(0, ("TensorrtExecutionProvider", chosen))
    else:
        wanted = [tuple(each) if isinstance(each, list) else each for each in named]
    usable = [p for p in wanted if (p[0] if isinstance(p, tuple) else p) in available]
    if device.startswith("cuda"):
        return [*usable, "CPUExecutionProvider"]
    return usable or ["CPUExecutionProvider"]


def find_device(session: InferenceSession) -> str:
    """`cuda` where a session's first provider is a GPU's: onnxruntime falls back without a word."""
    first = session.get_providers()[0]
    return "cuda" if first in {"CUDAExecutionProvider", "TensorrtExecutionProvider"} else "cpu"

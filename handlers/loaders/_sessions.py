"""onnxruntime sessions set for a function: few threads, no memory held back for later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_PLAIN = ("inter_op_num_threads", "intra_op_num_threads")
_MB_PER_CPU = 1769
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""


def options(onnxruntime: Any, named: Mapping[str, Any]) -> Any:
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


def threads() -> int:
    """The CPUs that the function has a whole share of; onnxruntime would count the host's."""
    memory = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    share = int(memory) // _MB_PER_CPU if memory.isdecimal() else len(os.sched_getaffinity(0))
    return max(1, min(share, len(os.sched_getaffinity(0))))

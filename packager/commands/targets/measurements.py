"""Measurements of an artifact that was built before, as its own documents record them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from packager.commands.artifact.report_values import read_amount, read_count
from packager.commands.targets.workload import Measured
from packager.errors import ConfigurationError
from packager.types import Compute, Front, Json, Weights


def measured_before(
    report: Mapping[str, Any], evidence: Mapping[str, Any], body: bytes | None
) -> Measured:
    """Return the measurements in an artifact's own report.json and evidence.json.

    `body` is the request that was saved with its model, None where there is none.

    Raises LookupError, TypeError, AttributeError or ValueError for what no build writes.
    """
    cold = evidence.get("evidence", {}).get("cold_start") or {}
    memory, response = cold.get("peak_rss_bytes"), cold.get("response_bytes")
    target = report.get("target") or {}
    weights = _list_weights(report)
    return Measured(
        unzipped_bytes=read_count(report["unzipped_bytes"]),
        weights_bytes=sum(size_bytes for _, size_bytes in weights),
        outside_bytes=sum(dict(weights).values()),
        mounts_weights=_is_mounted(report),
        memory_bytes=None if memory is None else read_count(memory),
        init_seconds=_seconds(read_amount(cold.get("init_cpu_ms"))),
        answer_seconds=_seconds(read_amount(cold.get("warm_invoke_ms"))),
        rows=count_rows(body),
        seconds_by_rows=read_times(cold.get("invoke_ms_by_rows") or {}),
        request_bytes=None if body is None else len(body),
        response_bytes=None if body is None or response is None else read_count(response),
        python_minor=".".join(str(target.get("python") or "").split(".")[:2]),
        architecture=str(target.get("architecture") or "x86_64"),
        why_untimed=_explain_untimed(evidence.get("evidence", {}).get("sandbox")),
        front=Front(target.get("front") or Front.HTTP_API),
        compute=Compute(target.get("compute") or Compute.ON_DEMAND),
    )


def take_times(measured: Measured, other: Measured, name: str) -> Measured:
    """Return the measurements with times and memory of another artifact of the same model.

    Raises ConfigurationError where nothing of that one was timed either.
    """
    if other.estimate_seconds(1) is None:
        raise ConfigurationError(
            f"--timed-by {name}: nothing of that artifact was timed. Name one that was booted on "
            "its own processor."
        )
    return replace(
        measured,
        memory_bytes=other.memory_bytes,
        init_seconds=other.init_seconds,
        answer_seconds=other.answer_seconds,
        rows=other.rows,
        seconds_by_rows=other.seconds_by_rows,
        request_bytes=other.request_bytes,
        response_bytes=other.response_bytes,
        architecture=other.architecture,
        timed_by=name,
    )


def _explain_untimed(sandbox: object) -> str:
    if not isinstance(sandbox, Mapping) or not sandbox.get("emulated"):
        return ""
    return (
        "its processor was emulated, and nothing was timed. Build the same model with "
        "--arch x86_64, then `packager inspect THIS_DIR --timed-by X86_64_DIR` shows costs by its "
        "times there"
    )


def _list_weights(report: Mapping[str, object]) -> list[tuple[str, int]]:
    """List the files that lie outside: sha256, bytes; none by a report that is older than these."""
    listed = cast("list[dict[str, Json]]", report.get("weights") or [])
    return [(str(each["sha256"]), read_count(each["size_bytes"])) for each in listed]


def _is_mounted(report: Mapping[str, Any]) -> bool:
    """Tell whether what lies outside is read from a mounted file system."""
    return (report.get("options") or {}).get("weights") == Weights.MOUNT


def read_times(by_rows: Mapping[str, object]) -> dict[int, float]:
    """Seconds by rows. Raises ValueError or TypeError for what no build writes."""
    times = {int(rows): read_amount(value) for rows, value in by_rows.items()}
    return {rows: value / 1000 for rows, value in times.items() if rows > 0 and value is not None}


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def count_rows(body: bytes | None) -> int:
    """Count the rows of a saved request of MLflow's forms; 1 where it is another."""
    try:
        value = json.loads(body or b"")
    except ValueError:
        return 1
    if not isinstance(value, dict):
        return 1
    split = value.get("dataframe_split")
    rows = split.get("data") if isinstance(split, dict) else None
    for name in ("dataframe_records", "inputs", "instances"):
        rows = rows if rows is not None else value.get(name)
    if isinstance(rows, dict):
        rows = next(iter(rows.values()), None)
    return max(1, len(rows)) if isinstance(rows, list) else 1

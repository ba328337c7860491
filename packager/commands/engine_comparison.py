"""Each engine that applies to a model, built and measured: size, start, latency, difference."""

from __future__ import annotations

from collections.abc import Mapping

from packager import engines
from packager.errors import PackagerError
from packager.models import flavors
from packager.models.registry import ModelRegistry
from packager.pipeline.build import build
from packager.system import atomic_output
from packager.types import (
    BuildReport,
    BuildRequest,
    Engine,
    EngineRow,
    Json,
    ResolvedModel,
    change_request,
)


def applying(model: ResolvedModel) -> list[EngineRow]:
    """Without a build: which engines can be tried, and why one cannot."""
    found: list[EngineRow] = []
    for engine in engines.COMPILERS:
        why = engines.why_not(model, flavors.choose(model).name, engine)
        found.append({"engine": str(engine), "applies": "no" if why else "if proven", "why": why})
    return [*found, {"engine": "native", "applies": "yes", "why": ""}]


def compare_engines(request: BuildRequest, registry: ModelRegistry) -> list[EngineRow]:
    """Build with each engine, in a folder that goes away; what is refused says why."""
    found: list[EngineRow] = []
    for engine in (*engines.COMPILERS, Engine.NATIVE):
        with atomic_output.scratch() as place:
            wanted = change_request(request, engine=engine, out_dir=place.stage("engine") / "built")
            try:
                found.append(_list_figures(build(wanted, registry)))
            except PackagerError as error:
                found.append({"engine": str(engine), "applies": "no", "why": str(error)})
    return found


def _list_figures(report: BuildReport) -> EngineRow:
    done, cold = report.evidence.replay, report.evidence.replay.cold_start
    tried = report.evidence.engine.get("candidates", [])
    compiled: Mapping[str, Json] = next((each for each in tried if each.get("taken")), {})
    return {
        "engine": str(report.plan.engine),
        "applies": "yes",
        "why": "",
        "unzipped_bytes": report.artifact.unzipped_bytes,
        "zipped_bytes": report.artifact.size_bytes,
        "start_cpu_ms": cold.init_cpu_ms if cold else None,
        "peak_rss_bytes": cold.peak_rss_bytes if cold else None,
        "warm_invoke_ms": cold.warm_invoke_ms if cold else None,
        "max_rel_error": compiled.get("max_rel_error", 0.0),
        "max_abs_error": max(
            report.evidence.replay.max_abs_error, compiled.get("max_abs_error", 0.0)
        ),
        "rows_compared": done.rows_compared + compiled.get("rows", 0),
    }

"""Graphs of one model, held to what it answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnxruntime
from google.protobuf.message import EncodeError

from handlers.loaders import compiled
from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.proof import parity
from packager.engines.proof.inputs import RefusedError
from packager.engines.proof.model_under_test import Case

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

LARGEST_BYTES: Final = 2**31 - 1
"""A protobuf message's own limit (https://protobuf.dev/programming-guides/encoding/)."""
FILE: Final = "model.onnx"
_WORDS: Final = 800
"""Letters of a converter's or the runtime's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Result of a candidate: `options` for the loader, or None where it is refused."""

    evidence: dict[str, Any]
    options: dict[str, Any] | None = None


class GraphCase(Case):
    """Raises RefusedError where the model answers with nothing that a graph could."""

    def __init__(self, *, family: Family, **known: Any) -> None:
        super().__init__(hints=family, **known)
        self._family = family

    def candidates(self) -> Iterator[Candidate]:
        return self._family.candidates(self.model, self.inputs, self.method)

    def try_candidate(self, candidate: Candidate, path: Path) -> Tried:
        """Compile one candidate and compare it."""
        try:
            opsets, size = _write_optimised_graph(candidate, path)
            settings = {"intra_op_num_threads": 1} if candidate.exact else {}
            session = compiled.session(onnxruntime, str(path), settings)
            options = self._options(candidate, session, settings)
            ours = compiled.Compiled(session, options)
        except Exception as error:  # noqa: BLE001 - converters raise anything: that candidate is out
            words = " ".join(str(error).split())[:_WORDS]
            return Tried(evidence={"refused": f"{type(error).__name__}: {words}"})
        done = parity.compare_batches(
            self.batches,
            lambda table: ours.array(self.make_feed(table)),
            rtol=0.0 if candidate.exact else self.rtol,
            atol=0.0 if candidate.exact else self.atol,
            labels=self.labels,
        )
        evidence: dict[str, Any] = {
            "exact": candidate.exact,
            "opset": opsets,
            "graph_bytes": size,
            "rows": done.rows,
            "refusals_agreed": done.refusals,
            "max_abs_error": done.max_abs_error,
            "max_rel_error": done.max_rel_error,
        }
        if done.wrong:
            shown = "; ".join(done.shown)
            evidence["refused"] = f"{done.wrong} rows differ: {shown}"
            return Tried(evidence=evidence)
        return Tried(evidence=evidence, options=options)

    def _options(
        self, candidate: Candidate, session: InferenceSession, settings: dict[str, int]
    ) -> dict[str, Any]:
        return {
            "file": FILE,
            "feeds": candidate.feeds,
            "output": session.get_outputs()[candidate.output].name,
            **self.describe_answers(),
            **({"levels": dict(candidate.levels)} if candidate.levels else {}),
            **({"session_options": settings} if settings else {}),
        }


def _write_optimised_graph(candidate: Candidate, path: Path) -> tuple[dict[str, int], int]:
    """Write the graph as onnxruntime rearranges it for any machine; returns opsets and size."""
    graph = candidate.graph()
    graph.graph.name = "model"
    try:
        content = graph.SerializeToString(deterministic=True)
    except EncodeError as error:
        raise RefusedError(f"a graph of more than {LARGEST_BYTES} bytes") from error
    if len(content) > LARGEST_BYTES:
        raise RefusedError(f"a graph of {len(content)} bytes: {LARGEST_BYTES} is the most")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return {each.domain: each.version for each in graph.opset_import}, path.stat().st_size

"""The question and sources that a worker of any engine gets, and the refusal if it fails."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from packager.environments import kept_bytecode
from packager.errors import VerificationError
from packager.models import registered_model
from packager.probes import examples
from packager.probes.values import Values
from packager.system import resources
from packager.system.scratch import make_scratch
from packager.types import BuildPlan, Check, Finding, Interpreter, Json, ResolvedModel

_TYPES: Final = frozenset({"double", "float", "long", "integer", "boolean", "string"})
_HANDS_ON: Final = frozenset({"pytorch", "xgboost"})
"""Flavors whose pyfunc passes a request's params to the model; the others check and drop them.

https://github.com/mlflow/mlflow, `predict` of `_XGBModelWrapper` and `_PyTorchWrapper`
"""
SECONDS: Final = 1200
"""Of a worker, the wait for the compiler among them."""
ROWS: Final = 10_000
_CELLS: Final = 2_000_000
"""Of the generated rows together: 10,000 rows of up to 200 columns, and fewer of wider ones."""
_LEAST: Final = 200
"""Rows of the widest."""
_OWN: Final = Path(__file__).parent


def find_obstacle(model: ResolvedModel, flavor: str) -> str:
    """Explain why rows cannot be compared, or params not be passed; empty where they can."""
    inputs = (model.signature or {}).get("inputs")
    if not inputs:
        return "the model has no signature"
    if strange := sorted({str(spec.get("type")) for spec in inputs} - _TYPES - {"tensor"}):
        return f"the signature has columns of type {', '.join(strange)}"
    if flavor in _HANDS_ON and (params := (model.signature or {}).get("params")):
        names = ", ".join(str(each.get("name")) for each in params)
        return f"the model itself is handed the parameters {names}, and a graph takes none"
    if any(not spec.get("required", True) and spec.get("type") == "string" for spec in inputs):
        return "a text column may be absent"
    return ""


def make_question(model: ResolvedModel, rows: int, seed: int, rtol: float, atol: float) -> Json:
    """Return what the worker is told: rows by column, drawn as those of a replay are."""
    values = Values(random.Random(seed), _columns(model))  # noqa: S311 - repeatable on purpose
    inputs = (model.signature or {}).get("inputs") or []
    fitting = min(rows, max(_LEAST, _CELLS // max(1, len(inputs))))
    table: dict[str, Json] = {}
    example: dict[str, Json] | None = {}
    for at, spec in enumerate(inputs):
        name = str(spec.get("name", "" if spec.get("type") == "tensor" else at))
        seen = values.examples.get(name, ())
        if spec.get("type") == "tensor":
            tail = [max(1, int(length)) for length in spec["tensor-spec"]["shape"][1:]]
            shape = [min(rows, max(_LEAST, _CELLS // math.prod(tail))), *tail]
            table[name] = values.tensor(str(spec["tensor-spec"]["dtype"]), shape, list(_flat(seen)))
        else:
            table[name] = [values.column(spec, name) for _ in range(fitting)]
        if example is not None and seen:
            example[name] = list(seen)
        else:
            example = None
    return {"table": table, "example": example, "rtol": rtol, "atol": atol, "seed": seed}


def _columns(model: ResolvedModel) -> Mapping[str, list[object]]:
    return examples.columns(
        None if model.example is None else examples.decode_example(model.example)
    )


def _flat(value: object) -> list[object]:
    if isinstance(value, list | tuple):
        return [leaf for inner in value for leaf in _flat(inner)]
    return [value]


def copy_sources(site: Path, parts: Sequence[str]) -> None:
    """Copy the worker's own modules and the loaders that it tries, and nothing else of ours."""
    skipped = shutil.ignore_patterns("__pycache__")
    target = site / "packager" / "engines"
    for part in parts:
        shutil.copytree(_OWN / part, target / part, ignore=skipped)
    for package in (site / "packager", target):
        (package / "__init__.py").touch()
    shutil.copytree(resources.handlers_root(), site / "handlers", ignore=skipped)


def run_worker(
    plan: BuildPlan,
    environment: tuple[Path, Interpreter],
    engine: str,
    arguments: Sequence[Path],
    *,
    readable: Sequence[Path] = (),
    writable: Path,
) -> None:
    """Run an engine's worker where the model is, with the bytecode of an earlier run.

    `environment` is the Python that the model is in, and the interpreter that it was made from.
    Raises ToolError.
    """
    python, interpreter = environment
    use = kept_bytecode.name_use(engine, plan.model.flavors)
    with (
        make_scratch("engine") as given,
        kept_bytecode.lending_bytecode(python, interpreter, use) as (bytecode, is_written),
    ):
        copy_sources(given / "site", (engine, "proof"))
        lent = (writable, bytecode) if is_written else (writable,)
        registered_model.run(
            [python, "-s", "-m", f"packager.engines.{engine}.worker", plan.model.root, *arguments],
            readable=(plan.model.root, given, *readable, *(() if is_written else (bytecode,))),
            writable=lent,
            network=plan.request.model.allow_network,
            more={"PYTHONPATH": str(given / "site"), "PYTHONPYCACHEPREFIX": str(bytecode)},
            timeout_seconds=SECONDS,
        )


def refuse_model(form: str, why: Sequence[str], hint: str) -> VerificationError:
    """Return what is raised where a model is not compiled, with the reasons."""
    text = "; ".join(line.strip()[-1500:].rstrip(".") for line in why) or "there was no candidate"
    finding = Finding(
        check=Check.ENGINE,
        message=f"The model cannot be compiled to {form} so that it answers the same: {text}.",
        hint=hint,
    )
    return VerificationError([finding])

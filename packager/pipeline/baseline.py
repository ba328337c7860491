"""Baseline of drift: a sketch of the training set's columns and of the answers to it.

The table is the file that --baseline names, else the training set that was logged with MLflow,
where it lies in the run's own remote store, else the saved example, where it has rows enough. The
answers are the registered model's own, asked in the environment that it declares.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from handlers.loaders import _threads
from handlers.observability.drift import MOST_COLUMNS, answers
from handlers.observability.sketches import LEAST_BASELINE, Sketch, sketch
from packager.environments import kept_bytecode, virtual_environments
from packager.environments.machine.installation import name_install
from packager.errors import ConfigurationError, ToolError
from packager.models import registered_model
from packager.system.resources import WORKERS
from packager.system.sandbox import read_result
from packager.system.scratch import make_scratch
from packager.types import BuildPlan, BuildRequest, Json, ResolvedModel

if TYPE_CHECKING:
    import pandas as pd

_LOG = logging.getLogger(__name__)
_WORKER: Final = WORKERS / "oracle.py"
_THREADS: Final = Path(_threads.__file__)
_SECONDS: Final = 900
_ROWS: Final = 10_000
"""Of the table, drawn with a fixed seed."""
_ASKED: Final = 2000
_BATCH: Final = 500
_Table: TypeAlias = "tuple[pd.DataFrame, list[str], list[str]]"


def measure_baseline(plan: BuildPlan) -> BuildPlan:
    """Return the plan with what drift is measured from. Raises as `make` does."""
    return replace(plan, drift=make(plan))


def make(plan: BuildPlan) -> str | None:
    """The text of drift.json; None where there is nothing to measure from.

    Raises ConfigurationError where the file of --baseline cannot be used.
    """
    model = plan.model
    table = _read_table(plan.request, model)
    if table is None:
        return None
    frame, names, wanted = table
    frame = frame.sample(min(_ROWS, len(frame)), random_state=0).reset_index(drop=True)
    inputs = [sketch(name, frame[name].to_numpy()) for name in wanted[:MOST_COLUMNS]]
    predictions = _read_predictions(
        plan, frame[names] if set(names) <= {*wanted} else frame[wanted]
    )
    made = {
        "source": model.baseline_source,
        "rows": len(frame),
        "inputs": [_round_sketch(each) for each in inputs],
        "predictions": [_round_sketch(each) for each in predictions],
    }
    return json.dumps(made, sort_keys=True, indent=1) + "\n"


def check_table(request: BuildRequest, model: ResolvedModel) -> None:
    """Raises ConfigurationError where the file of --baseline cannot be used."""
    if request.events.baseline is not None:
        _read_table(request, model)


def _read_table(request: BuildRequest, model: ResolvedModel) -> _Table | None:
    """The table, the signature's columns, and those to watch; None for nothing to measure from."""
    if model.baseline is None:
        return None
    if not _can_read(request, model.baseline, model.baseline_source):
        return None
    frame = _read(model.baseline, model.baseline_source)
    names = [
        str(spec["name"]) for spec in (model.signature or {}).get("inputs") or () if "name" in spec
    ]
    wanted = [name for name in names or frame.columns if name in frame.columns]
    if wanted and len(frame) >= LEAST_BASELINE:
        return frame, names, wanted
    why = (
        f"{model.baseline_source}: drift is measured from {LEAST_BASELINE} rows or more of the "
        f"model's columns; there are {len(frame)} rows and the columns {list(frame.columns)}."
    )
    if request.events.baseline is not None:
        raise ConfigurationError(f"--baseline {why}")
    _LOG.info("No drift is measured: %s", why)
    return None


def _round_sketch(made: Sketch) -> dict[str, Json]:
    """Digits enough for bins, and the same on every machine."""
    return {
        name: [float(f"{v:.9g}") for v in value] if name in {"shares", "edges"} else value
        for name, value in asdict(made).items()
    }


def _can_read(request: BuildRequest, path: Path, source: str) -> bool:
    """Raises ConfigurationError where --baseline names a file that nothing here reads."""
    if path.suffix.lower() != ".parquet" or find_spec("pyarrow") is not None:
        return True
    why = (
        f"{source} is a Parquet file, and pyarrow, which reads it, is not installed. Install "
        f"packager with its extra: `{name_install(extra='parquet')}`, or name a CSV or JSON Lines "
        "file with --baseline."
    )
    if request.events.baseline is not None:
        raise ConfigurationError(f"--baseline {why}")
    _LOG.warning("No drift is measured: %s", why)
    return False


def _read(path: Path, source: str) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - most builds read no table

    ending = path.suffix.lower()
    try:
        if ending == ".parquet":
            return pd.read_parquet(path)
        if ending in {".jsonl", ".ndjson"}:
            return pd.read_json(path, lines=True)
        if ending == ".json":
            split = json.loads(path.read_text(encoding="utf-8"))["dataframe_split"]
            # pandas leaves out columns that are numbered from zero
            return pd.DataFrame(split["data"], columns=split.get("columns"))
        return pd.read_csv(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{source} cannot be read as a table: {error}. Give CSV, JSON Lines or Parquet, with "
            "the ending that says so."
        ) from error


def _read_predictions(plan: BuildPlan, frame: pd.DataFrame) -> list[Sketch]:
    try:
        found = _ask_model(plan, frame.head(_ASKED))
    except ToolError as error:
        _LOG.info("No drift of predictions is measured: %s", error)
        return []
    if len(found) < min(len(frame), _ASKED):
        _LOG.info("No drift of predictions is measured: the model refused rows of the baseline")
        return []
    import numpy as np  # noqa: PLC0415

    if isinstance(found[0], dict):
        table: Any = {name: np.array([row.get(name) for row in found]) for name in found[0]}
    else:
        table = np.array(found)
    return [sketch(name, values) for name, values in answers(table).items()]


def _ask_model(plan: BuildPlan, frame: pd.DataFrame) -> list[Json]:
    """The registered model's answers, row by row. Raises ToolError where it cannot be asked."""
    model = plan.model
    interpreter, _ = virtual_environments.interpreter_of(model, plan.interpreter)
    python = virtual_environments.of_model(model, interpreter, plan.platform)
    use = kept_bytecode.name_use(_WORKER.name, model.flavors)
    store = kept_bytecode.provide_bytecode(python, interpreter, use)
    more = {} if store is None else {"PYTHONPYCACHEPREFIX": str(store)}
    with make_scratch("baseline") as name:
        asked, answered = name / "asked.jsonl", name / "answered.jsonl"
        asked.write_text("".join(_make_probes(frame)), encoding="utf-8")
        registered_model.run(
            [python, "-s", _WORKER, model.root, asked, answered, "--seconds", f"{_SECONDS}"],
            readable=(model.root, _WORKER, _THREADS, *(() if store is None else (store,))),
            writable=(name,),
            network=plan.request.model.allow_network,
            timeout_seconds=_SECONDS,
            more=more,
        )
        _, *lines = (json.loads(each) for each in read_result(answered).splitlines())
    return [row for line in lines for row in _rows(line)]


def _make_probes(frame: pd.DataFrame) -> Iterable[str]:
    for start in range(0, len(frame), _BATCH):
        split = json.loads(
            frame.iloc[start : start + _BATCH].to_json(orient="split", date_format="iso")
        )
        body = json.dumps({"dataframe_split": {k: split[k] for k in ("columns", "data")}})
        told = {
            "body": base64.b64encode(body.encode()).decode(),
            "content_type": "application/json",
        }
        yield json.dumps(told) + "\n"


def _rows(line: Json) -> Sequence[Json]:
    if line["status"] != 200:
        return ()
    found = json.loads(line["body"])
    rows = found.get("predictions") if isinstance(found, dict) else found
    return rows if isinstance(rows, list) else ()

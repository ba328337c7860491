"""Build tiny models, keep what the builds found, and write the table of docs/flavors.md from it.

    python tests/models/flavor_table.py build NAME ...    # evidence/NAME.json; the artifact goes again
    python tests/models/flavor_table.py table [PAGE]      # between two markers; nothing is typed by hand
    PACKAGER_EVIDENCE=1 pytest -m slow tests/integration/test_end_to_end.py    # of what it builds

`build` without a name takes every model of MODELS. What does not fit the target is recorded too:
everything but its size was checked, and the row names the target that takes it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from packager.errors import VerificationError
from packager.pipeline.build import build
from packager.models.registry import MlflowRegistry
from packager.types import BuildPlan, BuildReport, Engine, Evidence, make_request
from tests import models

PAGE = REPOSITORY / "docs" / "flavors.md"
EVIDENCE = Path(__file__).parent / "evidence"
START = "<!-- flavors: written by tests/models/flavor_table.py -->"
END = "<!-- end of flavors -->"
HEAD = (
    "| flavor | model | built for | tier, frame | zipped | unzipped | start CPU | rows compared | largest difference |",
    "|---|---|---|---|---|---|---|---|---|",
)
MODELS = (
    "sklearn_skops",
    "sklearn_cloudpickle_proba",
    "sklearn_pickle",
    "sklearn_columns",
    "sklearn_mlflow2",
    "xgboost_booster",
    "xgboost_classifier",
    "lightgbm_booster",
    "lightgbm_classifier",
    "catboost_classifier",
    "catboost_categories",
    "onnx_tensor",
    "statsmodels_formula",
    "statsmodels_series",
    "prophet_bounds",
    "prophet_point",
    "spacy_categories",
    "pyfunc_pickle",
    "pyfunc_code",
    "pyfunc_loader",
    "pyfunc_mlflow",
    "agent_responses",
    "agent_chat",
    "agent_chat_model",
    "langchain_chain",
    "keras_jax",
    "pytorch_pt2",
    "pytorch_pickle",
    "sentences_vectors",
    "tensorflow_keras",
    "tensorflow_module",
    "transformers_classes",
    "transformers_features",
    "transformers_mask",
    "transformers_text",
    "transformers_tokens",
    "transformers_zero_shot",
)
WITH_TORCH = ("pytorch", "sentences", "transformers")


def torch_options(folder: Path) -> dict[str, Any]:
    """What lets PyTorch's CPU build be used: where pip has it from, and a runtime that it loads on.

    The one at hand is for Python 3.11 and glibc 2.28, which Lambda's Python 3.11 has not: `folder`
    gets facts in which it runs on the system of the later ones.
    """
    pip = [f"{sys.base_prefix}/bin/python3", "-m", "pip", "config", "get", "global.find-links"]
    links = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
    if links:
        os.environ["UV_FIND_LINKS"] = links
    shutil.copytree(REPOSITORY / "packager" / "facts", folder, ignore=lambda *_: ["__pycache__"])
    file = folder / "aws_lambda.toml"
    before, name, after = file.read_text(encoding="utf-8").partition('name = "python3.11"')
    later = after.replace('"al2"', '"al2023"', 1)
    file.write_text(before + name + later, encoding="utf-8")
    return {"facts_dir": folder, "python_minor": "3.11"}


def record(name: str) -> dict[str, Any]:
    """Build one model in a folder that goes again; what came of it.

    Raises VerificationError where anything but the size is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="flavor-table-") as folder:
        work = Path(folder)
        options = torch_options(work / "facts") if name.startswith(WITH_TORCH) else {}
        request = make_request(
            model_uri=str(models.folder(name)),
            out_dir=work / name,
            engine=Engine.NATIVE,
            **options,
        )
        try:
            report = build(request, MlflowRegistry(None, None))
        except VerificationError as error:
            rejected = error.rejected
            checks = {finding.check for finding in error.findings} - {"tried before"}
            if rejected is None or checks != {"budget"}:
                raise
            return found(rejected.plan, rejected.evidence, None, rejected.unzipped_bytes)
        return proven(report)


def proven(report: BuildReport) -> dict[str, Any]:
    """The evidence file of a build that came to its end."""
    artifact = report.artifact
    return found(report.plan, report.evidence, artifact.size_bytes, artifact.unzipped_bytes)


def keep(name: str, kept: dict[str, Any]) -> None:
    EVIDENCE.mkdir(exist_ok=True)
    text = json.dumps(kept, indent=2, sort_keys=True) + "\n"
    (EVIDENCE / f"{name}.json").write_text(text, encoding="utf-8")


def found(
    plan: BuildPlan, evidence: Evidence, zipped: int | None, unzipped: int
) -> dict[str, Any]:
    """One evidence file; without a zip the target is the one that has room."""
    return {
        "flavor": plan.model.pyfunc["loader_module"] if plan.flavor == "unknown" else plan.flavor,
        "target": plan.target.name,
        "instead": plan.target.way_out if zipped is None else None,
        "tier": str(plan.tier),
        "frame": str(plan.frame),
        "python": plan.runtime.python_minor,
        "zipped_bytes": zipped,
        "unzipped_bytes": unzipped,
        "proven": evidence.proven,
        "rows_compared": evidence.replay.rows_compared,
        "requests_compared": evidence.replay.requests_compared,
        "refusals_agreed": evidence.replay.refusals_agreed,
        "mismatches": evidence.replay.mismatches,
        "max_abs_error": evidence.replay.max_abs_error,
        "cold_start": asdict(evidence.replay.cold_start) if evidence.replay.cold_start else None,
        "oracle": evidence.oracle,
    }


def row(name: str, kept: dict[str, Any]) -> str:
    zipped, cold = kept["zipped_bytes"], kept["cold_start"]
    cells = (
        kept["flavor"],
        name,
        kept["target"] if zipped is not None else f"too large; {kept['instead']}",
        f"{kept['tier']}, {kept['frame']}",
        f"{zipped / 1e6:.1f} MB" if zipped is not None else "none",
        f"{kept['unzipped_bytes'] / 1e6:.1f} MB",
        f"{cold['init_cpu_ms'] / 1000:.1f} s" if cold else "not measured",
        f"{kept['rows_compared']:,}" if kept["proven"] else "unproven",
        f"{kept['max_abs_error']:g}",
    )
    return f"| {' | '.join(cells)} |"


def table(folder: Path = EVIDENCE) -> str:
    """A row for each evidence file, sorted by flavor, then by model."""
    rows = sorted(
        row(path.stem, json.loads(path.read_text(encoding="utf-8")))
        for path in folder.glob("*.json")
    )
    if not rows:
        raise SystemExit(f"{folder} holds no evidence: make some with `build`")
    return "\n".join((*HEAD, *rows))


def put(text: str, made: str) -> str:
    """The text with what stands between the markers replaced. Raises ValueError without them."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError("the page has no markers for the table of flavors")
    return f"{before}{START}\n{made}\n{END}{after}"


def main(argv: list[str]) -> None:
    match argv:
        case ["build", *names]:
            for name in names or MODELS:
                kept = record(name)
                keep(name, kept)
                sys.stdout.write(f"{row(name, kept)}\n")
                sys.stdout.flush()
        case ["table", *page]:
            path = Path(page[0]) if page else PAGE
            path.write_text(put(path.read_text(encoding="utf-8"), table()), encoding="utf-8")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

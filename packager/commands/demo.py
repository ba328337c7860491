"""The whole way in one command: train, register, build, boot, ask through three doors."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from handlers.manifest import Manifest
from packager.commands.next_steps import deploy_command, run_command
from packager.environments import interpreters
from packager.environments.machine.installation import name_install
from packager.errors import ConfigurationError, ToolError, suggest_name
from packager.models import registry_stores
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.system import atomic_output, process
from packager.system.resources import WORKERS
from packager.targets.hosts import Boot, Call
from packager.targets.hosts.functions_worker import WorkerHost
from packager.targets.lambda_emulator import Emulator, http_event
from packager.types import (
    BuildReport,
    BuildRequest,
    DemoResult,
    DoorAnswer,
    EventOptions,
    ModelOptions,
    OutputOptions,
    TargetOptions,
)

_LOG = logging.getLogger(__name__)
_NAME: Final = "wine"
_ALIAS: Final = "champion"
_MINORS: Final = ("3.13", "3.14", "3.12")


def run_demo(folder: Path, target: str = "aws-lambda") -> DemoResult:
    """Everything under `folder`: a SQLite registry, its artifacts, and the built function."""
    known = ", ".join(_DOORS)
    if target not in _DOORS:
        meant = suggest_name(target, _DOORS)
        raise ConfigurationError(f"--target {target}: there is a demo for {known}.{meant}")
    folder = folder.absolute()
    atomic_output.check_writable(folder / "mlflow.db")
    folder.mkdir(parents=True, exist_ok=True)
    registry_stores.check_own(folder / "mlflow.db", _NAME)
    tracking_uri = f"sqlite:///{folder / 'mlflow.db'}"
    _LOG.info("Training a pipeline and registering it as models:/%s@%s", _NAME, _ALIAS)
    _train(folder, tracking_uri)
    if not interpreters.available(_MINORS):
        _LOG.info("Fetching Python %s, which the function will run on", _MINORS[0])
        interpreters.fetch(_MINORS[0])
    request = BuildRequest(
        model=ModelOptions(uri=f"models:/{_NAME}@{_ALIAS}", tracking_uri=tracking_uri),
        target=TargetOptions(name=target),
        events=EventOptions()
        if target == "aws-lambda"
        else EventOptions(sources=("queue",), output_to="queue://answers"),
        output=OutputOptions(folder=folder / "dist" / _NAME),
    )
    report = build(request, MlflowRegistry(tracking_uri, None))
    doors = _DOORS[target](report)
    artifact = report.artifact.folder.parent
    return {
        "table": _table(report),
        "doors": doors,
        "proof": {
            "rows compared": f"{report.evidence.replay.rows_compared:,}",
            "largest difference": f"{report.evidence.replay.max_abs_error:g}",
            "answers from": report.evidence.oracle,
            "artifact": str(artifact),
            "sha256": report.artifact.sha256,
        },
        "next": [
            *(run_command(name, artifact) for name in ("inspect", "invoke", "serve", "verify")),
            deploy_command(artifact, report.plan.target.deployment.deploy),
        ],
    }


def _train(folder: Path, tracking_uri: str) -> None:
    """In a process of its own, as an author would: MLflow and scikit-learn stay out of ours."""
    worker = WORKERS / "train_demo.py"
    env = {
        **process.basic_environment(),
        **process.inherit(("PYTHONPATH",)),
        "MLFLOW_TRACKING_URI": tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    try:
        process.run([sys.executable, worker, _NAME, _ALIAS], cwd=folder, env=env)
    except ToolError as error:
        if any(kind in str(error) for kind in ("ModuleNotFoundError", "PackageNotFoundError")):
            raise ConfigurationError(
                "The demo trains a model with MLflow, scikit-learn and skops, and one of them is "
                "not installed. Install packager with its extra: "
                f"`{name_install(extra='demo')}`."
            ) from error
        raise


def _ask(report: BuildReport) -> list[DoorAnswer]:
    """One API Gateway request, one function-URL request and one direct batch invoke."""
    function = report.artifact.folder
    manifest = Manifest.read(function)
    if manifest.example is None:
        raise ToolError(
            "The demo's model was saved without its example. Name a new folder and try again."
        )
    body = (function / manifest.example).read_bytes()
    headers = {"content-type": "application/json"}
    events = {
        "API Gateway (HTTP API)": http_event("POST", "/invocations", body, headers),
        "function URL": http_event("POST", "/invocations", body, headers, kind="function-url"),
        "direct batch invoke": json.loads(body),
    }
    doors: list[DoorAnswer] = []
    with Emulator(function, interpreter=interpreters.find(manifest.python)) as running:
        for door, event in events.items():
            answer = running.invoke(json.dumps(event).encode())
            value = json.loads(answer.body)
            shown = value.get("body", answer.body.decode())
            doors.append(
                {"door": door, "status": value.get("statusCode", answer.status), "answer": shown}
            )
    return doors


def _ask_azure(report: BuildReport) -> list[DoorAnswer]:
    """One HTTP request and one queue message, through Azure's own worker library."""
    plan = report.plan
    manifest = Manifest.read(report.artifact.folder / plan.target.tree.home)
    if manifest.example is None:
        raise ToolError(
            "The demo's model was saved without its example. Name a new folder and try again."
        )
    body = (report.artifact.folder / plan.target.tree.home / manifest.example).read_bytes()
    boot = Boot(
        folder=report.artifact.folder,
        interpreter=plan.interpreter,
        entrypoint=plan.target.program.entrypoint,
    )
    with WorkerHost(boot) as running:
        http = running.ask(Call(body=body, content_type="application/json"))
        came = running.deliver("queue", body)
    sent = "\n".join(json.dumps(answer) for answer in came.answers)
    return [
        {"door": "HTTP", "status": http.status, "answer": http.text},
        {"door": "storage queue", "status": came.failure or "sent", "answer": sent},
    ]


_DOORS: Final[Mapping[str, Callable[[BuildReport], list[DoorAnswer]]]] = MappingProxyType(
    {"aws-lambda": _ask, "azure-functions": _ask_azure}
)
"""By the target's name: asks a built function by its doors."""


def _table(report: BuildReport) -> list[list[str]]:
    evidence, artifact = report.evidence, report.artifact
    rows = [_row("unzipped, MB", evidence.declared_bytes, artifact.unzipped_bytes, 1e6)]
    rows.append(["zipped, MB", "", f"{artifact.size_bytes / 1e6:,.1f}", ""])
    if cold := evidence.replay.cold_start:
        before = evidence.declared_start_cpu_ms
        rows.append(_row("CPU to first answer, ms", before, cold.init_cpu_ms, 1))
        rows.append(["peak memory, MB", "", f"{cold.peak_rss_bytes / 1e6:,.0f}", ""])
        rows.append(["warm invoke, ms", "", f"{cold.warm_invoke_ms:,.1f}", ""])
    return rows


def _row(name: str, before: float | None, after: float, unit: float) -> list[str]:
    if not before:
        return [name, "-", f"{after / unit:,.1f}", ""]
    ratio = f"{after / before:.2f}"
    return [name, f"{before / unit:,.1f}", f"{after / unit:,.1f}", ratio]

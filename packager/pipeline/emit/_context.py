"""Values that the templates are given: plain, each made safe for where it goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Final

from handlers.events import aws_sources
from handlers.observability import of_model, sketches
from packager.facts import devices
from packager.pipeline import sizes
from packager.pipeline.emit import _dashboard, _state_machine, _text
from packager.pipeline.emit._requests import list_requests
from packager.pipeline.emit._rollout import has_replay, name_preference
from packager.pipeline.emit._sample_events import payload
from packager.pipeline.emit._sizing import Sizing, suggest_concurrency
from packager.pipeline.function_variables import list_template_variables
from packager.system import destination_uri
from packager.types import Artifact, BuildPlan, Device, VerifiedBundle, Weights

_ROUTES: Final = {
    "Invocations": "POST /invocations",
    "Ping": "GET /ping",
    "Health": "GET /health",
    "Version": "GET /version",
}
_NAMESPACE: Final = "ModelServing"
# description of a function: at most 256 characters
# (https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html)
_DESCRIPTION: Final = 256
# a parameter's value: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_PREFIX_LIMIT: Final = 25
"""Of the model's name in a prefix: with `weights/` and a digest 42, as a version's description
has room for."""
_PARAMETER: Final = 4096

_HEALTH_PROGRAM: Final = (
    "import os, urllib.request as r; "
    "names = 'SAGEMAKER_BIND_TO_PORT', 'FUNCTIONS_CUSTOMHANDLER_PORT', 'PORT', 'AWS_LWA_PORT'; "
    "port = next(filter(None, map(os.environ.get, names)), '8080').strip(); "
    "r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + port + '/ping', timeout=2)"
)
"""Ends with 0 where the container's server answers that its model is loaded."""


def context(
    artifact: Artifact, verified: VerifiedBundle, plan: BuildPlan, sizing: Sizing
) -> dict[str, object]:
    """Every name that a template under templates/ may use."""
    model = plan.model
    output = destination_uri.of(plan)
    tagged = tags(artifact, plan)
    mute = tuple(n for n in plan.request.events.sources if n not in plan.target.events.answering)
    drift = any(file.path.name == sketches.FILENAME for file in verified.bundle.files)
    named = _dimensions(plan)
    packages = sizes.by_package((f.path, f.size_bytes) for f in verified.bundle.files)
    snapshot = sizes.leaves_snapshot(verified.bundle, plan)
    return {
        "artifact": artifact,
        "architecture": plan.request.target.architecture,
        **_describe_base(plan),
        "batch": plan.request.events.batch,
        "bundle": verified.bundle,
        **_describe_device(plan),
        "cold": verified.evidence.replay.cold_start,
        "dashboard": _dashboard.body(_NAMESPACE, named, events=mute, drift=drift),
        "description": _write_description(plan),
        "dimensions": named,
        "drift": drift,
        "environment": list_template_variables(plan),
        "event_names": _event_names(plan),
        "events": plan.request.events.sources,
        "evidence": verified.evidence.describe(),
        "files": [name for name in plan.request.events.sources if name in aws_sources.OF_FILES],
        "front": plan.request.http.front.value,
        "http_auth": plan.request.http.auth.parameter,
        "handler": plan.target.program.entrypoint,
        "largest": packages[: sizes.SHOWN],
        "limits": plan.target.limits,
        "machine": _write_state_machine(),
        "model": model,
        "mute": mute,
        "namespace": _NAMESPACE,
        "once": plan.request.events.once,
        "output": output,
        "opentelemetry": plan.request.http.opentelemetry,
        "output_address": _address(output),
        "scheduled_request": _make_schedule_request(plan),
        "model_uri": _text.public_uri(model.uri),
        "parquet": any(package.name == "pyarrow" for package in plan.lock.packages),
        "plan": plan,
        "replays": has_replay(verified, plan),
        "reserved_concurrency": suggest_concurrency(plan, verified.evidence, sizing.memory_mb),
        "rollout": name_preference(plan),
        "room": sizes.unlocking(packages, plan.target, plan.runtime, snapshot=snapshot),
        "routes": _ROUTES,
        "runtime": plan.runtime.name,
        "scripts": plan.target.deployment.list_scripts(plan.request.events.sources),
        "sizing": sizing,
        "stack_name": _text.stack_name(model.name),
        "tag_list": _lines(tagged, "- {{Key: {key}, Value: {value}}}"),
        "tag_map": _lines(tagged, "{key}: {value}"),
        "tags": tagged,
        **_describe_weights(verified, plan),
    }


def _write_state_machine() -> str:
    made = _state_machine.definition("${FunctionArn}", "${AWS::Partition}")
    return json.dumps(made, indent=2)


def _describe_weights(verified: VerifiedBundle, plan: BuildPlan) -> dict[str, object]:
    """Return where the weights are had from, and whether the function can start from a snapshot.

    Neither a mounted file system nor a larger /tmp goes with one:
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html
    """
    bundle = verified.bundle
    way = None
    if bundle.weights:
        way = plan.weights_way.value
    return {
        "tmp_mb": sizes.choose_tmp_mb(bundle, plan),
        "weights": way,
        "weights_bytes": bundle.outside_bytes,
        "weights_prefix": f"weights/{_text.stack_name(plan.model.name, limit=_PREFIX_LIMIT)}",
        "weights_files": len({file.sha256 for file in bundle.weights}),
        "snapstart": plan.runtime.snapstart and way != Weights.MOUNT,
        "snapstart_default": sizes.leaves_snapshot(bundle, plan),
    }


def _event_names(plan: BuildPlan) -> tuple[str, ...]:
    """List the example events that lie beside the artifact."""
    return tuple(
        PurePosixPath(name).stem for name in list_requests(plan) if name.startswith("events/")
    )


def _dimensions(plan: BuildPlan) -> dict[str, str]:
    """Return the dimensions of the function's own metrics; see handlers.observability."""
    service = list_template_variables(plan)["POWERTOOLS_SERVICE_NAME"]
    return of_model(plan.model.name, plan.model.version, service)


def _describe_base(plan: BuildPlan) -> dict[str, object]:
    """Return what an image starts from, and how its Python is started."""
    return {
        "base_image": plan.base_image,
        "health_program": _HEALTH_PROGRAM,
        "brings_client": plan.runtime.brings_client,
        "snapstart_label": plan.runtime.snapstart_by_label
        or (plan.runtime.snapstart and plan.request.target.base_image is not None),
        "server_options": plan.interpreter.server_options,
    }


def _describe_device(plan: BuildPlan) -> dict[str, object]:
    """The machines and the device; of a GPU the CUDA that ships and the oldest driver for it."""
    instances = plan.target.machine.instances
    if plan.device is Device.CPU:
        return {"device": "cpu", "cuda": "", "driver": 0, "instances": instances}
    found = devices.cuda(plan.request.target.driver, plan.request.target.facts_dir)
    return {
        "device": "cuda",
        "cuda": found.version,
        "driver": found.least_driver,
        "instances": instances,
    }


def _address(output: destination_uri.Output | None) -> str:
    """The value of PACKAGER_OUTPUT, whose names are the template's parameters."""
    if output is None:
        return ""
    if output.kind == "s3":
        return "s3://${OutputBucket}/${OutputPrefix}"
    if output.kind == "sqs":
        host = "https://sqs.${AWS::Region}.${AWS::URLSuffix}"
        return f"sqs:{host}/${{AWS::AccountId}}/${{OutputName}}"
    return f"{output.kind}:${{OutputName}}"


def _make_schedule_request(plan: BuildPlan) -> str:
    """The schedule's request by default: the example, where a parameter can hold it.

    A text in it that reads `{{resolve:...}}` would be a secret of whoever deploys.
    """
    text = json.dumps(payload(plan.model) or {})
    # in JSON these stand in strings alone; elsewhere they are CloudFormation's and the scheduler's
    text = text.replace("{{", "{\\u007b").replace("<aws.", "\\u003caws.")
    return text if len(text) <= _PARAMETER else "{}"


def tags(artifact: Artifact, plan: BuildPlan) -> dict[str, str]:
    """Return tags that say what is deployed and where it came from.

    A resource may have 50 tags.
    """
    model = plan.model
    named = {
        "mlflow:model": model.name,
        "mlflow:version": model.version,
        "mlflow:run-id": model.run_id,
        "mlflow:model-id": model.model_id,
        "model:digest": model.digest,
        "artifact:sha256": artifact.sha256,
    }
    return {key: _text.tag_value(value) for key, value in named.items() if value}


def _write_description(plan: BuildPlan) -> str:
    model = plan.model
    version = f" version {model.version}" if model.version else ""
    text = f"MLflow model {model.name}{version}, {plan.flavor}, digest {model.digest[:12]}"
    return _text.ascii_words(text.replace(",", " -"), limit=_DESCRIPTION)


def _lines(values: Mapping[str, str], form: str) -> Callable[[int], str]:
    """A function of the indent, in spaces, that gives one line a value."""

    def at(indent: int) -> str:
        return "\n".join(
            " " * indent + form.format(key=_text.quote_scalar(key), value=_text.quote_scalar(value))
            for key, value in values.items()
        )

    return at

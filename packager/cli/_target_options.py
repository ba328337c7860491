"""Options for where an artifact runs and who calls it, each once, with its words.

A parameter is called as the request's field that it sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from packager.cli._choices import complete_target, define_choice, define_enum_choice
from packager.cli._choices.rates import read_rate
from packager.cli._panels import Panel
from packager.types import BOUNDS, Architecture, HttpAuth, InfrastructureTool
from packager.types import Compute as ComputeName
from packager.types import Engine as EngineName
from packager.types import Front as HttpFront
from packager.types import Rollout as TrafficRollout
from packager.types import Tier as RuntimeTier
from packager.types import Weights as WeightsPlace

Target: TypeAlias = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        metavar="<target>",
        autocompletion=complete_target,
        rich_help_panel=Panel.TARGET,
        help="Where the artifact will run: aws-lambda, aws-lambda-image, azure-functions, "
        "gpu-container or auto. With auto, packager builds for each target in turn and keeps the "
        "first whose limits the measured artifact meets. If its weights fit no zip, it weighs the "
        "ways to have them by measured start and cost.",
    ),
]
DemoTarget: TypeAlias = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        metavar="<target>",
        rich_help_panel=Panel.TARGET,
        help="Target of the demo: aws-lambda or azure-functions.",
    ),
]
Arch: TypeAlias = Annotated[
    Architecture,
    typer.Option(
        "--arch",
        **define_choice("x86_64", "arm64"),
        rich_help_panel=Panel.TARGET,
        help="Processor architecture.",
    ),
]
Arm64Python: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--arm64-python",
        exists=True,
        file_okay=False,
        metavar="<folder>",
        rich_help_panel=Panel.TARGET,
        help="Folder with the files of an arm64 system, as `docker export` gives them. On x86_64 "
        "its Python boots the function under QEMU. Without it that of PACKAGER_ARM64_PYTHON, else "
        "Debian's. With --arch arm64.",
        show_default=False,
    ),
]
Python: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--python",
        metavar="<3.N>",
        rich_help_panel=Panel.TARGET,
        help="Python minor version, for example 3.13. Without it, the model's own where the "
        "target has it.",
        show_default=False,
    ),
]
Memory: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--memory",
        metavar="<mb>",
        rich_help_panel=Panel.TARGET,
        help="Memory in MB. Without it, replay's measurement decides.",
        show_default=False,
    ),
]
EmulatedMemory: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--memory",
        metavar="<mb>",
        rich_help_panel=Panel.TARGET,
        help="Memory in MB. Without it, the template's.",
        show_default=False,
    ),
]
Timeout: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--timeout",
        metavar="<seconds>",
        rich_help_panel=Panel.TARGET,
        help="Timeout in seconds. Without it, replay's measurement decides.",
        show_default=False,
    ),
]
Rollout: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--rollout",
        rich_help_panel=Panel.TARGET,
        help="How a new version takes over the traffic, after it answered recorded requests of the "
        "proof as the registered model did: all-at-once, canary (a tenth, then all) or linear (a "
        "tenth more each minute). Without it, all traffic moves at once, unchecked.",
        show_default=False,
        **define_enum_choice(TrafficRollout, metavar="<rollout>"),
    ),
]
Emit: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--emit",
        **(define_choice(*InfrastructureTool) | {"metavar": "<tool>"}),
        rich_help_panel=Panel.TARGET,
        help="Write the deployment for another tool too: terraform or cdk. It has the same "
        "resources and parameters as template.yaml. For aws-lambda and aws-lambda-image. "
        "Repeatable.",
        show_default=False,
    ),
]
Rate: TypeAlias = Annotated[
    float,
    typer.Option(
        "--rate",
        parser=read_rate,
        metavar="<rate>",
        rich_help_panel=Panel.TARGET,
        help="Requests per second assumed when estimating cost, or per another time: 30/min, "
        "1000/h, 20000/day, 1e6/month.",
    ),
]
RequestRows: TypeAlias = Annotated[
    int,
    typer.Option(
        "--request-rows",
        min=1,
        metavar="<rows>",
        rich_help_panel=Panel.TARGET,
        help="Rows per request assumed when estimating cost.",
    ),
]
CostFront: TypeAlias = Annotated[
    HttpFront | None,
    typer.Option(
        "--http",
        **define_enum_choice(HttpFront, metavar="<endpoint>"),
        rich_help_panel=Panel.HTTP,
        help="HTTP endpoint assumed when estimating cost: http-api, function-url, rest-api or "
        "none. Without it, the artifact's own; for a model, http-api.",
        show_default=False,
    ),
]
Compute: TypeAlias = Annotated[
    ComputeName,
    typer.Option(
        "--compute",
        **define_enum_choice(ComputeName, metavar="<machines>"),
        rich_help_panel=Panel.TARGET,
        help="Machines that a Lambda function runs on: on-demand, or managed-instances (EC2 "
        "instances of your account, several requests at once in one environment; an image may "
        "have a GPU there, with --device cuda).",
    ),
]
BaseImage: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<image>",
        rich_help_panel=Panel.TARGET,
        help="Base image, as NAME@sha256:DIGEST. Without it, the target's own, by its tag.",
        show_default=False,
    ),
]
Device: TypeAlias = Annotated[
    Literal["cpu", "cuda"] | None,
    typer.Option(
        **define_choice("cpu", "cuda"),
        rich_help_panel=Panel.TARGET,
        help="Device on which a container, or an image on managed instances, runs the model. "
        "Without it, the target's own.",
        show_default=False,
    ),
]
Driver: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<driver>",
        rich_help_panel=Panel.TARGET,
        help="NVIDIA driver of the deployed machine, for example 580, or a host such as "
        "cloud-run-l4. It decides between CUDA 12 and 13.",
        show_default=False,
    ),
]
Weights: TypeAlias = Annotated[
    WeightsPlace,
    typer.Option(
        "--weights",
        **define_enum_choice(WeightsPlace, metavar="<place>"),
        rich_help_panel=Panel.TARGET,
        help="Where the model's files of 1 MB or more go: package (in what is deployed), fetch (in "
        "S3, from which each start fetches them; aws-lambda), mount (on a file system that the "
        "function mounts; aws-lambda, azure-functions) or auto (outside where the package would be "
        "too large: fetch on aws-lambda, mount on azure-functions).",
    ),
]
TimedBy: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--timed-by",
        exists=True,
        file_okay=False,
        metavar="<folder>",
        rich_help_panel=Panel.TARGET,
        help="Artifact of the same model whose times and memory count, for one that was not timed: "
        "an artifact for arm64 that was proven on x86_64.",
    ),
]
FactsDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        metavar="<folder>",
        rich_help_panel=Panel.TARGET,
        help="Folder of TOML files that override the built-in limits and prices.",
    ),
]
Tier: TypeAlias = Annotated[
    RuntimeTier | None,
    typer.Option(
        "--tier",
        **define_enum_choice(RuntimeTier),
        rich_help_panel=Panel.ENGINE,
        help="The only runtime tier to try: no MLflow, a stand-in for it, or mlflow-skinny.",
        show_default=False,
    ),
]
Engine: TypeAlias = Annotated[
    str,
    typer.Option(
        "--engine",
        **(define_choice("auto", *EngineName) | {"metavar": "<engine>"}),
        rich_help_panel=Panel.ENGINE,
        help="What answers: auto, native, onnx or machine-code. native serves with the model's "
        "framework. onnx compiles the model to a graph, machine-code to a library. auto serves the "
        "library if it is proven equal to the last bit, else the framework.",
    ),
]
Engines: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--engines",
        rich_help_panel=Panel.ENGINE,
        help="Build with each engine and measure it. Each takes as long as a build.",
    ),
]
Rtol: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=BOUNDS["rtol"].low,
        max=BOUNDS["rtol"].high,
        metavar="<number>",
        rich_help_panel=Panel.ENGINE,
        help="Relative error allowed in the numbers of a compiled model. Given with "
        "--engine auto, a compiled model need not be equal to the last bit.",
        show_default="1e-05",
    ),
]
Atol: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=BOUNDS["atol"].low,
        max=BOUNDS["atol"].high,
        metavar="<number>",
        rich_help_panel=Panel.ENGINE,
        help="Absolute error allowed in the numbers of a compiled model.",
        show_default="1e-06",
    ),
]
Front: TypeAlias = Annotated[
    HttpFront,
    typer.Option(
        "--http",
        **define_enum_choice(HttpFront, metavar="<endpoint>"),
        rich_help_panel=Panel.HTTP,
        help="HTTP endpoint in the template: http-api, function-url, rest-api (which has API "
        "keys) or none.",
    ),
]
Auth: TypeAlias = Annotated[
    HttpAuth,
    typer.Option(
        "--auth",
        **define_enum_choice(HttpAuth, metavar="<auth>"),
        rich_help_panel=Panel.HTTP,
        help="What a caller of the HTTP endpoint has to bring: iam (a signed request), jwt (a "
        "token of your issuer, with http-api), api-key (a key in the header x-api-key, with "
        "rest-api) or none. On Azure jwt is a token of Entra ID, and api-key a function key. You "
        "can change it when you deploy, by the template's parameter HttpAuth, on Azure httpAuth.",
    ),
]
OpenTelemetry: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--opentelemetry",
        rich_help_panel=Panel.HTTP,
        help="Send metrics, traces and logs with Azure Monitor's OpenTelemetry distribution, on "
        "Azure.",
    ),
]
Events: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="<source>",
        rich_help_panel=Panel.EVENTS,
        help="Event source beside HTTP. On AWS: files, s3, sqs, sns, kinesis, dynamodb, "
        "eventbridge, kafka, stepfunctions or schedule. On Azure: queue, blob, eventgrid, "
        "servicebus, topic, eventhubs, timer or batches. Repeatable.",
    ),
]
OutputTo: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<address>",
        rich_help_panel=Panel.EVENTS,
        help="Destination for predictions from asynchronous events. On AWS: s3://BUCKET/PREFIX, "
        "sqs://QUEUE, eventbridge://BUS, dynamodb://TABLE or firehose://STREAM. On Azure: "
        "blob://CONTAINER/PREFIX, queue://NAME or servicebus://QUEUE.",
        show_default=False,
    ),
]
Once: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--once",
        rich_help_panel=Panel.EVENTS,
        help="Record scored events in a table, so that a repeated delivery is not scored again.",
    ),
]
Batch: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--batch",
        rich_help_panel=Panel.EVENTS,
        help="Add a state machine that scores whole files and folders in parallel.",
    ),
]
Baseline: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="<file>",
        rich_help_panel=Panel.EVENTS,
        help="Table (CSV, JSON Lines or Parquet) from which drift is measured. Without it, the "
        "training set that MLflow logged, if it is in the run's remote artifact store.",
    ),
]

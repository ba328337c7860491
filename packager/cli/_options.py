"""Each option once, with its words; a parameter is called as the request's field that it sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from packager.types import Front as HttpFront
from packager.types import Shipped
from packager.types import Tier as RuntimeTier

Model: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest, models:/m-ID, "
        "runs:/RUN/PATH, a model folder, or any address that MLflow reads.",
    ),
]
ModelOrArtifact: TypeAlias = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model's address, or an artifact's folder.")
]
Artifact: TypeAlias = Annotated[Path, typer.Argument(help="An artifact's folder.", file_okay=False)]

AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Machine-readable output on stdout.")
]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show each step's details.")
]

TrackingUri: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The MLflow tracking server; else MLFLOW_TRACKING_URI, else ./mlflow.db.",
        show_default=False,
    ),
]
RegistryUri: TypeAlias = Annotated[
    str | None,
    typer.Option(help="The model registry, where it is another server.", show_default=False),
]
FactsDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="TOML files that override built-in facts."),
]

TrustModelIndex: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--trust-model-index",
        help="Also take packages from indexes and addresses that only the model names.",
    ),
]

OutDir: TypeAlias = Annotated[
    Path, typer.Option("--out", "-o", file_okay=False, help="The artifact's folder.")
]
Target: TypeAlias = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        help="Where the artifact will run; auto: the first that what is measured fits.",
    ),
]
Rate: TypeAlias = Annotated[
    float, typer.Option("--rate", min=1e-6, help="Requests a second, for what each target costs.")
]
RequestRows: TypeAlias = Annotated[
    int, typer.Option("--request-rows", min=1, help="Rows of a request, for the same.")
]
Arch: TypeAlias = Annotated[str, typer.Option("--arch", help="x86_64 or arm64.")]
Python: TypeAlias = Annotated[
    str | None,
    typer.Option("--python", help="Python minor version, as 3.13.", show_default=False),
]
BaseImage: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="What an image is built on, as NAME@sha256:...; else the target's, by its tag.",
        show_default=False,
    ),
]
Device: TypeAlias = Annotated[
    Literal["cpu", "cuda"] | None,
    typer.Option(help="What a container's model runs on; else the target's.", show_default=False),
]
Driver: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The NVIDIA driver where it will run, as 580, or cloud-run-l4: it decides on CUDA "
        "12 or 13.",
        show_default=False,
    ),
]

Tier: TypeAlias = Annotated[
    RuntimeTier | None,
    typer.Option("--tier", help="Try this runtime tier only.", show_default=False),
]
Engine: TypeAlias = Annotated[
    Literal["auto", "native", "onnx"],
    typer.Option("--engine", help="native: the framework; onnx: compiled; auto: onnx if proven."),
]
Engines: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--engines", help="Build with each engine and measure it; takes a build's time each."
    ),
]
Rtol: TypeAlias = Annotated[
    float, typer.Option(min=0, help="Relative error that a compiled model may have.")
]
Atol: TypeAlias = Annotated[
    float, typer.Option(min=0, help="Absolute error that a compiled model may have.")
]

Front: TypeAlias = Annotated[
    HttpFront, typer.Option("--http", help="The HTTP front in the template.")
]
Events: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        help="A source of events beside HTTP: files, s3, sqs, sns, kinesis, dynamodb, "
        "eventbridge, kafka, stepfunctions or schedule; on Azure queue, blob, eventgrid, "
        "servicebus, topic, eventhubs, timer or batches; repeatable.",
    ),
]
OutputTo: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Where answers go that no caller waits for: s3://BUCKET/PREFIX, sqs://QUEUE, "
        "eventbridge://BUS, dynamodb://TABLE or firehose://STREAM; on Azure "
        "blob://CONTAINER/PREFIX, queue://NAME or servicebus://QUEUE.",
        show_default=False,
    ),
]
Once: TypeAlias = Annotated[
    bool, typer.Option("--once", help="Remember answered records in a table; score none again.")
]
Baseline: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="A table (CSV, JSON Lines, Parquet) that drift is measured from; else the "
        "training set that MLflow logged, where the run's own remote store holds it.",
    ),
]
Batch: TypeAlias = Annotated[
    bool,
    typer.Option("--batch", help="A state machine that runs whole files and folders in parallel."),
]
OpenTelemetry: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--opentelemetry",
        help="On Azure: metrics, traces and logs by Azure Monitor's OpenTelemetry distribution.",
    ),
]
Memory: TypeAlias = Annotated[
    int | None,
    typer.Option("--memory", help="MB; else from what replay measured.", show_default=False),
]
EmulatedMemory: TypeAlias = Annotated[
    int | None, typer.Option("--memory", help="MB; else the template's.", show_default=False)
]
Timeout: TypeAlias = Annotated[
    int | None,
    typer.Option("--timeout", help="Seconds; else from what replay measured.", show_default=False),
]

Example: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="A request to replay: MLflow's JSON, or CSV. For a model logged without an example.",
    ),
]
Rows: TypeAlias = Annotated[int, typer.Option(min=0, help="Rows to generate for replay.")]
Seed: TypeAlias = Annotated[int, typer.Option(help="Seed of the generated rows.")]
AllowUnproven: TypeAlias = Annotated[
    bool, typer.Option("--allow-unproven", help="Build even where nothing can be replayed.")
]

AllowNetwork: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-network",
        help="Let the model's code reach the network while it is loaded and asked.",
    ),
]

Passes: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Comma-separated slimming passes; else all.", show_default=False),
]
Keep: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Glob of files that no pass may remove; repeatable."),
]
Requirements: TypeAlias = Annotated[
    Shipped,
    typer.Option(help="What is tried first: what serving can need, or all that is declared."),
]
KeepPackage: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-package",
        help="Distribution that ships whether or not serving is known to need it; repeatable.",
    ),
]
Trace: TypeAlias = Annotated[
    bool, typer.Option(help="Slim by what the function is seen to use when it runs.")
]
Optimize: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        max=2,
        help="Python's -O for bytecode: 1 leaves asserts out, 2 docstrings too. A package that "
        "relies on either then answers otherwise, which replay shows where it is asked.",
    ),
]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan with its reasons; build nothing.")
]

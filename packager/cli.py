"""Command line: arguments to a request, errors to an exit code; nothing else."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from packager import __version__, _console
from packager.errors import PackagerError
from packager.types import BATCH_SOURCES, BuildRequest, Device, Engine, Front, Tier

app = typer.Typer(
    name="packager",
    help="Turn a model registered in MLflow into a small, proven, deployable serverless artifact.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ModelUri = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest, models:/m-ID, "
        "runs:/RUN/PATH, a model folder, or any address that MLflow reads.",
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="The MLflow tracking server; else MLFLOW_TRACKING_URI, else ./mlflow.db.",
        show_default=False,
    ),
]
RegistryUri = Annotated[
    str | None,
    typer.Option(help="The model registry, where it is another server.", show_default=False),
]
Target = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        help="Where the artifact will run; auto: the first that what is measured fits.",
    ),
]
Rate = Annotated[
    float, typer.Option("--rate", min=1e-6, help="Requests a second, for what each target costs.")
]
RequestRows = Annotated[
    int, typer.Option("--request-rows", min=1, help="Rows of a request, for the same.")
]
Python = Annotated[
    str | None,
    typer.Option("--python", help="Python minor version, as 3.13.", show_default=False),
]
Arch = Annotated[str, typer.Option("--arch", help="x86_64 or arm64.")]
Example = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="A request to replay: MLflow's JSON, or CSV. For a model logged without an example.",
    ),
]
TierOption = Annotated[
    Tier | None,
    typer.Option("--tier", help="Try this runtime tier only.", show_default=False),
]
EngineOption = Annotated[
    Literal["auto", "native", "onnx"],
    typer.Option("--engine", help="native: the framework; onnx: compiled; auto: onnx if proven."),
]
FactsDir = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="TOML files that override built-in facts."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show each step's details.")]


def _version(*, asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _top(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def inspect(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's address, or an artifact's folder.")
    ],
    *,
    tracking_uri: TrackingUri = None,
    registry_uri: RegistryUri = None,
    python: Python = None,
    arch: Arch = "x86_64",
    example: Example = None,
    tier: TierOption = None,
    rate: Rate = 1.0,
    request_rows: RequestRows = 1,
    engines: Annotated[
        bool,
        typer.Option(
            "--engines", help="Build with each engine and measure it; takes a build's time each."
        ),
    ] = False,
    facts_dir: FactsDir = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Say what a model is, how big it gets, and which targets it fits by how much.

    For an artifact's folder: what was removed, what was proven, and what is largest in it.
    """
    from packager.artifact import is_artifact
    from packager.fit import Workload
    from packager.inspect import inspect_artifact, inspect_model

    workload = Workload(requests_per_second=rate, rows=request_rows)

    with _console.progress(verbose=verbose):
        if is_artifact(Path(model)):
            found: dict[str, Any] = inspect_artifact(Path(model), workload, facts_dir)
        else:
            request = _request(
                model_uri=model,
                out_dir=Path("unused"),
                architecture=arch,
                python_minor=python,
                tracking_uri=tracking_uri,
                registry_uri=registry_uri,
                example=example,
                tier=tier,
                facts_dir=facts_dir,
            )
            found = inspect_model(request, _registry(request), workload, engines=engines)
    _show(found, as_json=as_json, human=_console.show_inspection)


@app.command()
def build(
    model: ModelUri,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", file_okay=False, help="The artifact's folder.")
    ] = Path("dist"),
    target: Target = "aws-lambda",
    rate: Rate = 1.0,
    request_rows: RequestRows = 1,
    tracking_uri: TrackingUri = None,
    registry_uri: RegistryUri = None,
    python: Python = None,
    arch: Arch = "x86_64",
    example: Example = None,
    tier: TierOption = None,
    engine: EngineOption = "native",
    rtol: Annotated[
        float, typer.Option(min=0, help="Relative error that a compiled model may have.")
    ] = 1e-5,
    atol: Annotated[
        float, typer.Option(min=0, help="Absolute error that a compiled model may have.")
    ] = 1e-6,
    front: Annotated[
        Front, typer.Option("--http", help="The HTTP front in the template.")
    ] = Front.HTTP_API,
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event",
            help="A source of events beside HTTP: files, s3, sqs, sns, kinesis, dynamodb, "
            "eventbridge, kafka, stepfunctions or schedule; on Azure queue, blob, eventgrid, "
            "servicebus, topic, eventhubs, timer or batches; repeatable.",
        ),
    ] = None,
    output_to: Annotated[
        str | None,
        typer.Option(
            help="Where answers go that no caller waits for: s3://BUCKET/PREFIX, sqs://QUEUE, "
            "eventbridge://BUS, dynamodb://TABLE or firehose://STREAM; on Azure "
            "blob://CONTAINER/PREFIX, queue://NAME or servicebus://QUEUE.",
            show_default=False,
        ),
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Remember answered records in a table; score none again."),
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A table (CSV, JSON Lines, Parquet) that drift is measured from; else the "
            "training set that MLflow logged with the model, where it can be read.",
        ),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch", help="A state machine that runs whole files and folders in parallel."
        ),
    ] = False,
    memory: Annotated[
        int | None, typer.Option(help="MB; else from what replay measured.", show_default=False)
    ] = None,
    timeout: Annotated[
        int | None,
        typer.Option(help="Seconds; else from what replay measured.", show_default=False),
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="Rows to generate for replay.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the generated rows.")] = 0,
    passes: Annotated[
        str | None,
        typer.Option(help="Comma-separated slimming passes; else all.", show_default=False),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Glob of files that no pass may remove; repeatable."),
    ] = None,
    trace: Annotated[
        bool,
        typer.Option(help="Slim by what the function is seen to use when it runs."),
    ] = True,
    optimize: Annotated[
        int,
        typer.Option(
            min=0,
            max=2,
            help="Python's -O for bytecode: 1 leaves asserts out, 2 docstrings too. A package that "
            "relies on either then answers otherwise, which replay shows where it is asked.",
        ),
    ] = 0,
    allow_unproven: Annotated[
        bool, typer.Option("--allow-unproven", help="Build even where nothing can be replayed.")
    ] = False,
    base_image: Annotated[
        str | None,
        typer.Option(
            help="What an image is built on, as NAME@sha256:...; else the target's, by its tag.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda"] | None,
        typer.Option(
            help="What a container's model runs on; else the target's.", show_default=False
        ),
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            help="The NVIDIA driver where it will run, as 580, or cloud-run-l4: it decides on CUDA "
            "12 or 13.",
            show_default=False,
        ),
    ] = None,
    facts_dir: FactsDir = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan with its reasons; build nothing.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Build, prove and emit a deployable artifact.

    The artifact appears in --out whole or not at all; an artifact that is there is replaced only
    by a proven one. Environments and recorded answers are cached, so a second run is faster.
    """
    from packager.auto import AUTO, build_auto, told
    from packager.fit import Workload

    request = _request(
        model_uri=model,
        out_dir=out,
        target="aws-lambda" if target == AUTO else target,
        architecture=arch,
        python_minor=python,
        tracking_uri=tracking_uri,
        registry_uri=registry_uri,
        example=example,
        tier=tier,
        engine=None if engine == "auto" else Engine(engine),
        rtol=rtol,
        atol=atol,
        front=front,
        events=tuple(dict.fromkeys([*(event or ()), *(BATCH_SOURCES if batch else ())])),
        output_to=output_to,
        once=once,
        batch=batch,
        baseline=baseline,
        memory_mb=memory,
        timeout_seconds=timeout,
        base_image=base_image,
        device=None if device is None else Device(device),
        driver=driver,
        rows=rows,
        seed=seed,
        passes=None if passes is None else tuple(p.strip() for p in passes.split(",") if p.strip()),
        keep=tuple(keep or ()),
        trace=trace,
        optimize=optimize,
        allow_unproven=allow_unproven,
        facts_dir=facts_dir,
    )
    from packager.inspect import plan_summary, report_summary
    from packager.pipeline import build as run
    from packager.pipeline import planned

    with _console.progress(verbose=verbose):
        if dry_run:
            with planned(request, _registry(request)) as (resolved, attempts, _):
                shown, human = plan_summary(resolved, attempts), _console.show_plan
        elif target == AUTO:
            workload = Workload(requests_per_second=rate, rows=request_rows)
            decided = build_auto(request, _registry(request), workload)
            shown, human = report_summary(decided.report), _console.show_report
            shown["targets"] = told(decided.verdicts)
            shown["reasons"] = [f"Not taken: {why}" for why in decided.passed_over]
        else:
            shown, human = report_summary(run(request, _registry(request))), _console.show_report
    _show(shown, as_json=as_json, human=human)


@app.command()
def invoke(
    artifact: Annotated[Path, typer.Argument(help="An artifact's folder.", file_okay=False)],
    *,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", help="The request: JSON, @FILE, or - for standard input."),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Send it as an HTTP API request to /invocations.")
    ] = False,
    content_type: Annotated[
        str, typer.Option(help="Of the request, with --http.")
    ] = "application/json",
    event: Annotated[
        str | None,
        typer.Option(
            help="Send it as a message of this source instead (an Azure artifact's).",
            show_default=False,
        ),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, max=10_000, help="Send it so often.")] = 1,
    memory: Annotated[
        int | None, typer.Option(help="MB; else the template's.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run the artifact as its target would, and send it a request.

    Under Lambda's own runtime client and emulator, or Azure's own worker library.

    Without --data the example that was saved with the model is sent. Timings are this machine's.
    """
    from packager.invoke import invoke_artifact

    with _console.progress(verbose=verbose):
        result = invoke_artifact(
            artifact,
            data=data,
            http=http,
            content_type=content_type,
            repeat=repeat,
            memory_mb=memory,
            event=event,
        )
    _show(result, as_json=as_json, human=_console.show_invocation)
    if result["failed"]:
        raise typer.Exit(1)


@app.command()
def batch(
    artifact: Annotated[Path, typer.Argument(help="An artifact's folder.", file_okay=False)],
    source: Annotated[
        str, typer.Argument(metavar="IN", help="s3://BUCKET/FILE, or a folder: s3://BUCKET/IN/.")
    ],
    target: Annotated[str, typer.Argument(metavar="OUT", help="s3://BUCKET/PREFIX.")],
    *,
    stack: Annotated[
        str | None, typer.Option(help="Its stack; else as samconfig.toml.", show_default=False)
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=10_000, help="Functions at once.")] = 100,
    rows: Annotated[int, typer.Option(min=1, help="Rows of a file in one call.")] = 200,
    tolerate: Annotated[
        float, typer.Option(min=0, max=100, help="Percent of the items that may fail.")
    ] = 0.0,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run a whole file or folder through the deployed function, many instances at once.

    For an artifact that was built with --batch and deployed. It waits, and shows how far it is;
    interrupted, the batch itself goes on.
    """
    from packager.batch import Order, run_batch

    order = Order(
        source=source,
        target=target,
        concurrency=concurrency,
        batch=rows,
        tolerated_percentage=tolerate,
    )
    with _console.progress(verbose=verbose):
        found = run_batch(artifact, order, stack=stack)
    _show(found, as_json=as_json, human=_console.show_batch)


@app.command()
def serve(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="An artifact's folder, or a model's address.")
    ],
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    as_deployed: Annotated[
        bool, typer.Option("--as-deployed", help="Answer as the deployed function would.")
    ] = False,
    tracking_uri: TrackingUri = None,
    registry_uri: RegistryUri = None,
    python: Python = None,
    verbose: Verbose = False,
) -> None:
    """Serve an artifact or a model on this machine, with interactive documentation at /docs.

    With --as-deployed an artifact's own entry point answers, under what stands for its target:
    Lambda's runtime client and emulator, or Azure's worker library.
    """
    from packager.serve import prepare, run

    with _console.progress(verbose=verbose):
        request = _request(
            model_uri=source,
            out_dir=Path("unused"),
            tracking_uri=tracking_uri,
            registry_uri=registry_uri,
            python_minor=python,
        )
        server = prepare(source, request, lambda: _registry(request), deployed=as_deployed)
    with _console.progress(verbose=True):
        code = run(server, host=host, port=port)
    raise typer.Exit(code)


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Argument(help="Where the registry and the artifact go.", file_okay=False)
    ] = Path("demo"),
    *,
    target: Target = "aws-lambda",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Train, register, build, boot and ask a small model: the whole way in one command."""
    from packager.demo import run_demo

    with _console.progress(verbose=verbose):
        result = run_demo(folder, target)
    _show(result, as_json=as_json, human=_console.show_demo)


def _request(**values: Any) -> BuildRequest:
    """Check what is known to be wrong before anything is started."""
    architecture = values.get("architecture", "x86_64")
    if architecture not in {"x86_64", "arm64"}:
        raise typer.BadParameter("must be x86_64 or arm64", param_hint="--arch")
    minor = values.get("python_minor")
    if minor is not None and not (
        len(parts := minor.split(".")) == 2 and all(p.isdecimal() for p in parts)
    ):
        raise typer.BadParameter("a minor version such as 3.13 is meant", param_hint="--python")
    from packager.plan import check

    request = BuildRequest(**values)
    check(request)
    return request


def _registry(request: BuildRequest) -> Any:
    from packager.registry import MlflowRegistry

    return MlflowRegistry(request.tracking_uri, request.registry_uri)


def _show(found: dict[str, Any], *, as_json: bool, human: Any) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False))
    else:
        human(found)


def _terminated(*_: object) -> NoReturn:
    """Unwind as for an interrupt, so that nothing half-made stays behind."""
    raise SystemExit(143)


def main() -> None:
    """Run a command; a PackagerError becomes its exit code and, with --json, an object."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except PackagerError as error:
        if "--json" in sys.argv:
            kind = type(error).__name__.removesuffix("Error")
            typer.echo(json.dumps({"error": kind, "message": str(error)}, ensure_ascii=False))
        _console.show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _console.show_interrupted()
        sys.exit(130)

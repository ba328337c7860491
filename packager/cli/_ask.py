"""`packager invoke`, `batch`, `serve` and `demo`: what runs an artifact, or a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from packager.cli import _options as opt
from packager.cli import _request_options as ask
from packager.cli import _target_options as to
from packager.cli._choices.models import complete_model
from packager.cli._common import check_request, registry, show
from packager.commands import console
from packager.types import BuildRequest, Engine, EngineOptions, ModelOptions, TargetOptions


def invoke(
    artifact: opt.Artifact,
    *,
    data: ask.Data = None,
    http: ask.AsHttp = False,
    content_type: ask.ContentType = "application/json",
    event: ask.SentAs = None,
    env: ask.Variables = None,
    repeat: ask.Repeat = 1,
    memory_mb: to.EmulatedMemory = None,
    allow_network: opt.AllowNetwork = False,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Run the artifact as its target would, and send it a request.

    Under Lambda's own runtime client and emulator, or Azure's own worker library.

    Without --data the example that was saved with the model is sent. The function has the variables
    of its template. What it sends to a destination is shown and goes nowhere. Timings are this
    machine's.
    """
    from packager.commands.invoke import invoke_artifact

    with console.progress(verbose=verbose, quiet=quiet):
        result = invoke_artifact(
            artifact,
            data=data,
            http=http,
            content_type=content_type,
            repeat=repeat,
            memory_mb=memory_mb,
            event=event,
            variables=env or (),
            allow_network=allow_network,
        )
    show(result, as_json=as_json, human=console.show_invocation)
    if result["failed"]:
        raise typer.Exit(1)


def batch(
    artifact: opt.Artifact,
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="File, as s3://BUCKET/FILE, or folder, as s3://BUCKET/IN/."
        ),
    ],
    target: Annotated[
        str, typer.Argument(metavar="OUT", help="Where predictions go, as s3://BUCKET/PREFIX.")
    ],
    *,
    stack: ask.Stack = None,
    concurrency: ask.Concurrency = 100,
    rows: ask.CallRows = 200,
    tolerate: ask.Tolerate = 0.0,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Run a whole file or folder through the deployed function, many instances at once.

    For an artifact that was built with --batch and deployed. It waits, and shows how far it is;
    interrupted, the batch itself goes on.
    """
    from packager.commands.cloud.batch import Order, run_batch

    order = Order(
        source=source,
        target=target,
        concurrency=concurrency,
        batch=rows,
        tolerated_percentage=tolerate,
    )
    left = (
        "Interrupted: a batch that was started goes on. `aws stepfunctions list-executions` shows "
        "it, and `aws stepfunctions stop-execution` ends it."
    )
    with (
        console.progress(verbose=verbose, quiet=quiet),
        console.change_outside("the batch", left),
    ):
        found = run_batch(artifact, order, stack=stack)
    show(found, as_json=as_json, human=console.show_batch)


def serve(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            autocompletion=complete_model,
            help="An artifact's folder, or a model's address.",
        ),
    ],
    *,
    port: ask.Port = 8080,
    host: ask.Host = "127.0.0.1",
    as_deployed: ask.AsDeployed = False,
    env: ask.Variables = None,
    tracking_uri: opt.TrackingUri = None,
    registry_uri: opt.RegistryUri = None,
    python: to.Python = None,
    trust_model_index: opt.TrustModelIndex = False,
    allow_network: opt.AllowNetwork = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Serve an artifact or a model on this machine, with interactive documentation at /docs.

    The model's code runs without your files, secrets and network.

    With --as-deployed an artifact's own entry point answers, under what stands for its target:
    Lambda's runtime client and emulator, or Azure's worker library.
    """
    from packager.commands.serve import prepare, run

    with console.progress(verbose=verbose, quiet=quiet), console.build_here():
        request = check_request(
            BuildRequest(
                model=ModelOptions(
                    uri=source,
                    tracking_uri=tracking_uri,
                    registry_uri=registry_uri,
                    trust_model_index=trust_model_index,
                    allow_network=allow_network,
                ),
                target=TargetOptions(python_minor=python),
                engine=EngineOptions(kind=Engine.NATIVE),
            )
        )
        server = prepare(
            source, request, lambda: registry(request), deployed=as_deployed, variables=env or ()
        )
    with console.progress(verbose=True), console.serve_here():
        code = run(server, host=host, port=port)
    raise typer.Exit(code)


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Folder for the registry and the artifact.", file_okay=False)
    ] = Path("demo"),
    *,
    target: to.DemoTarget = "aws-lambda",
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train, register, build, boot and ask a small model: the whole way in one command."""
    from packager.commands.demo import run_demo

    about = f"demo {target}"
    with console.progress(verbose=verbose, quiet=quiet, about=about), console.build_here():
        result = run_demo(folder, target)
    show(result, as_json=as_json, human=console.show_demo)

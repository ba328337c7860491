"""`packager invoke`, `batch`, `serve` and `demo`: what runs an artifact, or a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from packager.cli import _options as opt
from packager.cli._common import checked_request, registry, show
from packager.commands import console


def invoke(
    artifact: opt.Artifact,
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
            help="Send it as a message of this source, one that the artifact was built for.",
            show_default=False,
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME=VALUE",
            help="A variable of the function, beside the template's. Repeatable.",
            show_default=False,
        ),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, max=10_000, help="Send it so often.")] = 1,
    memory_mb: opt.EmulatedMemory = None,
    allow_network: opt.AllowNetwork = False,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
) -> None:
    """Run the artifact as its target would, and send it a request.

    Under Lambda's own runtime client and emulator, or Azure's own worker library.

    Without --data the example that was saved with the model is sent. The function has the variables
    of its template. What it sends to a destination is shown and goes nowhere. Timings are this
    machine's.
    """
    from packager.commands.invoke import invoke_artifact

    with console.progress(verbose=verbose):
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
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
) -> None:
    """Run a whole file or folder through the deployed function, many instances at once.

    For an artifact that was built with --batch and deployed. It waits, and shows how far it is;
    interrupted, the batch itself goes on.
    """
    from packager.commands.batch import Order, run_batch

    order = Order(
        source=source,
        target=target,
        concurrency=concurrency,
        batch=rows,
        tolerated_percentage=tolerate,
    )
    with console.progress(verbose=verbose):
        found = run_batch(artifact, order, stack=stack)
    show(found, as_json=as_json, human=console.show_batch)


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
    tracking_uri: opt.TrackingUri = None,
    registry_uri: opt.RegistryUri = None,
    python: opt.Python = None,
    trust_model_index: opt.TrustModelIndex = False,
    allow_network: opt.AllowNetwork = False,
    verbose: opt.Verbose = False,
) -> None:
    """Serve an artifact or a model on this machine, with interactive documentation at /docs.

    The model's code runs without your files, secrets and network.

    With --as-deployed an artifact's own entry point answers, under what stands for its target:
    Lambda's runtime client and emulator, or Azure's worker library.
    """
    from packager.commands.serve import prepare, run

    with console.progress(verbose=verbose):
        request = checked_request(
            model_uri=source,
            out_dir=Path("unused"),
            tracking_uri=tracking_uri,
            registry_uri=registry_uri,
            python_minor=python,
            trust_model_index=trust_model_index,
            allow_network=allow_network,
        )
        server = prepare(source, request, lambda: registry(request), deployed=as_deployed)
    with console.progress(verbose=True):
        code = run(server, host=host, port=port)
    raise typer.Exit(code)


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Where the registry and the artifact go.", file_okay=False)
    ] = Path("demo"),
    *,
    target: opt.Target = "aws-lambda",
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
) -> None:
    """Train, register, build, boot and ask a small model: the whole way in one command."""
    from packager.commands.demo import run_demo

    with console.progress(verbose=verbose):
        result = run_demo(folder, target)
    show(result, as_json=as_json, human=console.show_demo)

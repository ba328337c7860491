"""Options for what is sent to an artifact that runs, each once, with its words."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from packager.cli._panels import Panel

Data: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="<request>",
        rich_help_panel=Panel.REQUEST,
        help="Request to send: JSON, @FILE (here or in the artifact), or - for standard input.",
    ),
]
AsHttp: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--http",
        rich_help_panel=Panel.REQUEST,
        help="Send the request to /invocations, as an HTTP API does.",
    ),
]
ContentType: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="<type>",
        rich_help_panel=Panel.REQUEST,
        help="Content type of the request, with --http.",
    ),
]
SentAs: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<source>",
        rich_help_panel=Panel.REQUEST,
        help="Send the request as a message of this event source. The artifact must have been "
        "built for it.",
        show_default=False,
    ),
]
Variables: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME=VALUE",
        rich_help_panel=Panel.TARGET,
        help="Environment variable of the function, beside those of its template. Repeatable.",
        show_default=False,
    ),
]
Repeat: TypeAlias = Annotated[
    int,
    typer.Option(
        min=1,
        max=10_000,
        metavar="<times>",
        rich_help_panel=Panel.REQUEST,
        help="Number of times to send the request.",
    ),
]
Stack: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<name>",
        rich_help_panel=Panel.TARGET,
        help="CloudFormation stack of the deployed artifact. Without it, the one that "
        "samconfig.toml names.",
        show_default=False,
    ),
]
Function: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<name>",
        rich_help_panel=Panel.TARGET,
        help="Name of the function, where no stack made it, as under Terraform.",
        show_default=False,
    ),
]
AliasName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--alias",
        metavar="<name>",
        rich_help_panel=Panel.TARGET,
        help="Alias of --function that its callers use.",
    ),
]
HeaderFrom: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="NAME=VARIABLE",
        rich_help_panel=Panel.REQUEST,
        help="Header to send, and the environment variable that has its value, for example "
        "x-functions-key=FUNCTION_KEY. Repeatable.",
        show_default=False,
    ),
]
ReplayTime: TypeAlias = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=1,
        max=86_400,
        metavar="<seconds>",
        rich_help_panel=Panel.REQUEST,
        help="Time for all requests together, the app's start among it.",
    ),
]
Concurrency: TypeAlias = Annotated[
    int,
    typer.Option(
        min=1,
        max=10_000,
        metavar="<functions>",
        rich_help_panel=Panel.EVENTS,
        help="Number of functions that run at once, 10,000 at most.",
    ),
]
CallRows: TypeAlias = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="<rows>",
        rich_help_panel=Panel.EVENTS,
        help="Rows of a file that one call scores.",
    ),
]
Tolerate: TypeAlias = Annotated[
    float,
    typer.Option(
        min=0,
        max=100,
        metavar="<percent>",
        rich_help_panel=Panel.EVENTS,
        help="Percentage of the items that may fail.",
    ),
]
Port: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        max=65535,
        metavar="<port>",
        rich_help_panel=Panel.HTTP,
        help="Port to listen on. 0 takes a free one.",
    ),
]
Host: TypeAlias = Annotated[
    str,
    typer.Option(metavar="<address>", rich_help_panel=Panel.HTTP, help="Address to listen on."),
]
AsDeployed: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--as-deployed",
        rich_help_panel=Panel.TARGET,
        help="Answer through the artifact's own entry point, as the deployed function does.",
    ),
]

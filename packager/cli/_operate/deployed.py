"""`packager replay`, `versions`, `traffic` and `rollback`: operators' commands."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from packager.cli import _options as opt
from packager.cli import _request_options as ask
from packager.cli._common import show
from packager.cli._panels import Panel
from packager.commands import console
from packager.errors import CloudError, ConfigurationError, ReplayDiffersError

if TYPE_CHECKING:
    from packager.commands.cloud.traffic import FunctionAlias


def replay(
    artifact: opt.Artifact,
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="Address of the deployed app, as https://APP.azurewebsites.net.",
            show_default=False,
        ),
    ],
    *,
    header: ask.HeaderFrom = None,
    timeout: ask.ReplayTime = 600.0,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Ask a deployed app the recorded requests of its proof, and compare the answers.

    For a pipeline, before it sends traffic to a new version. An app that starts or is busy is asked
    again until the time is up. A redirect is not followed.

    Prints one line of JSON, without any value of a request or an answer. Ends with 7 where an
    answer differs by more than the proof allows, and with 11 where the app cannot be asked.
    """
    from packager.commands.cloud.replay import describe_problem, replay_deployed

    try:
        with console.progress(verbose=verbose, quiet=quiet):
            found = replay_deployed(artifact, url, headers=header or (), seconds=timeout)
    except CloudError as error:
        typer.echo(json.dumps({"check": "replay", "passed": False, "problem": str(error)}))
        raise
    typer.echo(json.dumps(found))
    if not found["passed"]:
        raise ReplayDiffersError(describe_problem(found))


def push_weights(
    artifact: opt.Artifact,
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            help="Where the function fetches them from, as s3://BUCKET/PREFIX.",
            show_default=False,
        ),
    ],
    *,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Upload the weights of an artifact that was built with --weights fetch.

    Each file is called by its sha256, so a file that is there is not sent again, and versions of a
    model share what they have in common. Run it again after an interruption: the upload goes on
    with the parts that are missing.

    Prints the template's parameters, for `sam deploy --parameter-overrides`.
    """
    from packager.commands.cloud.weights import describe_begun
    from packager.commands.cloud.weights import push_weights as push

    left = describe_begun(destination)
    with console.progress(verbose=verbose, quiet=quiet), console.send_parts(left):
        found = push(artifact, destination)
    show(found, as_json=as_json, human=console.show_pushed_weights)


def versions(
    artifact: opt.Artifact,
    *,
    stack: ask.Stack = None,
    function: ask.Function = None,
    alias: ask.AliasName = "live",
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """List the versions of the deployed function, and the share of the requests that each gets.

    Marks the versions that run this artifact's code. Reads AWS, and changes nothing.
    """
    from packager.commands.cloud.traffic import list_versions

    with console.progress(verbose=verbose, quiet=quiet):
        found = list_versions(artifact, stack=stack, function=_name_alias(function, alias, stack))
    show(found, as_json=as_json, human=console.show_versions)


def traffic(
    artifact: opt.Artifact,
    shares: Annotated[
        list[str],
        typer.Argument(
            metavar="VERSION=PERCENT...",
            help="Percentage of the requests for a version, as 7=10. The version that serves now "
            "gets the rest.",
            show_default=False,
        ),
    ],
    *,
    stack: ask.Stack = None,
    function: ask.Function = None,
    alias: ask.AliasName = "live",
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Divide the requests between two versions of the deployed function.

    For an A/B test, or a rollout by hand. 7=100 sends version 7 every request. Event sources follow
    the alias too. The next deployment moves every request to its own version.
    """
    from packager.commands.cloud.traffic import parse_shares, shift_traffic

    with console.progress(verbose=verbose, quiet=quiet), _moving_traffic():
        found = shift_traffic(
            artifact,
            parse_shares(shares),
            stack=stack,
            function=_name_alias(function, alias, stack),
        )
    show(found, as_json=as_json, human=console.show_versions)


def rollback(
    artifact: opt.Artifact,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="<version>",
            rich_help_panel=Panel.TARGET,
            help="Version that gets every request. Without it, the older of two that share, or the "
            "only one that was there before.",
            show_default=False,
        ),
    ] = None,
    stack: ask.Stack = None,
    function: ask.Function = None,
    alias: ask.AliasName = "live",
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Send every request to an earlier version of the deployed function, at once.

    While two versions share the requests, the newer one gets none any more. Else the version that
    was published before serves again; name it with --to if there are several.

    The stack keeps its template: deploy an earlier artifact to make it permanent.
    """
    from packager.commands.cloud.traffic import roll_back

    with console.progress(verbose=verbose, quiet=quiet), _moving_traffic():
        found = roll_back(
            artifact, to=to, stack=stack, function=_name_alias(function, alias, stack)
        )
    show(found, as_json=as_json, human=console.show_versions)


def _name_alias(function: str | None, alias: str, stack: str | None) -> FunctionAlias | None:
    """Raises ConfigurationError for a function and a stack."""
    from packager.commands.cloud.traffic import FunctionAlias

    if function is None:
        return None
    if stack is not None:
        raise ConfigurationError("--function and --stack both name what is deployed. Give one.")
    return FunctionAlias(function=function, alias=alias)


def _moving_traffic() -> AbstractContextManager[None]:
    return console.change_outside(
        "the change of the traffic",
        "Interrupted while the traffic was being moved: nobody knows whether it was. `packager "
        "versions` shows what each version gets now.",
    )

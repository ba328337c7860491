"""`packager follow`: its options, and what shows each step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Final, TypeAlias

import typer

from packager.cli import _options as opt
from packager.cli._build import groups as group
from packager.cli._choices.models import complete_model
from packager.cli._common import check_request
from packager.cli._configuration import ConfiguredCommand, Job
from packager.cli._configuration.file import ConfigurationFile
from packager.cli._groups import OptionGroup, expand_groups
from packager.cli._operate.check import LeastRows, RequiredEquivalence, SignedBy
from packager.cli._panels import Panel
from packager.commands import console
from packager.errors import ConfigurationError
from packager.system.redaction import escape_json, redact_values
from packager.types import BuildRequest, FollowEvent, Following, ModelOptions

_LONGEST_INTERVAL_SECONDS: Final = 86_400

Model: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=complete_model,
        help="models:/NAME@ALIAS, the alias that is followed.",
    ),
]
Deploy: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--deploy",
        rich_help_panel=Panel.FOLLOWING,
        help="Deploy by the target's own command: `sam deploy`, or `azd up` on Azure.",
    ),
]
DeployCommands: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--deploy-command",
        metavar="<command>",
        rich_help_panel=Panel.FOLLOWING,
        help="Command that deploys, run in the artifact's folder without a shell. Repeatable: they "
        "run one after the other until one fails.",
        show_default=False,
    ),
]
DeployEnv: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--deploy-env",
        metavar="<name>",
        rich_help_panel=Panel.FOLLOWING,
        help="Variable that the command sees beside those of AWS, Azure, Google, Docker and "
        "proxies. Repeatable.",
        show_default=False,
    ),
]
RunOnce: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--run-once",
        rich_help_panel=Panel.FOLLOWING,
        help="End when what the alias names is deployed or has failed, for cron and CI.",
    ),
]
Retry: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--retry",
        rich_help_panel=Panel.FOLLOWING,
        help="Try again a version that failed before.",
    ),
]
Interval: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="<seconds>",
        rich_help_panel=Panel.FOLLOWING,
        help="Time between two looks at the alias, at least 1.",
    ),
]
Listen: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<host:port>",
        rich_help_panel=Panel.FOLLOWING,
        help="Take MLflow's webhooks there too, signed with the secret in PACKAGER_WEBHOOK_SECRET.",
        show_default=False,
    ),
]
Tag: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<place>",
        rich_help_panel=Panel.FOLLOWING,
        help="Tag the version that runs with packager.deployed.<place>. Without it nothing is "
        "written to the registry.",
        show_default=False,
    ),
]


SignKey: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--sign-key",
        metavar="<key>",
        rich_help_panel=Panel.PROOF,
        help="Private key that signs each version before it is deployed: a PEM file, awskms:ID, or "
        "azurekms:// and the address of a key.",
        show_default=False,
    ),
]


def _read_following(
    *,
    deploy: Deploy = False,
    deploy_command: DeployCommands = None,
    deploy_env: DeployEnv = None,
    run_once: RunOnce = False,
    retry: Retry = False,
    interval: Interval = 60.0,
    listen: Listen = None,
    tag: Tag = None,
    sign_key: SignKey = None,
    require_signed_by: SignedBy = None,
    require_equivalence: RequiredEquivalence = None,
    min_rows: LeastRows = None,
) -> Following:
    """Raises BadParameter and ConfigurationError."""
    from packager.commands.cloud.follow.webhook_server import parse_address

    if run_once and listen is not None:
        raise typer.BadParameter(
            "--run-once ends when there is nothing left to do, and waits for no delivery. Leave "
            "one of the two out.",
            param_hint="--listen",
        )
    if not 1 <= interval <= _LONGEST_INTERVAL_SECONDS:
        raise typer.BadParameter(
            f"{interval:g} is not between 1 and {_LONGEST_INTERVAL_SECONDS:,} seconds",
            param_hint="--interval",
        )
    return Following(
        own_command=deploy,
        commands=tuple(deploy_command or ()),
        passed=tuple(deploy_env or ()),
        interval_seconds=interval,
        listen=None if listen is None else parse_address(listen),
        tag=tag,
        sign_key=sign_key,
        required=tuple(require_signed_by or ()),
        equivalence=require_equivalence,
        least_rows=min_rows,
        once=run_once,
        retry=retry,
    )


class FollowCommand(ConfiguredCommand):
    """`packager follow`, whose --out is a folder of its own beside what `packager build` writes."""

    output: ClassVar[str] = "followed"
    takes_output: ClassVar[bool] = False
    unneeded: ClassVar[frozenset[str]] = frozenset({"rate", "request-rows"})  # of --target auto
    hint: ClassVar[str] = ""

    def choose_jobs(self, file: ConfigurationFile, given: Mapping[str, object]) -> tuple[Job, ...]:
        """Raises ConfigurationError for a build of several targets, of which none was chosen."""
        jobs = super().choose_jobs(file, given)
        if len(jobs) > 1:
            raise ConfigurationError(
                "`packager follow` deploys to one target, and the build has "
                f"{', '.join(job.target for job in jobs)}: choose one with --target."
            )
        return tuple(replace(job, is_listed=False) for job in jobs)


@expand_groups
def follow(
    *,
    model: Annotated[ModelOptions, OptionGroup(group.read_model, (("model_uri", Model),))],
    following: Annotated[Following, OptionGroup(_read_following)],
    target: group.Target,
    engine: group.Compiler,
    http: group.Http,
    events: group.Events,
    proof: group.Proof,
    slimming: group.Slimming,
    supply_chain: group.SupplyChain,
    output: group.Output,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    config: opt.Config = None,  # noqa: ARG001 - the command reads it before its options
    no_config: opt.NoConfig = False,  # noqa: ARG001
    quiet: opt.Quiet = False,
) -> None:
    """Deploy the version that an alias names, and each one that it is moved to.

    Builds and proves the version, looks whether the alias still names it, deploys it, and writes
    down what runs. A version that fails is left out until the alias moves or your options change;
    what was deployed before goes on serving.

    MODEL is models:/NAME@ALIAS, or the name of a build in packager.toml, whose options are read
    from there but for --out. Runs until you interrupt it; with --run-once it ends when there is
    nothing left to do, and its exit code says how. --out keeps the state and the artifacts.
    """
    from packager.commands.cloud.follow.run import Shown, follow_alias

    if target.name == "auto":
        raise ConfigurationError(
            "--target auto may choose another target for each version, and no command deploys all "
            "of them. Name one target."
        )
    request = check_request(
        BuildRequest(
            model=model,
            target=target,
            engine=engine,
            http=http,
            events=events,
            proof=proof,
            slimming=slimming,
            supply_chain=supply_chain,
            output=output,
        )
    )
    shown = Shown(
        partial(_show_event, as_json=as_json),
        lambda about: console.progress(verbose=verbose, quiet=quiet, about=about),
        lambda version: console.change_outside(
            f"the deployment of version {version}",
            f"The deployment of version {version} was interrupted; it may go on at the cloud. The "
            "next start deploys again.",
        ),
    )
    raise typer.Exit(follow_alias(request, following, shown))


def _show_event(event: FollowEvent, *, as_json: bool) -> None:
    """Print a step as it happens: a line of JSON, or a sentence."""
    shown = redact_values(event)
    if as_json:
        typer.echo(escape_json(json.dumps(shown, ensure_ascii=False)))
    else:
        console.show_step(shown)

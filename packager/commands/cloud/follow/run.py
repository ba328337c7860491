"""`packager follow`: all that is checked before anything begins, then the loop."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.commands.artifact.description import read_json
from packager.commands.cloud.follow.deploy_command import (
    DeployCommand,
    build_environment,
    parse_commands,
    run_commands,
)
from packager.commands.cloud.follow.deploy_failure import Failure
from packager.commands.cloud.follow.follower import (
    Actions,
    Event,
    Follower,
    digest_settings,
    make_event,
)
from packager.commands.cloud.follow.state import StateFolder
from packager.commands.cloud.follow.vouching import Vouching, make_vouching
from packager.commands.cloud.follow.webhook_server import listen_for_webhooks
from packager.commands.cloud.follow.webhook_signature import SECRET_VARIABLE, DeliveryCheck
from packager.commands.console.interruption import build_here
from packager.errors import ConfigurationError, StorageError, is_disk_full
from packager.models import model_uri
from packager.models.model_uri import Registered
from packager.models.registry import MlflowRegistry
from packager.models.registry_tags import DeploymentTags
from packager.pipeline.build import build_or_reuse
from packager.pipeline.output.place import check_place
from packager.pipeline.plan import check
from packager.system import atomic_output
from packager.types import BuildRequest, FollowEvent, Following, change_request

_DELIVERIES: Final = "deliveries.json"
_LOG_FILE: Final = "deploy.log"


@dataclass(frozen=True, slots=True)
class Shown:
    """Ways to show what happens."""

    tell: Callable[[FollowEvent], None]
    progress: Callable[[str], AbstractContextManager[None]]
    """Shows what the stages say while its block runs; takes the name of what is done."""
    deploying: Callable[[str], AbstractContextManager[None]]
    """Has an interrupt of its block say that the deployment of this version may go on."""


def follow_alias(request: BuildRequest, following: Following, shown: Shown) -> int:
    """Follow until an interrupt, or once; returns the exit code.

    The request's output folder becomes the follower's. Raises PackagerError for what is wrong with
    the options, before anything is built.
    """
    model, target = parse_alias(request.model.uri), check(request)
    check_place(request)
    deploy = parse_commands(following, target)
    tags = _make_tags(following, request, model)
    vouching = make_vouching(following)
    secret = _take_secret() if following.listen else ""
    folder = StateFolder(request.output.folder.absolute(), model)
    with folder.hold() as lock:
        follower = Follower(
            model=model,
            settings=digest_settings(request, deploy, _list_demands(following)),
            folder=folder,
            registry=MlflowRegistry(request.model.tracking_uri, request.model.registry_uri),
            actions=_make_actions(request, deploy, vouching, folder, shown, lock),
            tags=tags,
            interval_seconds=following.interval_seconds,
            state=folder.read(),
        )
        shown.tell(_say(model, Event.STARTED, deploys=deploy.describe()))
        with _listen(following.listen, folder, secret, follower.wake, shown):
            run = follower.follow_once if following.once else follower.follow
            return run(retry=following.retry)


def parse_alias(uri: str) -> Registered:
    """Raises ConfigurationError for an address that no alias can move."""
    found = model_uri.parse(uri)
    if not isinstance(found, Registered) or found.alias is None:
        raise ConfigurationError(
            f"{uri!r} names no alias, and only an alias is moved: follow models:/NAME@ALIAS, for "
            "example models:/churn@champion."
        )
    return found


def _make_tags(
    following: Following, request: BuildRequest, model: Registered
) -> DeploymentTags | None:
    if following.tag is None:
        return None
    addresses = request.model
    tags = DeploymentTags(model.name, following.tag, addresses.tracking_uri, addresses.registry_uri)
    tags.check()
    return tags


def _take_secret() -> str:
    """Take the webhooks' secret out of the environment: no other program is to have it.

    Raises ConfigurationError without one.
    """
    secret = os.environ.pop(SECRET_VARIABLE, "")
    if not secret:
        raise ConfigurationError(
            f"--listen takes only what MLflow has signed. Set {SECRET_VARIABLE} to the secret that "
            "the webhook was made with (`client.create_webhook(..., secret=...)`)."
        )
    return secret


def _make_actions(
    request: BuildRequest,
    command: DeployCommand,
    vouching: Vouching,
    folder: StateFolder,
    shown: Shown,
    lock: int,
) -> Actions:
    model = folder.model
    registry = MlflowRegistry(request.model.tracking_uri, request.model.registry_uri)

    def build(version: str, artifact: Path) -> str:
        """Build the version that was read, whatever the alias names by now."""
        pinned = change_request(
            request, model_uri=f"models:/{model.name}/{version}", out_dir=artifact
        )
        with shown.progress(f"build {request.target.name} {model.name}"), build_here():
            try:
                build_or_reuse(pinned, registry)
            except OSError as error:
                if not is_disk_full(error):
                    raise
                raise StorageError(
                    f"The disk is full: {error}. Free space, or set TMPDIR or PACKAGER_CACHE to a "
                    "larger disk; the version is built again later."
                ) from error
        return str(read_json(artifact / atomic_output.MARKER)["sha256"])

    def deploy(version: str, artifact: Path, serving: str | None) -> None:
        env, log = build_environment(command, model.name, version), folder.root / _LOG_FILE
        with shown.progress(""), shown.deploying(version):
            run_commands(command, artifact, env, log, serving=serving, pass_fds=(lock,))

    return Actions(
        build=build,
        vouch=vouching.vouch,
        deploy=deploy,
        tell=shown.tell,
        keeps_earlier=command.failure is Failure.ROLLED_BACK,
    )


def _list_demands(following: Following) -> tuple[object, ...]:
    """List the demands on a version: without any, the digest is as if there were no such."""
    asked = (
        following.sign_key, following.required, following.equivalence, following.least_rows
    )  # fmt: skip
    return asked if any(asked) else ()


@contextmanager
def _listen(
    address: tuple[str, int] | None,
    folder: StateFolder,
    secret: str,
    wake: threading.Event,
    shown: Shown,
) -> Iterator[None]:
    if address is None:
        yield
        return

    def accept(sender: str) -> None:
        shown.tell(_say(folder.model, Event.WEBHOOK, sender=sender))
        wake.set()

    check_delivery = DeliveryCheck(secret, folder.model, folder.root / _DELIVERIES)
    with listen_for_webhooks(address, check_delivery, accept) as listening:
        shown.tell(_say(folder.model, Event.LISTENING, address=listening))
        yield


def _say(model: Registered, event: Event, **more: object) -> FollowEvent:
    return make_event(model, event, time.time(), **more)

"""One loop: read the alias, build and prove what it names, deploy that, write down each step."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol, cast

from packager import __version__
from packager.commands.cloud.follow.deploy_command import DeployCommand
from packager.commands.cloud.follow.deploy_failure import (
    DeploymentNotBegunError,
)
from packager.commands.cloud.follow.state import Deployed, Failed, State, StateFolder, Wanted
from packager.errors import (
    AuditUnavailableError,
    ConfigurationError,
    IndexUnavailableError,
    ModelNotFoundError,
    PackagerError,
    RegistryUnavailableError,
    StorageError,
    ToolError,
)
from packager.models.model_uri import Registered
from packager.models.registry_tags import DeployedTag
from packager.pipeline.output.inputs import describe_request
from packager.types import BuildRequest, FollowEvent, change_request

_PASSING: Final = (
    *(RegistryUnavailableError, IndexUnavailableError, AuditUnavailableError),
    *(StorageError, ToolError, DeploymentNotBegunError),
)
"""Faults of the network or of this machine: the same version is built again after a while."""
_LONGEST_WAIT_SECONDS: Final = 3600.0
"""Between two builds of the same version."""
_LONGEST_POLL_SECONDS: Final = 600.0
"""Between two looks at a registry that does not answer."""
_SETTLE_SECONDS: Final = 1.0
_LONGEST_SETTLE_SECONDS: Final = 10.0
_CURRENT: Final = "current"
"""Link to the artifact that was deployed last."""


class Event(StrEnum):
    """Steps that a follower tells of."""

    STARTED = "started"
    LISTENING = "listening"
    WEBHOOK = "webhook"
    UNCHANGED = "unchanged"
    BUILDING = "building"
    SUPERSEDED = "superseded"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    TAGGED = "tagged"
    SKIPPED = "skipped"
    FAILED = "failed"


class Registry(Protocol):
    def read_alias(self, model: Registered) -> str:
        """Read the version that the alias names. Raises PackagerError."""
        ...


class Tags(Protocol):
    """Where the registry is told which version runs."""

    def find(self) -> DeployedTag | None: ...

    def write(self, tag: DeployedTag) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Work that a follower has others do; each raises PackagerError."""

    build: Callable[[str, Path], str]
    """Builds and proves a version into a folder; returns its sha256."""
    deploy: Callable[[str, Path, str | None], None]
    """Deploys a version's artifact, which lies in the folder; takes the version deployed last."""
    tell: Callable[[FollowEvent], None]
    """Shows what happened."""
    keeps_earlier: bool = True
    """Whether the version deployed last serves on where the deployment of another one fails."""
    vouch: Callable[[Path], None] = lambda _: None
    """Signs an artifact if it is to be, and holds it to what is required before it is deployed."""


@dataclass(slots=True, kw_only=True)
class Follower:
    """Follows one alias. `wake` has the registry asked at once."""

    model: Registered
    settings: str
    folder: StateFolder
    registry: Registry
    actions: Actions
    tags: Tags | None = None
    interval_seconds: float = 60.0
    now: Callable[[], float] = time.time
    wake: threading.Event = field(default_factory=threading.Event)
    state: State = field(default_factory=State)
    _said: tuple[object, ...] = ()
    _unsaved: bool = False

    def follow_once(self, *, retry: bool = False) -> int:
        """Go on until what the alias names is deployed or failed; the exit code tells which.

        A fault of the network in an earlier run keeps nothing from being tried.
        """
        try:
            if retry or (self.state.failed and self.state.failed.retry_at is not None):
                self._save(failed=None)
            self._adopt_tag()
            while self._advance():
                pass
        except PackagerError as error:
            self._tell_failure(error)
            return error.exit_code
        return self.state.failed.exit_code if self.state.failed else 0

    def follow(self, *, retry: bool = False) -> int:
        """Follow until an interrupt comes; no PackagerError ends it."""
        failures, adopted = 0, False
        if retry:
            self._save(failed=None)
        while True:
            self.wake.clear()
            again = False
            try:
                if not adopted:
                    self._adopt_tag()
                    adopted = True
                again, failures = self._advance(), 0
            except PackagerError as error:
                # a version that failed keeps nobody from seeing the next one
                failures = failures + 1 if self._find_noted(error) is None else 0
                if isinstance(error, ModelNotFoundError):
                    failures = 0  # it may be registered, or named, any time
                self._tell_failure(error)
            wait = max(self.interval_seconds, min(self._delay(failures), _LONGEST_POLL_SECONDS))
            if not again and self.wake.wait(wait):
                self._settle()

    def _settle(self) -> None:
        """Wait until the alias is left alone: an alias that is moved again costs a whole build."""
        end = time.monotonic() + _LONGEST_SETTLE_SECONDS
        self.wake.clear()
        while time.monotonic() < end and self.wake.wait(_SETTLE_SECONDS):
            self.wake.clear()

    def _advance(self) -> bool:
        """Do what is to be done for what the alias names now; whether to look again at once.

        Raises PackagerError where a step fails, after that was written down.
        """
        self._save()
        wanted = Wanted(version=self.registry.read_alias(self.model), settings=self.settings)
        deployed, failed = self.state.deployed, self.state.failed
        if failed is not None and not failed.is_of(wanted):
            self._save(failed=None)
            failed = None
        if deployed is not None and deployed.is_of(wanted) and self.state.deploying is None:
            self._finish_deployment()
            self._tell_once(Event.UNCHANGED, wanted.version)
            return False
        if failed is not None and not self._is_due(failed):
            self._tell_once(
                Event.SKIPPED, wanted.version, stage=failed.stage, error=failed.kind,
                message=failed.message, retry_at=write_time(failed.retry_at),
            )  # fmt: skip
            return False
        return self._replace_version(wanted)

    def _replace_version(self, wanted: Wanted) -> bool:
        """Build it, and deploy it if the alias still names it; whether to look again at once."""
        version = wanted.version
        artifact = self.folder.artifact(version)
        self._tell(Event.BUILDING, version)
        try:
            sha256 = self.actions.build(version, artifact)
        except PackagerError as error:
            self._note_failure(wanted, "build", error)
            raise
        try:
            self.actions.vouch(artifact)
        except PackagerError as error:
            self._note_failure(wanted, "verify", error)
            raise
        now_named = self.registry.read_alias(self.model)
        if now_named != version:
            self._tell(Event.SUPERSEDED, version, by=now_named)
            return True
        marked, before = self._mark_tag(version), self.state.deploying
        self._save(deploying=version)
        if not self.actions.keeps_earlier:
            self._link_current()
        self._tell(Event.DEPLOYING, version, sha256=sha256)
        try:
            serving = self.state.deployed.version if self.state.deployed else None
            self.actions.deploy(version, artifact, serving)
        except DeploymentNotBegunError as error:
            self._save(deploying=before)
            self._note_failure(wanted, "deploy", error)
            self._link_current()
            self._unmark_tag(marked)
            raise
        except PackagerError as error:
            self._note_failure(wanted, "deploy", error)
            raise
        try:
            self._note_deployed(
                Deployed(version=version, settings=wanted.settings, sha256=sha256, at=self.now())
            )
        finally:  # it is true, whether it could be written down or not
            self._tell(Event.DEPLOYED, version, sha256=sha256)
        self._finish_deployment()
        return True

    def _note_deployed(self, deployed: Deployed) -> None:
        before = self.state.deployed
        previous = before if before and before.version != deployed.version else self.state.previous
        self._save(
            deployed=deployed, previous=previous, deploying=None, failed=None,
            untagged=self.tags is not None,
        )  # fmt: skip

    def _finish_deployment(self) -> None:
        """Do what comes after one, or what an earlier run did not come to."""
        try:
            self._write_tag()
        finally:
            self._link_current()
            self._remove_old()

    def _note_failure(self, wanted: Wanted, stage: str, error: PackagerError) -> None:
        """Write it down; `deploying` stays: a part of a deployment that failed may serve."""
        before = self.state.failed
        attempts = before.attempts + 1 if before and before.is_of(wanted) else 1
        passing = isinstance(error, _PASSING)
        self._save(
            failed=Failed(
                version=wanted.version,
                settings=wanted.settings,
                stage=stage,
                kind=_name_kind(error),
                exit_code=error.exit_code,
                message=str(error),
                attempts=attempts,
                retry_at=self.now() + self._delay(attempts) if passing else None,
            ),
        )

    def _is_due(self, failed: Failed) -> bool:
        return failed.retry_at is not None and failed.retry_at <= self.now()

    def _delay(self, failures: int) -> float:
        """Seconds until the next try: twice as many after each failure, an hour at most."""
        doubled = self.interval_seconds * 2.0 ** min(max(failures - 1, 0), 30)
        return max(self.interval_seconds, min(doubled, _LONGEST_WAIT_SECONDS))

    def _adopt_tag(self) -> None:
        """Take the registry's word for what runs: another machine may have deployed since."""
        if self.tags is None or self.state.untagged or self.state.deploying:
            return
        found = self.tags.find()
        if found is None:
            self._save(untagged=self.state.deployed is not None)
        else:
            told = asdict(found)
            self._save(deploying=told.pop("deploying"), deployed=Deployed(**told))

    def _mark_tag(self, version: str) -> DeployedTag | None:
        """Say in the tag what is about to be deployed: this machine's state may be lost meanwhile.

        Without a tag there is nothing that could be taken for what runs. Returns it as it was.
        """
        if self.tags is None or (found := self.tags.find()) is None:
            return None
        self.tags.write(replace(found, deploying=version))
        return found

    def _unmark_tag(self, before: DeployedTag | None) -> None:
        """Have the tag as it was. A registry that does not answer costs a deployment at most."""
        if self.tags is not None and before is not None:
            with contextlib.suppress(PackagerError):
                self.tags.write(before)

    def _write_tag(self) -> None:
        deployed = self.state.deployed
        if self.tags is None or deployed is None or not self.state.untagged:
            return
        self.tags.write(DeployedTag(**asdict(deployed)))
        self._save(untagged=False)
        self._tell(Event.TAGGED, deployed.version)

    def _link_current(self) -> None:
        """Have the link lead to what runs.

        There is none where another machine deployed that, nor where nobody knows what runs.
        """
        link = self.folder.root / _CURRENT
        partial = link.with_name(f".{_CURRENT}.partial")
        version = self._find_serving() or ""
        try:
            if not version or not self.folder.artifact(version).is_dir():
                link.unlink(missing_ok=True)
            elif not link.is_symlink() or str(link.readlink()) != version:
                partial.unlink(missing_ok=True)
                partial.symlink_to(version)
                partial.replace(link)
        except OSError as error:
            raise StorageError(f"{link} cannot be written: {error.strerror}.") from error

    def _find_serving(self) -> str | None:
        """Find the version that serves; None where none does, or nobody knows which."""
        is_known = self.state.deploying is None or self.actions.keeps_earlier
        return self.state.deployed.version if self.state.deployed and is_known else None

    def _remove_old(self) -> None:
        """Keep the artifacts of what runs and of what ran before; others can be built again."""
        kept = {each.version for each in (self.state.deployed, self.state.previous) if each}
        for folder in self.folder.root.iterdir():
            if folder.name.isdigit() and folder.name not in kept and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)

    def _save(self, **changes: object) -> None:
        """Raises StorageError; what could not be written is written before the next step."""
        changed = replace(self.state, **changes)  # type: ignore[arg-type]  # each has its field's type
        if changed != self.state or self._unsaved:
            self.state, self._unsaved = changed, True
            self.folder.write(changed)
            self._unsaved = False

    def _find_noted(self, error: PackagerError) -> Failed | None:
        """Find it in the state; None for a failure that is no version's."""
        noted = self.state.failed
        return noted if noted is not None and noted.message == str(error) else None

    def _tell_failure(self, error: PackagerError) -> None:
        """Say it, unless it was what was said last."""
        noted = self._find_noted(error)
        said = (Event.FAILED, str(error), noted and noted.attempts)
        if self._said == said:
            return
        self._tell(
            Event.FAILED,
            noted.version if noted else None,
            stage=noted.stage if noted else "registry",
            error=_name_kind(error),
            message=str(error),
            exit_code=error.exit_code,
            retry_at=write_time(noted.retry_at) if noted else None,
            serving=self._find_serving(),
        )
        self._said = said

    def _tell_once(self, event: Event, version: str, **more: object) -> None:
        """Say it, unless it is what was said last, or follows from that."""
        implied = {(each, version) for each in (event, Event.DEPLOYED, Event.TAGGED)}
        if self._said not in implied:
            self._tell(event, version, **more)

    def _tell(self, event: Event, version: str | None, **more: object) -> None:
        self._said = (event, version)
        self.actions.tell(make_event(self.model, event, self.now(), version=version, **more))


def make_event(model: Registered, event: Event, at: float, **more: object) -> FollowEvent:
    """Make a line of --json; what is None is left out."""
    told = {
        "event": str(event),
        "time": write_time(at),
        "model": model.name,
        "alias": model.alias,
        **more,
    }
    return cast(FollowEvent, {key: value for key, value in told.items() if value is not None})


def write_time(at: float | None) -> str | None:
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def digest_settings(
    request: BuildRequest, deploy: DeployCommand, demands: Sequence[object] = ()
) -> str:
    """Digest all options by which a version is built and deployed; not where the registry is.

    A file counts by its content, and so does packager's version. Raises ConfigurationError for a
    file that cannot be read.
    """
    try:
        asked = describe_request(change_request(request, model_uri=""))
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} cannot be read: {error.strerror}. Name files that are there."
        ) from error
    listed = [asked, deploy.texts, deploy.passed, __version__, *demands]
    text = json.dumps(listed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _name_kind(error: PackagerError) -> str:
    return type(error).__name__.removesuffix("Error")

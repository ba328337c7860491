"""Commands that deploy an artifact: the target's own, or the user's. No shell reads them."""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.commands.cloud.follow.deploy_failure import (
    SCRIPT_LINE,
    DeploymentFailedError,
    DeploymentNotBegunError,
    Failure,
    FileKind,
    describe_left,
    explain_start,
    read_kind,
)
from packager.commands.cloud.follow.webhook_signature import SECRET_VARIABLE
from packager.errors import ConfigurationError, StorageError
from packager.system import process
from packager.system.redaction import escape_controls, redact
from packager.types import Following, HostKind, Target

_LOG = logging.getLogger(__name__)
_PASSED: Final = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"),
    *("KUBECONFIG", "GOOGLE_APPLICATION_CREDENTIALS", "CI", "TERM", "USER", "LOGNAME"),
)
_PREFIXES: Final = ("AWS_", "SAM_CLI_", "AZURE_", "AZD_", "ARM_", "CLOUDSDK_", "DOCKER_")
"""Of the variables by which the clouds' own tools are configured, their credentials included."""
_NAME_VARIABLE: Final = "PACKAGER_MODEL_NAME"
_VERSION_VARIABLE: Final = "PACKAGER_MODEL_VERSION"
_POLL_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 4 * 3600
"""A linear rollout takes tens of minutes."""
_END_SECONDS: Final = 10.0
"""Time that an interrupted command has to end by itself."""
_SHOWN_LINES: Final = 20
_MOST_LINE: Final = 2000
_MOST_READ: Final = 1_000_000
_LINE_END: Final = re.compile(rb"\r?\n|\r(?!\Z)")
"""A bar of progress is drawn again after a carriage return; at the end, a new line may follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployCommand:
    """Commands that deploy an artifact, run in its folder one after the other."""

    texts: tuple[str, ...]
    """As they were given."""
    commands: tuple[tuple[str, ...], ...]
    """The same in words, each program where it lies."""
    passed: tuple[str, ...] = ()
    """Names of further variables that they see."""
    failure: Failure = Failure.UNKNOWN

    def describe(self) -> str:
        return " && ".join(map(describe_command, self.commands))


def describe_command(words: Sequence[str]) -> str:
    """Name the program alone: an argument may be a password, and a log is read by many."""
    program, count = Path(words[0]).name, len(words) - 1
    return f"{program} (with {count} argument{'s'[: count > 1]})" if count else program


def parse_commands(following: Following, target: Target) -> DeployCommand:
    """Read what --deploy and --deploy-command ask for.

    Raises ConfigurationError for both or neither, for a target that has no command of its own,
    and for a program that is not there.
    """
    own = target.deployment.unattended
    if following.own_command == bool(following.commands):
        raise ConfigurationError(
            "Say what deploys the artifact: --deploy for the target's own command, or "
            "--deploy-command 'PROGRAM ARGUMENTS' for yours. Give one of the two."
        )
    if following.own_command and not own:
        raise ConfigurationError(
            f"There is no command that deploys {target.name} everywhere. Give yours with "
            "--deploy-command, for example --deploy-command ./push-and-apply.sh."
        )
    if SECRET_VARIABLE in following.passed:
        raise ConfigurationError(
            f"--deploy-env {SECRET_VARIABLE}: it signs deliveries, and no command is handed it. "
            "Leave it out."
        )
    texts = own if following.own_command else following.commands
    commands = tuple(_split_command(text) for text in texts)
    failure = Failure.UNKNOWN
    if following.own_command:
        is_lambda = target.program.host is HostKind.LAMBDA
        failure = Failure.ROLLED_BACK if is_lambda else Failure.REPLACED
    return DeployCommand(texts=texts, commands=commands, passed=following.passed, failure=failure)


def _split_command(text: str) -> tuple[str, ...]:
    """Split a command as a shell would, and find its program. Raises ConfigurationError."""
    try:
        words = shlex.split(text)
    except ValueError as error:  # a quote that is not closed
        raise ConfigurationError(
            f"A --deploy-command is no command: {error}. Write a program and its arguments."
        ) from None  # the text may have a password
    if not words:
        raise ConfigurationError(
            "--deploy-command is empty. Write a program and its arguments, for example "
            "--deploy-command 'sam deploy --stack-name churn'."
        )
    program = words[0]
    found = shutil.which(program)
    if found is None:
        why = "there is no such file, or it may not be run" if "/" in program else "not on PATH"
        raise ConfigurationError(
            f"The program {program!r} that deploys cannot be run: {why}. Install it, or name it by "
            "its path. No shell reads the command: put what needs one, && or |, into a script."
        )
    if read_kind(found) is FileKind.UNNAMED:
        raise ConfigurationError(
            f"The program {program!r} that deploys cannot be run: it is a text whose first line "
            f"names no program that reads it. Write {SCRIPT_LINE} there, or another program."
        )
    # the command runs in the artifact's folder, and a path is from the one that we are in
    return (str(Path(found).absolute()) if "/" in program else program, *words[1:])


def build_environment(deploy: DeployCommand, name: str, version: str) -> dict[str, str]:
    """Return the variables that a command that deploys sees."""
    return {
        **process.basic_environment(),
        **process.inherit((*_PASSED, *deploy.passed), prefixes=_PREFIXES),
        _NAME_VARIABLE: name,
        _VERSION_VARIABLE: version,
    }


def run_commands(
    deploy: DeployCommand,
    folder: Path,
    env: Mapping[str, str],
    log: Path,
    *,
    serving: str | None = None,
    pass_fds: Sequence[int] = (),
) -> None:
    """Run each command to its end, in the artifact's folder; their output goes to `log` and on.

    Each is handed the descriptors. `serving` is the version that was deployed last. An interrupt
    ends the command that runs. Raises DeploymentFailedError where one does not end with 0,
    DeploymentNotBegunError where the first one cannot be started, StorageError where the log cannot
    be written.
    """
    try:
        log.unlink(missing_ok=True)
        log.touch(mode=0o600)
    except OSError as error:
        raise StorageError(f"{log} cannot be written: {error.strerror}.") from error
    for number, argv in enumerate(deploy.commands):
        _LOG.info("Deploying: %s", describe_command(argv))
        output = _Output(log)
        try:
            running = process.start(argv, cwd=folder, env=env, log=log, pass_fds=pass_fds)
        except OSError as error:
            why = f"`{describe_command(argv)}` cannot be started: {explain_start(argv, error)}"
            if number == 0:
                raise DeploymentNotBegunError(
                    f"Nothing was deployed, and it is tried again. {why}"
                ) from error
            left = describe_left(deploy.failure, serving)
            raise DeploymentFailedError(f"{why} {left}") from error
        if failed := _wait_for_command(running, output):
            lines = "\n".join(f"  {line}" for line in output.tail)
            raise DeploymentFailedError(
                f"`{describe_command(argv)}` {failed}. {describe_left(deploy.failure, serving)}\n"
                f"The last lines of {log}:\n{lines}"
            )


class _Output:
    """Output of one command, said line by line; the last lines are kept."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.tail: deque[str] = deque(maxlen=_SHOWN_LINES)
        self._read = log.stat().st_size
        self._rest = b""

    def tell_new(self, *, ended: bool = False) -> None:
        """Say the lines that were written since the last call; half a line only at the end."""
        with self.log.open("rb") as said:
            said.seek(self._read)
            while new := said.read(_MOST_READ):
                self._read += len(new)
                *lines, rest = _LINE_END.split(self._rest + new)
                # of a line that never ends, its beginning
                self._rest = rest[:_MOST_LINE]
                self._say(lines)
        if ended and self._rest:
            self._say([self._rest])

    def _say(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            text = escape_controls(redact(line.decode(errors="replace")[:_MOST_LINE])).rstrip()
            self.tail.append(text)
            _LOG.info("  %s", text)


def _wait_for_command(running: subprocess.Popen[bytes], output: _Output) -> str:  # noqa: TID251
    """Wait until it ends; why it failed, empty if it did not."""
    code, end = None, time.monotonic() + _LONGEST_SECONDS
    try:
        while code is None and time.monotonic() < end:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = running.wait(_POLL_SECONDS)
            output.tell_new(ended=code is not None)
    finally:
        if running.poll() is None:
            process.end_group(running, _END_SECONDS)
    if code is None:
        return f"was ended: it ran longer than {_LONGEST_SECONDS // 3600} hours"
    return "" if code == 0 else f"ended with exit code {code}"

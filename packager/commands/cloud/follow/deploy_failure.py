"""Reasons why a command that deploys failed, what that leaves, and the way back."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from packager.errors import CloudError

SCRIPT_LINE: Final = "#!/bin/sh"
_MOST_HEAD: Final = 512


class DeploymentFailedError(CloudError):
    """A command that deploys failed (`packager follow`)."""


class DeploymentNotBegunError(DeploymentFailedError):
    """The program that deploys could not be started (`packager follow`): nothing was changed."""


class Failure(StrEnum):
    """State of the version that was deployed before, after a command that failed half-way."""

    ROLLED_BACK = "rolled-back"
    """It serves: CloudFormation takes a change back."""
    REPLACED = "replaced"
    """It may be gone: azd replaces the app, and checks it afterwards."""
    UNKNOWN = "unknown"
    """Whoever wrote the command knows."""


_REMOVALS: Final[Mapping[Failure, str]] = {
    Failure.ROLLED_BACK: "No earlier version keeps serving. Delete a stack that could not be made "
    "(ROLLBACK_COMPLETE) first: `aws cloudformation delete-stack --stack-name NAME`. Then try "
    "again with --retry.",
    Failure.REPLACED: "What azd made stays, and the app may serve without having passed its check. "
    "Try again with --retry, or run `azd down` in the artifact's folder: it removes all of it.",
    Failure.UNKNOWN: "What your command made stays. Try again with --retry, or remove it the way "
    "that your command was to deploy it.",
}
"""What you do about a first deployment that failed."""


def describe_left(failure: Failure, version: str | None) -> str:
    """Say what serves after a command that ran and failed, and the way back."""
    if version is None:
        return f"Nothing is known to have been deployed before it. {_REMOVALS[failure]}"
    if failure is Failure.ROLLED_BACK:
        return (
            f"Version {version}, which was deployed before, still serves, unless what it "
            "printed says otherwise."
        )
    what = (
        "azd replaces the app before it is checked: the new version may serve already, or none"
        if failure is Failure.REPLACED
        else "What serves is not known here: your command may have replaced a part of it"
    )
    return (
        f"{what}. Version {version} was deployed last and ended well. To go back, move the alias "
        "to it: it is deployed again. To try again, use --retry."
    )


class FileKind(StrEnum):
    """Kind of a file, to the kernel that is to run it."""

    SCRIPT = "script"
    UNNAMED = "text without a first line for the kernel"
    BINARY = "binary"
    UNREAD = "unread"


def read_kind(path: str) -> FileKind:
    """Tell by its first bytes; UNREAD for one that may be run and not read."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_MOST_HEAD)
    except OSError:
        return FileKind.UNREAD
    if head.startswith(b"#!"):
        return FileKind.SCRIPT
    return FileKind.BINARY if b"\0" in head or head.startswith(b"\x7fELF") else FileKind.UNNAMED


def explain_start(argv: Sequence[str], error: OSError) -> str:
    """Say why the system did not start it, and what to do."""
    kind = read_kind(shutil.which(argv[0]) or argv[0])
    if error.errno == errno.ENOEXEC and kind is FileKind.UNNAMED:
        return f"its first line names no program that reads it. Write {SCRIPT_LINE} there."
    if error.errno == errno.ENOEXEC:
        return "it was made for another kind of machine. Install the one for this machine."
    if error.errno == errno.ENOENT and kind is FileKind.SCRIPT:
        return "its first line (#!) names a program that is not there. Correct that line."
    if error.errno == errno.ENOENT:
        return "it is not there any more. Install it."
    return f"{error.strerror}."

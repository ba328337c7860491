"""Every way to stop, each with its own exit code and what to do next."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from packager.system.redaction import redact
from packager.types import Finding, RejectedBundle

_OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "amd64": ("x86_64",),
    "intel": ("x86_64",),
    "x64": ("x86_64",),
    "x86": ("x86_64",),
    "aarch64": ("arm64",),
    "graviton": ("arm64",),
    "docker": ("gpu-container",),
    "gpu": ("cuda", "gpu-container"),
    "image": ("aws-lambda-image",),
    # what one cloud has under another cloud's name
    "blob": ("s3",),
    "s3": ("blob",),
    "queue": ("sqs",),
    "sqs": ("queue",),
    "topic": ("sns",),
    "sns": ("topic",),
    "eventhubs": ("kinesis",),
    "kinesis": ("eventhubs",),
    "eventgrid": ("eventbridge",),
    "eventbridge": ("eventgrid",),
    "cron": ("schedule", "timer"),
    "timer": ("schedule",),
    "schedule": ("timer",),
}
"""Other names of the same thing: spelling alone would lead from amd64 to arm64."""


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_IN_WORDS: Final = re.compile(rf"\[Errno (?:{'|'.join(map(str, sorted(_FULL)))})\]")


def is_disk_full(error: BaseException) -> bool:
    """Tell whether a failure of the system is that the disk, or the user's share of it, is full.

    `shutil` makes one error without a number of all that failed while it copied a tree.
    """
    if not isinstance(error, OSError):
        return False
    return error.errno in _FULL or (error.errno is None and bool(_FULL_IN_WORDS.search(str(error))))


def describe_full_disk(error: OSError, folder: object) -> str:
    """Say which disk is full; `folder` is what was written to if the error names no file.

    Of a tree that was copied the first file that there was no room for stands for all.
    """
    listed = error.args[0] if error.args and isinstance(error.args[0], list) else []
    full = [each for each in listed if _FULL_IN_WORDS.search(str(each[-1]))]
    file = full[0][1] if full else error.filename2 or error.filename
    if file is None:
        return f"The disk is full under {folder}"
    path = Path(os.fsdecode(file))
    disk = next((each for each in path.parents if each.is_mount()), path.parent)
    is_below = path.is_relative_to(str(folder)) and Path(str(folder)).is_relative_to(disk)
    return f"The disk is full under {folder if is_below else disk}: no room for {path.name}"


class PackagerError(Exception):
    """Error that the command line prints and exits with; a bug raises anything else."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *words: object) -> None:
        super().__init__(*(redact(each) if isinstance(each, str) else each for each in words))


class ConfigurationError(PackagerError):
    """An option or a setting that cannot be used as it is."""

    exit_code = 2


class UnknownTargetError(ConfigurationError):
    """A name that is no target's; the closest one is asked for."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        super().__init__(
            f"No target {name!r}.{suggest_name(name, known)} "
            f"Known targets: {', '.join(sorted(known))}."
        )


class FactsError(ConfigurationError):
    """A table of facts (packager/facts, or the folder that overrides it) does not hold together."""


class ModelNotFoundError(PackagerError):
    """The registry, run or folder answered, and it has no such model."""

    exit_code = 3


class RegistryUnavailableError(PackagerError):
    """The registry or the artifact store did not answer."""

    exit_code = 4


class ModelFormatError(PackagerError):
    """The model folder cannot be read as MLflow's format."""

    exit_code = 5


class PlanError(PackagerError):
    """No combination of runtime, Python and wheels serves this model on this target."""

    exit_code = 6


class UnresolvableError(PlanError):
    """No set of wheels satisfies the requirements.

    `words` are the resolver's own.
    """

    def __init__(self, words: str) -> None:
        self.words = redact(words)
        super().__init__(f"The requirements do not resolve to wheels.\n{words}")


class DigestError(PlanError):
    """No file of a package has a digest that the model's requirements give with --hash."""

    def __init__(self, packages: Sequence[str]) -> None:
        super().__init__(
            f"The package index has other files than the model's --hash allows: "
            f"{', '.join(packages)}.\nIf you know why, correct the hash in the model's "
            "requirements (`pip hash FILE` prints one); if not, find out who changed the package."
        )


class InterpreterNotFoundError(PlanError):
    """The Python that the function runs on is not on this machine."""

    def __init__(self, minor: str, looked: Sequence[str]) -> None:
        super().__init__(
            f"No Python {minor} was found on this machine (looked in: {', '.join(looked)}).\n"
            f"Get one with `uv python install {minor}` or `pyenv install {minor}`, "
            "or choose another with --python."
        )


class VerificationError(PackagerError):
    """The bundle was built and must not ship; every finding is in the message."""

    exit_code = 7

    def __init__(self, findings: Sequence[Finding], rejected: RejectedBundle | None = None) -> None:
        self.findings = tuple(findings)
        self.rejected = rejected
        lines = "\n".join(f"  - {finding}" for finding in self.findings)
        super().__init__(f"The bundle was built but must not ship:\n{lines}")


class UnprovenError(PackagerError):
    """Nothing to replay, or nowhere to boot, and nobody asked for an unproven build."""

    exit_code = 8

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"{why}\n{self.way_out}")

    @property
    def way_out(self) -> str:
        return "Pass --allow-unproven to build all the same; the artifact will be marked unproven."


class UpgradeUnprovenError(UnprovenError):
    """Nothing shows that newer patch releases answer as the pinned versions do."""

    @property
    def way_out(self) -> str:
        return (
            "Releases that --upgrade-pins takes ship only where a replay shows the same answers to "
            "the last bit, --allow-unproven or not. Mend that, or log the model again with "
            "versions that have wheels."
        )


class StorageError(PackagerError):
    """The disk is full, or a folder cannot be written."""

    exit_code = 9


class ToolError(PackagerError):
    """A program that the build depends on failed or is not there."""

    exit_code = 10


class IndexUnavailableError(PackagerError):
    """A package index did not answer, or let nobody in: it is not known what it has.

    No ToolError: it tells nothing of the model or of what was tried with it.
    """

    exit_code = 10


class EmulatorError(ToolError):
    """The Lambda emulator did not come up, or is gone; the message has its log's tail."""


class SandboxError(ToolError):
    """A run of a model's code could not be confined, or was ended at one of its limits."""


class ReplayDiffersError(VerificationError):
    """A deployed app does not answer as the proof asks, or was not asked every request."""

    def __init__(self, message: str) -> None:
        super().__init__(())
        self.args = (redact(message),)


class CloudError(PackagerError):
    """A cloud, or what is deployed there, refused or did not answer."""

    exit_code = 11


class BatchError(CloudError):
    """A batch failed, was stopped, or had more rows that failed than you tolerate."""


class IntegrityError(PackagerError):
    """An artifact is not what a build left, or is not the one that is meant."""

    exit_code = 12

    @classmethod
    def of_problems(cls, folder: str, problems: Sequence[str]) -> IntegrityError:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        return cls(
            f"{folder} is not what was built:\n{lines}\n"
            "Build it again. If you did not change it, find out who did."
        )


class DifferenceError(PackagerError):
    """Two artifacts differ by more than `packager diff --fail-on` allows."""

    exit_code = 13


class AttestationError(PackagerError):
    """A statement about an artifact does not hold, is missing, or is not what is required."""

    exit_code = 14

    @classmethod
    def of_problems(cls, folder: str, problems: Sequence[str]) -> AttestationError:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        return cls(
            f"{folder} is not attested as you require:\n{lines}\n"
            "Do not deploy it. Ask who built it to sign it, or build it and sign it yourself."
        )


class RebuildError(PackagerError):
    """An artifact cannot be built again from its own record: nothing is known of its bytes."""

    exit_code = 15


class SupplyChainError(PackagerError):
    """A package that would ship has a vulnerability or a licence that its builder refuses."""

    exit_code = 16

    def __init__(self, refused: Mapping[str, Sequence[str]]) -> None:
        """`refused` has sentences by what to do about them."""
        lines = [f"  - {each}" for sentences in refused.values() for each in sentences]
        super().__init__("\n".join(["What ships is not what you allow:", *lines, *refused]))


class AuditUnavailableError(SupplyChainError):
    """Nobody answered whether what ships has known vulnerabilities: the next time somebody may."""


class UntrustedTypesError(ModelFormatError):
    """The model's skops file holds types that its author did not name as trusted."""

    def __init__(self, types: str) -> None:
        super().__init__(
            f"The model's skops file holds types that are not trusted: {types}.\n"
            "If they are yours, log the model again with skops_trusted_types naming them."
        )


def suggest_name(given: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'NAME'?` for the closest known name; an empty text without one."""
    names = sorted(map(str, known), key=lambda name: (len(name), name))
    if (name := _find_closest(given.strip().casefold(), names)) is None:
        return ""
    return f" Did you mean {name!r}?"


def suggest_names(given: Iterable[str], known: Iterable[str]) -> str:
    """Return one such question for each of `given` that has a close name."""
    names = tuple(known)
    return "".join(suggest_name(each, names) for each in given)


def _find_closest(given: str, names: list[str]) -> str | None:
    folded = {name.casefold(): name for name in reversed(names)}
    for other in _OTHER_NAMES.get(given, ()):
        if other in folded:
            return folded[other]
    close = difflib.get_close_matches(given, folded, n=1)
    if not close and len(given) > 1:
        # the beginning of a long name: azure for azure-functions
        close = [name for name in map(str.casefold, names) if name.startswith(given)][:1]
    return folded[close[0]] if close else None

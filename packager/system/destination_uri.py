"""Destination of answers that no caller waits for: an address as the command line has it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packager.errors import ConfigurationError, suggest_name
from packager.types import BuildPlan

_NAMES: Final = {
    "s3": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "sqs": r"[A-Za-z0-9_-]{1,75}(\.fifo)?",
    "eventbridge": r"[A-Za-z0-9._-]{1,256}",
    "dynamodb": r"[A-Za-z0-9._-]{3,255}",
    "firehose": r"[A-Za-z0-9._-]{1,64}",
    "blob": r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*",
    "queue": r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*",
    "servicebus": r"[A-Za-z0-9]([A-Za-z0-9._-]{0,258}[A-Za-z0-9])?",
}
"""What each service takes for a name."""
_FOLDERS: Final = {"s3", "blob"}
"""What has a prefix after the name."""
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.*'()/-]{0,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    kind: str
    name: str
    prefix: str = ""


def read(text: str, kinds: Sequence[str]) -> Output:
    """`KIND://NAME` of one of `kinds`, with a prefix for s3 and blob. Raises ConfigurationError."""
    kind, _, rest = text.partition("://")
    name, _, prefix = rest.partition("/")
    if kind not in kinds:
        known = ", ".join(f"{each}://" for each in kinds)
        meant = suggest_name(re.split("[:/]", text)[0], kinds)
        raise ConfigurationError(f"--output-to {text}: it must start with one of {known}.{meant}")
    if not re.fullmatch(_NAMES[kind], name):
        raise ConfigurationError(
            f"--output-to {text}: {name!r} is not a name that {kind} takes. Correct the name after "
            f"{kind}://."
        )
    prefix = prefix.strip("/")
    if (prefix and kind not in _FOLDERS) or not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"--output-to {text}: {kind}:// takes no prefix {prefix!r}. Leave it out, or write a "
            "path of plain letters, digits and -_./ for s3 and blob."
        )
    return Output(kind=kind, name=name, prefix=prefix)


def of(plan: BuildPlan) -> Output | None:
    """Return the destination of a plan's answers; None where their callers get them."""
    text = plan.request.events.output_to
    return None if text is None else read(text, plan.target.events.outputs)

"""Where answers go that no caller waits for: an address as the command line has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from handlers.destinations import KINDS
from packager.errors import ConfigurationError

_NAMES: Final = {
    "s3": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "sqs": r"[A-Za-z0-9_-]{1,75}(\.fifo)?",
    "eventbridge": r"[A-Za-z0-9._-]{1,256}",
    "dynamodb": r"[A-Za-z0-9._-]{3,255}",
    "firehose": r"[A-Za-z0-9._-]{1,64}",
}
"""What each service takes for a name; only a bucket has a prefix after it."""
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.*'()/-]{0,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    kind: str
    name: str
    prefix: str = ""


def read(text: str) -> Output:
    """`KIND://NAME`, with a prefix for s3. Raises ConfigurationError."""
    kind, _, rest = text.partition("://")
    name, _, prefix = rest.partition("/")
    if kind not in KINDS:
        known = ", ".join(f"{each}://" for each in KINDS)
        raise ConfigurationError(f"--output-to {text}: it must start with one of {known}.")
    if not re.fullmatch(_NAMES[kind], name):
        raise ConfigurationError(f"--output-to {text}: {name!r} is no name that {kind} takes.")
    prefix = prefix.strip("/")
    if (prefix and kind != "s3") or not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(f"--output-to {text}: {prefix!r} is no prefix of such an address.")
    return Output(kind=kind, name=name, prefix=prefix)

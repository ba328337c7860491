"""Take out of what is shown or kept what may not be: credentials, and orders to a terminal.

No password of an address leaves this process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from packager.types import Json

_USER: Final = re.compile(
    r"(?<=://)(?:[^/\s\"'<>]*@"
    # a database's password may have a slash; what is a port is none
    r"|[^\s/:@\"'<>]+:(?!\d{1,5}(?:[/?#\s\"'<>]|$))[^\s@\"'<>]{0,256}@)"
)
_QUERY: Final = re.compile(
    r"(?i)(?<=[?&;])((?:[\w.-]{0,64}[-_.])?(?:code|sig|auth|pwd|passwd|password|(?:client_?)?secret|"
    r"(?:aws|account|api|auth|private|secret|shared|subscription|function)?(?:access)?"
    r"(?:token|signature|credentials?|key(?:id)?))=)(?!\$)[^&#;\s\"'<>]+"
)
_HEADER: Final = re.compile(
    r"(?i)(\bauthorization\b\W{1,6}(?:basic|bearer|token)\s+|\bbearer\s+(?=[\w.~+/=-]{16}))"
    # a shell's variable is no secret: a page shows where a caller puts its own
    r"(?!\$[A-Z_]+\b)[^\s\"',;]+"
)
_TOKEN: Final = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|dapi[0-9a-f]{32}|hf_[A-Za-z0-9]{30,})"
)
"""Of GitHub, GitLab, Databricks and Hugging Face, which are known by how they begin."""


_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def redact(text: str) -> str:
    """The text, in which an address has no user, no password and no signature.

    Nor has it a header's credentials, or a token that can be told by its form.
    """
    return _TOKEN.sub("***", _HEADER.sub(r"\1***", _QUERY.sub(r"\1***", drop_users(text))))


def drop_users(text: str) -> str:
    """The text, in which an address has no user and no password; it leads to the same file."""
    return _USER.sub("", text)


def hide_users(text: str) -> str:
    """The text, in which an address shows that it had a user, and not which."""
    return _USER.sub("***@", text)


def redact_values(value: Json) -> Json:
    """The same through every string of a JSON value."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): redact_values(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(each) for each in value]
    return value


def escape_controls(text: str) -> str:
    """The text, whose control characters are written as escapes; lines and tabs stay.

    What a model wrote, or is called, could else clear a terminal, rename it or type into it; and
    letters that change the direction would show other words than are there.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def name_host(address: str) -> str:
    """The host and port of an address, or the address itself where it has none."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return redact(address)
    if not host:
        return address
    return host if port is None else f"{host}:{port}"

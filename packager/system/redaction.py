"""Take credentials out of what is shown or kept: no password of an address leaves this process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from packager.types import Json

_USER: Final = re.compile(r"(?<=://)[^/\s\"'<>]*@")
_QUERY: Final = re.compile(
    r"(?i)(?<=[?&])((?:access_?token|token|sig|signature|password|passwd|secret|api_?key|"
    r"x-amz-(?:signature|credential|security-token))=)[^&#\s\"'<>]+"
)


def redact(text: str) -> str:
    """The text, in which an address has no user, no password and no signature."""
    return _QUERY.sub(r"\1***", drop_users(text))


def drop_users(text: str) -> str:
    """The text, in which an address has no user and no password; it leads to the same file."""
    return _USER.sub("", text)


def redact_values(value: Json) -> Json:
    """The same through every string of a JSON value."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): redact_values(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(each) for each in value]
    return value


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

"""Take out of what is shown or kept what may not be: credentials, and orders to a terminal.

No password of an address leaves this process.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from packager.types import Json

_VARIABLE: Final = r"\$(?:(?-i:[A-Z_]+)|\{(?-i:[A-Z_]+)\})"
"""A shell's variable is no secret: a page shows where a caller puts its own."""
_USER: Final = re.compile(
    # a database's password may have a slash and a sign; of what leads to files, a path may have @
    r"(?i)(?<=://)(?<!http://)(?<!https://)(?<!ssh://)(?<!git://)(?<!ftp://)(?<!svn://)"
    r"(?::|[^\s/:@\"'<>]+:(?!\d{1,5}(?:[/?#\s\"'<>]|$)))(?:(?!://)[^\s\"'<>]){0,256}@"
    r"|(?<=://)(?:[^/\s\"'<>]*@"
    # what is a port is no password
    r"|[^\s/:@\"'<>]*:(?!\d{1,5}(?:[/?#\s\"'<>]|$))[^\s@\"'<>]{0,256}@)"
)
_KINDS: Final = (
    r"(?:aws|account|api|auth|private|secret|shared|subscription|function)?(?:access)?"
    r"(?:token|signature|credentials?|key(?:id)?)"
)
_PASSWORDS: Final = r"pwd|passwd|password|(?:client_?)?secret"
_QUERY: Final = re.compile(
    rf"(?i)((?:(?<=[?&;#])(?:[\w.-]{{0,64}}[-_.])?(?:code|sig|auth|{_PASSWORDS}|{_KINDS})"
    # no requirement, which begins with a name too: google-auth==2.0
    rf"|\A(?!key=|signature=)(?:\w{{0,64}}_)?(?:{_PASSWORDS}|{_KINDS})(?==[^=]))=)"
    rf"(?!{_VARIABLE}(?:[&#;\s\"'<>]|$))[^&#;\s\"'<>]+"
)
_HEADER: Final = re.compile(
    r"(?i)(\bauthorization\b\W{1,6}(?:basic|bearer|token)\s+|\bbearer\s+(?=\$?[\w.~+/=-]{16}))"
    rf"(?!{_VARIABLE}(?:[\s\"',;`]|$))[^\s\"',;`]+"
)
_TOKEN: Final = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|dapi[0-9a-f]{32}|hf_[A-Za-z0-9]{30,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}\b|sk-(?=[\w-]*\d)[\w-]{20,}|xox[abprs]-[\w-]{10,}|AIza[\w-]{35}"
    r"|(?<=hooks\.slack\.com/services/)[\w/]+)"
)
"""Of GitHub, GitLab, Databricks, Hugging Face, AWS, OpenAI, Slack and Google, by their form."""


_SECRET_WORDS: Final = frozenset(
    {"auth", "authorization", "bearer", "cookie", "credential", "credentials", "dsn", "passphrase"}
    | {"passwd", "password", "passwords", "pwd", "secret", "secrets", "token", "webhook"}
)
_KEYS: Final = frozenset(
    {"access", "account", "admin", "api", "app", "auth", "encryption", "function", "hmac", "master"}
    | {"private", "service", "shared", "signing", "ssh", "storage", "subscription"}
)
"""Words before `key` that make it a secret; `primary_key` and `sort_key` are columns."""
_GLUED: Final = re.compile(
    rf"(?:{_PASSWORDS}|connection_?string|(?:{'|'.join(sorted(_KEYS))})key(?:id)?|accesstoken"
    r"|authtoken|apitoken)"
)
"""The same in names without marks between their words."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def redact(text: str) -> str:
    """The text, in which an address has no user, no password and no signature.

    Nor has it a header's credentials, or a token that can be told by its form.
    """
    return _TOKEN.sub("***", _HEADER.sub(r"\1***", _QUERY.sub(r"\1***", drop_users(text))))


def is_secret_name(name: str) -> bool:
    """Tell whether what goes by that name is likely to be a password, a token or a key."""
    marked = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    words = [word for each in re.split(r"[\W_]+", marked) if (word := each.rstrip("0123456789"))]
    return (
        not _SECRET_WORDS.isdisjoint(words)
        or any(one in _KEYS and other == "key" for one, other in itertools.pairwise(words))
        or _GLUED.search("_".join(words)) is not None
    )


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


def take_end(text: str, most: int) -> str:
    """Return the last whole lines of at most `most` characters; of one longer line, its end."""
    end = text[-most:]
    if len(text) <= most or text[-most - 1] == "\n":
        return end
    return end.partition("\n")[2] or end


def escape_json(document: str) -> str:
    """The JSON document, whose control characters and turns of direction are JSON's own escapes.

    json.dumps leaves those above the first 32 as they are, and a terminal obeys some of them.
    """
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


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

"""Words of uv where an index could not be asked, or a disk written: neither tells of a package."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Final

from packager.system.redaction import name_host, redact

_OFFLINE: Final = ("network was disabled", "Network connectivity is disabled")
_REFUSED: Final = re.compile(r"\b(401 Unauthorized|403 Forbidden|407 Proxy Authentication)")
_ADDRESS: Final = re.compile(r"https?://[^\s()<>`'\"]{1,2000}")
_ENVIRONMENT: Final = "HTTPS_PROXY, SSL_CERT_FILE and UV_DEFAULT_INDEX say how it is reached"
_CAUSES: Final = (
    ("dns error", "its name is not known here"),
    ("Connection refused", "it refuses connections"),
    ("timed out", "it did not answer in time"),
    ("certificate", "its certificate is not trusted"),
    ("InvalidContentType", "it does not speak TLS"),
    ("tunnel error", "the proxy does not let it through"),
    ("429 ", "it is asked too often"),
    ("`Content-Type`", "what it sent is no page of an index"),
)
EVERYWHERE: Final = ("packaging", "pip", "numpy")
"""Packages, the smallest first, of which every index has one."""
_UNKNOWN: Final = (
    "was not found in the package registry",
    "there are no versions of",
    "there is no version of",
)
_INDEX_VARIABLES: Final = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNWRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EIO})
_FAILED: Final = (
    "Failed to fetch",
    "error sending request",
    "Request failed after",
    "`Content-Type`",
)
_LASTING: Final = ("certificate", "InvalidContentType", "tunnel error", "`Content-Type`")
_REMOVED: Final = (f"(os error {errno.ENOENT})",)


def explain_index_failure(words: str) -> str | None:
    """A sentence on which index could not be asked and what to do; None where all answered."""
    if any(mark in words for mark in _OFFLINE):
        return (
            "uv may not use the network (UV_OFFLINE), and its cache does not have all that this "
            f"needs. Unset UV_OFFLINE, or fill the cache where there is a network.\n{_tail(words)}"
        )
    host = _host(words)
    if refused := _REFUSED.search(words):
        return (
            f"The package index at {host} refused access: {refused[1]}. Give it a name and a "
            f"password, by UV_INDEX_NAME_USERNAME and _PASSWORD or by netrc.\n{_tail(words)}"
        )
    if not any(mark in words for mark in _FAILED):
        return None
    cause = next((text for mark, text in _CAUSES if mark in words), None)
    if cause is None:
        status = re.search(r"status \w+ error \(([^)]{1,60})\)", words)
        cause = f"it says {status[1]}" if status else "the connection failed"
    return (
        f"The package index at {host} did not answer: {cause}. Try again when it can be reached "
        f"from here; {_ENVIRONMENT}.\n{_tail(words)}"
    )


def is_unknown_package(words: str) -> bool:
    """Tell whether uv says that no index has a package: an address may be no index's."""
    return any(mark in words for mark in _UNKNOWN)


def explain_empty_index(env: Mapping[str, str]) -> str:
    """A sentence on indexes of `env` that have nothing of what every index has, and what to do."""
    asked = {
        name: ", ".join(dict.fromkeys(map(_name_index, re.split(r"[\s,]+", env[name].strip()))))
        for name in _INDEX_VARIABLES
        if env.get(name, "").strip()
    }
    named = "; ".join(f"{name}: {hosts}" for name, hosts in asked.items()) or "pypi.org"
    return (
        f"The package index ({named}) answered, and has none of {', '.join(EVERYWHERE)}, which "
        "every index has. Is that the address of an index? On most servers it ends with /simple. "
        f"Correct {' or '.join(asked) or 'UV_DEFAULT_INDEX'}."
    )


def _name_index(value: str) -> str:
    """The host of an index that may have a name of its own: corp=https://..."""
    return name_host(re.sub(r"^[\w.-]+=(?=https?://)", "", value))


def is_passing(words: str) -> bool:
    """True for what another try may mend: no answer for now, or a file that another uv removed.

    An index that is not to be asked, refuses access or is not trusted gives the same answer again.
    """
    if any(mark in words for mark in (*_OFFLINE, *_LASTING)) or _REFUSED.search(words):
        return False
    return any(mark in words for mark in (*_FAILED, *_REMOVED))


def explain_storage_failure(words: str) -> str | None:
    """A sentence on what uv could not read or write; None where that is not what stopped it.

    The system's numbers are Linux's, for example 13 for EACCES.
    """
    codes = {int(code) for code in re.findall(r"\(os error ([0-9]{1,3})\)", words)}
    if codes & _FULL:
        return (
            "The disk is full where uv writes. Free space, or set UV_CACHE_DIR to a larger disk.\n"
            f"{_tail(words)}"
        )
    if codes & _UNWRITABLE:
        return (
            "uv cannot read or write the file that it names below. Give yourself the right to it, "
            "or, where it lies in uv's cache (~/.cache/uv), set UV_CACHE_DIR to a folder that you "
            f"can write.\n{_tail(words)}"
        )
    return None


def _host(words: str) -> str:
    found = _ADDRESS.search(redact(words))
    return name_host(found[0]) if found else "an unknown address"


def _tail(words: str) -> str:
    return redact(words)[-2000:]

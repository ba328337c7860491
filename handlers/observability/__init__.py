"""Logs, metrics, traces and drift, with nothing of a request's data in them.

Entry points call these before and after each request.

Here: values of CloudWatch's dimensions, the same where metrics are written and in templates. They
are in the package's own file because each start writes some, and a module more would cost it.

A value is ASCII without control characters and is not blank
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html). Left out too
is what CloudFormation would resolve (`{{resolve:...}}`, `${...}`), or JSON would escape.
"""

from __future__ import annotations

_LONGEST = 250
_RESOLVED = frozenset('"$\\{}')
_REFUSED = r'[^ -~]|["$\\{}]|^:'


def dimension_value(text: str) -> str:
    """The text where it is a value, else cleaned and with a checksum of the text added.

    So two texts that look alike once cleaned stay two values. A cleaned value stays as it is.
    """
    if _is_value(text):
        return text
    import re
    import zlib

    cleaned = re.sub(_REFUSED, "_", text).strip()
    checksum = f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"
    return f"{cleaned[: _LONGEST - 9].rstrip() or '_'}-{checksum}"


def _is_value(text: str) -> bool:
    """Tell whether a text can stay as it is, without a regular expression at start."""
    if not text.isascii() or not text.isprintable() or _RESOLVED.intersection(text):
        return False
    return text[:1] not in {"", ":"} and text == text.strip() and len(text) <= _LONGEST


def of_model(name: str, version: str | None, service: str | None = None) -> dict[str, str]:
    """The dimensions of a function's own metrics; the service is the model where none is named."""
    named = name or "unnamed"
    return {
        "service": dimension_value(service or named),
        "model": dimension_value(named),
        "version": dimension_value(version or "unversioned"),
    }

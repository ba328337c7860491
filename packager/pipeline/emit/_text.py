"""Text that is safe where it is put: tags, names, YAML, and files that others will read."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from packager.system import cache
from packager.system.redaction import redact
from packager.system.resources import find_home
from packager.types import Json

_TAG_VALUE = 256
_JSON_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_STACK_NAME = 64
"""With a digest and `-batch` it is a state machine's name, which may have 80 characters."""


def ascii_words(text: str, *, limit: int) -> str:
    """Letters, digits, space and `_.:/=+-@` of ASCII; anything else becomes `_`.

    These are what a tag's value may hold in every service
    (https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html), and
    they leave no way to write a reference that CloudFormation would resolve (`{{resolve:...}}`).
    """
    cleaned = "".join(
        char if char.isascii() and (char.isalnum() or char in " _.:/=+-@") else "_" for char in text
    )
    return cleaned.strip()[:limit].rstrip() or "_"


def tag_value(text: str) -> str:
    return ascii_words(text, limit=_TAG_VALUE)


def stack_name(model: str, *, limit: int = _STACK_NAME) -> str:
    """A CloudFormation stack's name: `[a-zA-Z][-a-zA-Z0-9]*`, nine characters over `limit` at most.

    Two models never share one: where the name had to change, a digest of it is added.
    """
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", model).strip("-")
    if not slug[:1].isalpha():
        slug = f"model-{slug}".rstrip("-")
    if slug == model and len(slug) <= limit:
        return slug
    suffix = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slug[:limit].rstrip('-')}-{suffix}"


def quote_scalar(value: str | int) -> str:
    """A YAML 1.1 double-quoted scalar, which is also a TOML basic string; a number as it is.

    Everything but printable ASCII is escaped, so nothing in a name can end the scalar. A quote is
    written by its number: a scrubber goes up to the next quote, and would take its backslash.
    """
    if isinstance(value, int):
        return str(value)
    out = []
    for char in value:
        code = ord(char)
        if 0xD800 <= code <= 0xDFFF:
            out.append("\\uFFFD")
        elif char == "\\":
            out.append("\\\\")
        elif 0x20 <= code < 0x7F and char != '"':
            out.append(char)
        else:
            out.append(f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}")
    return f'"{"".join(out)}"'


def code_span(value: object) -> str:
    """A Markdown code span that its content cannot leave."""
    text = "".join(char if char.isprintable() and char != "`" else "'" for char in str(value))
    return f"`{text.strip() or ' '}`"


def url_segment(text: str) -> str:
    """The text as a part of a URL's path, percent-encoded."""
    return quote(text.encode("utf-8", "replace"), safe="")


def one_line(text: str) -> str:
    """Prose for Markdown: no line of its own, no markup that it did not have to have."""
    return re.sub(r"([<>|\[\]])", r"\\\1", " ".join(text.split()))


def public_uri(uri: str) -> str:
    """Return a model's address without a path of this machine, a password or a query."""
    if uri.startswith(("models:", "runs:")):
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:  # a host in brackets that are not closed
        return "an address that cannot be read"
    if parts.scheme in {"", "file"} or len(parts.scheme) == 1:
        return f"a local folder named {Path(parts.path).name or 'model'}"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _is_json(text: str) -> bool:
    """Tell whether the text is a JSON object or array."""
    if not text.lstrip(" \t\r\n").startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Takes the building machine out of a text: its folders, and credentials inside addresses."""

    folders: tuple[tuple[str, str], ...]

    @classmethod
    def over(cls, known: Mapping[str, Path]) -> Scrubber:
        """`known` names the build's own folders; home, cache and temporary folders are added."""
        named = {str(path): f"<{name}>" for name, path in known.items()}
        for path in (cache.root(), find_home(), Path(tempfile.gettempdir())):
            if path is not None:
                named.setdefault(str(path), "<path>")
        usable = (item for item in named.items() if len(Path(item[0]).parts) > 1)
        return cls(tuple(sorted(usable, key=lambda item: (-len(item[0]), item[0]))))

    def text(self, text: str) -> str:
        """The text without them; a JSON document in it stays one."""
        if not _is_json(text):
            return self._plain(text)
        document = _JSON_STRING.sub(self._literal, text)
        plain = self._plain(document)
        return plain if _is_json(plain) else document

    def lines(self, text: str) -> str:
        """The same line by line: each is a document of its own."""
        return "\n".join(self.text(line) for line in text.split("\n"))

    def _plain(self, text: str) -> str:
        for folder, name in self.folders:
            # next to no text has one, and there are tens of thousands
            if folder in text:
                tail = r"/[^\s'\",;:)\]}]+" if name == "<path>" else r"(?![\w.-])"
                text = re.sub(re.escape(folder) + tail, name, text)
        return redact(text)

    def _literal(self, found: re.Match[str]) -> str:
        before = json.loads(found[0])
        after = self.text(before)
        return found[0] if after == before else json.dumps(after, ensure_ascii=False)

    def json(self, value: object) -> Json:
        """The same through every string of a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.json(item) for key, item in value.items()}
        if isinstance(value, Iterable) and not isinstance(value, bytes):
            return [self.json(item) for item in value]
        return value

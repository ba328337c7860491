"""Requirements files, read as pip reads them; what would reach beyond the model is refused."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager.errors import ModelFormatError
from packager.models import model_documents
from packager.pipeline.resolve import _printed_lines
from packager.pipeline.resolve._indexes import Indexes
from packager.system.redaction import redact
from packager.types import LineChange

# each is linear in a line's length: no two repeats meet
_COMMENT: Final = re.compile(r"(?:^|\s)#.*$")
_HASH: Final = re.compile(r"\s--hash[=\s]\s*(\S+)")
_OTHER: Final = re.compile(r"\s--[a-z][\w-]*(?:[=\s]\s*(?:\"[^\"]{0,200}\"|'[^']{0,200}'|\S+))?")
_INCLUDE: Final = re.compile(
    r"(?:-([rc])[=\s]*|--(requirement|constraint)[=\s]\s*)(\"[^\"]+\"|'[^']+'|[^\s\"']+)$"
)
_INCLUDE_START: Final = re.compile(r"-[rc]|--(?:requirement|constraint)\b")
_EDITABLE: Final = re.compile(r"(?:-e|--editable)\b")
_INDEX: Final = re.compile(
    r"(-i|-f|--index-url|--pypi-url|--extra-index-url|--find-links|--no-index)(?:(?:\s*=\s*|\s+)(\S+))?$"
)
# uv and pip put the value of ${NAME} in its place; nobody's requirements need a brace or a $NAME
_PLACEHOLDER: Final = re.compile(r"\$[A-Za-z_{(]|[{}]")
_UNUSED: Final = {
    "--no-binary": "packages are installed from wheels alone",
    "--only-binary": "packages are installed from wheels alone",
    "--prefer-binary": "packages are installed from wheels alone",
    "--pre": "a pre-release is taken where a line names one",
    "--require-hashes": "the hashes that lines have are held all the same",
    "--trusted-host": "an index proves who it is; the machine's own settings decide on others",
    "--config-settings": "nothing is built",
    "--global-option": "nothing is built",
    "--install-option": "nothing is built",
}
_AWAY: Final = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]+:(?=/)|(?=[^./~\\]))")
"""Where a path has no mark of one: the beginning of dbfs:/NAME.whl and of NAME.whl."""
_MOST_INCLUDES: Final = 20
_MOST_NOTES: Final = 100
_MOST_LINES: Final = 50_000
_SHOWN: Final = 100
"""Letters of a line in a note."""
_MOST_LETTERS: Final = 2000
"""Of a requirement without its hashes; markers are parsed by a program that calls itself."""
_LEAST_WIDE: Final = 4
"""Bytes from which on zeros between letters tell of UTF-16."""
_UNPRINTABLE: Final = re.compile(r"[\0-\x08\x0e-\x1f]")
# those that pip decodes: https://pip.pypa.io/en/stable/reference/requirements-file-format/#encoding
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(slots=True)
class Reading:
    """Results so far; one of these lives for one reading of a model's requirements."""

    root: Path
    indexes: Indexes
    lines: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    hashes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Digests by line."""
    changes: list[LineChange] = field(default_factory=list)
    """Lines that are read as others."""
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    """That were read, an included one as often as it is."""

    def check(self) -> None:
        """Raises ModelFormatError with everything that was refused."""
        if self.refused or self.indexes.refused:
            lines = "\n".join(f"  - {why}" for why in (*self.refused, *self.indexes.refused))
            raise ModelFormatError(
                f"The model's requirements cannot be used:\n{lines}\n"
                "Correct them in the model's folder, or log the model again."
            )


def read_file(reading: Reading, path: Path, *, constraint: bool = False) -> None:
    """Add the lines of one file, and of those that it includes.

    Raises ModelFormatError for a file that cannot be read, or files without end.
    """
    if len(reading.files) >= _MOST_INCLUDES:
        raise ModelFormatError(f"{path.name}: requirements files include each other without end.")
    if not path.resolve().is_relative_to(reading.root.resolve()):
        reading.refused.append(
            f"{redact(path.name)} is included and lies outside of the model; only files in the "
            "model's folder are read"
        )
        return
    if not model_documents.is_file(path):
        reading.refused.append(f"{path.name} is included and is not in the model")
        return
    reading.files.append(path)
    read_lines(reading, [_decode(path)], path.parent, constraint=constraint)


def read_lines(
    reading: Reading, texts: Iterable[str], base: Path, *, constraint: bool = False
) -> None:
    """Add lines; a text may hold several, and paths in them are relative to `base`.

    Raises ModelFormatError as `read_file` does.
    """
    table = None
    for line in _logical_lines(texts):
        table = _printed_lines.find_heading(line) or table
        if not line.isprintable() and _UNPRINTABLE.search(line):
            reading.refused.append(f"{redact(line)[:60]!r} holds a zero byte or another control")
        elif not _read_printed(reading, line, table, constraint=constraint):
            _read_plain(reading, line, base, constraint=constraint)


def _read_printed(
    reading: Reading, line: str, table: _printed_lines.Table | None, *, constraint: bool
) -> bool:
    """Read a line that a program printed; False for any other."""
    shown = redact(line)[:_SHOWN]
    if why := _printed_lines.explain_noise(line):
        _add_note(reading, f"The requirements' line `{shown}` is not used: {why}.")
    elif why := _printed_lines.explain_refusal(line):
        reading.refused.append(f"{shown}: {why}")
    elif found := _printed_lines.read_line(line, table):
        _add_changed(reading, line, found, constraint=constraint)
    else:
        return False
    return True


def _read_plain(reading: Reading, line: str, base: Path, *, constraint: bool) -> None:
    """Read an option, another file, or a requirement. Raises as `read_file` does."""
    if _PLACEHOLDER.search(line):
        reading.refused.append(
            f"{redact(line)}: a placeholder such as ${{NAME}} is never filled in, as it would "
            "send a variable of this machine to whoever the line names; write the value itself"
        )
    elif include := _INCLUDE.match(line):
        _include(reading, include, base, constraint=constraint)
    elif _INCLUDE_START.match(line):
        reading.refused.append(
            f"{redact(line)[:60]}: name one file of the model's folder on a line of its own, "
            "as -r FILE or -c FILE"
        )
    elif index := _INDEX.match(line):
        reading.indexes.add(index.group(1), index.group(2), base)
    elif not constraint and (editable := _EDITABLE.match(line)):
        # the plan says whether the model can do without
        reading.lines.append(redact(f"-e {line[editable.end() :].lstrip(' =')}"))
    elif line.startswith("-"):
        _drop_option(reading, line.split(maxsplit=1)[0].partition("=")[0])
    else:
        _add_requirement(reading, line, constraint=constraint)


def _logical_lines(texts: Iterable[str]) -> Iterator[str]:
    """Without comments and empty ones; a line that ends in a backslash goes on."""
    for text in texts:
        joined = re.sub(r"\\[ \t]*(?:\r\n|\r|\n)", " ", text)
        for raw in joined.splitlines():
            line = _COMMENT.sub("", raw.strip()).strip()
            # as pip does, where nothing follows
            if line := line.rstrip("\\").rstrip():
                yield line


def _decode(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(model_documents.MOST_TEXT + 1)
    if len(content) > model_documents.MOST_TEXT or content.count(b"\n") > _MOST_LINES:
        raise ModelFormatError(
            f"{path.name} has more than {model_documents.MOST_TEXT:,} bytes or {_MOST_LINES:,} "
            "lines. Log the model again with only the requirements that it has."
        )
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    try:
        return content.decode(encoding or _guess_wide(content) or "utf-8")
    except UnicodeDecodeError as error:
        # its comments may be in any encoding that has ASCII's letters
        text = content.decode("latin-1")
        if encoding is None and all(line.isascii() for line in _logical_lines([text])):
            return text
        raise ModelFormatError(
            f"{path.name} cannot be read: it is not UTF-8 ({error}), and not only its comments "
            "have other letters. Save it as UTF-8."
        ) from error


def _guess_wide(content: bytes) -> str | None:
    """The encoding of text in UTF-16 without a mark: every second byte of ASCII's letters is 0."""
    if len(content) < _LEAST_WIDE or len(content) % 2:
        return None
    if not any(content[1::2]):
        return "utf-16-le"
    return None if any(content[::2]) else "utf-16-be"


def redact_files(paths: Iterable[Path]) -> None:
    """Take passwords in addresses out of our copies, which may ship with the model."""
    for path in paths:
        text = _decode(path)
        if (kept := redact(text)) != text:
            path.write_text(kept, encoding="utf-8")


def _include(reading: Reading, found: re.Match[str], base: Path, *, constraint: bool) -> None:
    kind = found.group(1) or found.group(2)[0]
    name = found.group(3).strip("\"'")
    if "://" in name:
        reading.refused.append(
            f"{redact(found.group())}: only files in the model's folder are read; copy it there"
        )
        return
    read_file(reading, base / name, constraint=constraint or kind == "c")


def _drop_option(reading: Reading, name: str) -> None:
    why = _UNUSED.get(name, "only where packages come from, and which, is read")
    _add_note(reading, f"The requirements' option `{name}` is not used: {why}.")


def _add_note(reading: Reading, note: str) -> None:
    if len(reading.notes) < _MOST_NOTES and note not in reading.notes:
        reading.notes.append(note)


def _add_changed(
    reading: Reading, line: str, found: _printed_lines.Reading, *, constraint: bool
) -> None:
    """Add what a line stands for; each may be anything that a line may be, but for an option."""
    for used in found.used:
        reading.changes.append(
            LineChange(line=redact(line), used=redact(used), reason=found.reason)
        )
        if _PLACEHOLDER.search(used):
            reading.refused.append(f"{redact(used)}: a placeholder is never filled in")
        else:
            _add_requirement(reading, used, constraint=constraint)


def _add_requirement(reading: Reading, line: str, *, constraint: bool) -> None:
    digests = _HASH.findall(line)
    line = _HASH.sub("", line)
    if len(line) > _MOST_LETTERS:
        reading.refused.append(
            f"{redact(line[:60])}...: no requirement has more than {_MOST_LETTERS:,} letters; "
            "correct the line, or remove it"
        )
        return
    for other in _OTHER.findall(line):
        _drop_option(reading, other.split()[0].partition("=")[0])
    line = _OTHER.sub("", line).strip()
    for digest in digests:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            reading.refused.append(
                f"{redact(line)}: --hash {digest[:20]} cannot be held; give sha256: and its 64 "
                "hexadecimal digits, as the package index states them"
            )
    if digests:
        known = reading.hashes.get(line, ())
        reading.hashes[line] = tuple(dict.fromkeys((*known, *digests)))
    if constraint:
        reading.constraints.append(line)
    elif (found := _locate_wheel(reading, line)) is not None:
        if digests and found != line:
            reading.hashes[found] = reading.hashes.pop(line)
        reading.lines.append(found)


def _locate_wheel(reading: Reading, line: str) -> str | None:
    """The line; a wheel's path is checked and made relative to the model. None: refused.

    One that does not lie in the model is an address of the author's machine, which the plan never
    hands on: it says whether the model can do without.
    """
    name, at, address = line.partition("@")
    named = bool(at) and re.fullmatch(r"\s*[\w.-]+(\[[^\]]*\])?\s*", name) is not None
    path = address.strip() if named else line
    if not path.endswith(".whl") or "://" in path or path.startswith("file:"):
        return line
    inside = (reading.root / path).resolve()
    if not inside.is_relative_to(reading.root.resolve()) or not model_documents.is_file(inside):
        owner = name.strip() if named else re.split(r"[\\/]", path)[-1].partition("-")[0]
        if re.fullmatch(r"[A-Za-z0-9][\w.-]*(\[[^\]]*\])?", owner):
            return f"{owner.removesuffix('.whl')} @ {_AWAY.sub('file:', path)}"
        reading.refused.append(f"{path} is listed as a wheel and is not in the model")
    elif "@" in (found := inside.relative_to(reading.root.resolve()).as_posix()):
        reading.refused.append(
            f"{path}: a wheel's path has no @, which stands between a name and an address; move it "
            "into code/"
        )
    else:
        return found
    return None

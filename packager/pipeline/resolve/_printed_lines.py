"""Lines that a program printed beside requirements, or in place of them.

People save what `pip list`, `conda list` and `pip install` print as requirements.txt, with the
warnings around it. A line that names no package is left out; a row of a table is read as the pin
that it is; what tells of a list that is not whole, or of another format, is refused.

The forms are those of pip (https://pip.pypa.io/en/stable/cli/pip_list/) and conda
(https://docs.conda.io/projects/conda/en/stable/commands/list.html).
"""

from __future__ import annotations

import enum
import re
import shlex
from dataclasses import dataclass
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement


class Table(enum.Enum):
    """The kind of table whose rows follow."""

    PIP = enum.auto()
    EDITABLE = enum.auto()
    """Of pip, with a column for the folders of projects that are installed in place."""
    CONDA = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The requirements that a line stands for, and why it is not used as it was written."""

    used: tuple[str, ...]
    reason: str


# each is linear in a line's length: no two repeats meet
_PIP: Final = re.compile(r"Package(?:\s+|==|,)Version(?:\s.*)?")
_EDITABLE: Final = re.compile(r"Package\s+Version\s+Editable project location(?:\s.*)?")
_CONDA: Final = re.compile(r"Name\s+Version(?:\s+Build(?:\s.*)?)?")
_RULE: Final = re.compile(r"[-─━]{3,}(?:\s+[-─━]{3,})*")
_MESSAGE: Final = re.compile(
    r"(?:(?:warning|deprecation|notice|note|hint|info)\s*:\s"
    r"|\[notice\]\s"
    r"|you are using pip version "
    r"|you should consider upgrading "
    r"|using python \d\S* "
    r"|(?:resolved|audited|installed|prepared|uninstalled) \d+ packages? in "
    r"|list of packages in environment)",
    re.IGNORECASE,
)
_VIA: Final = re.compile(r"via\s+[^\s=<>!~;].*")
_NAME: Final = r"[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9])?"
_VERSION: Final = r"v?\d[\w.!+-]*"
_ROW: Final = re.compile(rf"({_NAME})\s+({_VERSION})(?:\s+(\S.*))?")
_CONDA_ROW: Final = re.compile(rf"({_NAME})\s+({_VERSION})\s+(\w+)(?:\s+[\w./:-]+)?")
_BUILD: Final = re.compile(r"[_\d]")
_OLD_ROW: Final = re.compile(rf"({_NAME})\s+\(({_VERSION})(?:,\s*(\S.*))?\)")
_HIDDEN: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_WIDE: Final = re.compile("[\u00a0\u2000-\u200a\u202f\u3000]")
_ITEM: Final = re.compile(r"[-*•]\s+(\S.*)")
_QUOTED: Final = re.compile(r"([\"'])([^\"']+)\1\s*,?")
_COMMAND: Final = re.compile(
    r"[!%$]?\s*(?:\S*python[\d.]*\s+-m\s+)?(?:uv\s+)?pip[\d.]*\s+install\s+(\S.*)"
)
_SWITCHES: Final = frozenset(
    {"-U", "-q", "--upgrade", "--quiet", "--user", "--no-cache-dir", "--no-deps", "--pre"}
)
_LIST: Final = "list each package as NAME==VERSION on a line of its own"
_REFUSED: Final = (
    (
        re.compile(r"ERROR\s*:\s|Traceback \(most recent call last\):"),
        "a program printed it as it failed: packages may be missing; save `pip freeze` again",
    ),
    (
        re.compile(r"(?:<{7}|>{7}|\|{7})(?:\s|$)|={7}$"),
        "it is a mark of a merge that was not finished; keep the lines of one side",
    ),
    (
        re.compile(r"\[[\w.\"-]+\]$|[\w-]+\s*=\s*[\[{\"']"),
        f"it is a line of TOML, and no requirement; {_LIST}",
    ),
    (
        re.compile(r"(?:name|channels|dependencies|prefix|variables)\s*:(?:\s|$)"),
        f"it is a line of a conda environment, which belongs into conda.yaml; {_LIST}",
    ),
    (re.compile(r"<[!/A-Za-z]"), f"it is HTML, as of a page in place of a file; {_LIST}"),
    (re.compile(r"\[?\s*\{\s*\"|\[\s*\""), f"it is JSON, and no requirement; {_LIST}"),
    (
        re.compile(r"[│├└]"),
        "it is part of a tree of what requires what; write the list with `pip freeze`",
    ),
)


def find_heading(line: str) -> Table | None:
    """Find the kind of table that a heading begins; None for any other line."""
    if _EDITABLE.fullmatch(line):
        return Table.EDITABLE
    if _PIP.fullmatch(line):
        return Table.PIP
    return Table.CONDA if _CONDA.fullmatch(line) else None


def explain_noise(line: str) -> str:
    """Explain why a line that names no package is not used; empty for any other."""
    if find_heading(line) or _RULE.fullmatch(line):
        return "it is the heading of a table"
    if _MESSAGE.match(line):
        return "it is a message that a program printed beside the list"
    if _VIA.fullmatch(line):
        return "it says what requires the line before it"
    return ""


def explain_refusal(line: str) -> str:
    """Explain why a line is of no list that is whole; empty for any other."""
    return next((why for pattern, why in _REFUSED if pattern.match(line)), "")


def read_line(line: str, table: Table | None) -> Reading | None:
    """Read a line that stands for requirements in another form; None for any other.

    `table` is that whose heading came before.
    """
    if row := _read_row(line, table):
        return row
    if item := _ITEM.fullmatch(line):
        return Reading(used=(item[1],), reason="it is an item of a list in YAML or Markdown")
    if command := _COMMAND.fullmatch(line):
        words = _split(command[1])
        return Reading(used=words, reason="it is a command of pip") if words else None
    shown = _WIDE.sub(" ", _HIDDEN.sub("", line))
    bare = shown.rstrip("; ")
    if quoted := _QUOTED.fullmatch(bare):
        return Reading(used=(quoted[2].strip(),), reason="quotes are no part of a requirement")
    if bare != shown:
        return Reading(used=(bare,), reason="nothing follows the semicolon")
    if shown != line:
        return Reading(used=(shown,), reason="it has letters that do not show")
    several = _split(line)
    if len(several) > 1 and all(map(_is_pin, several)):
        return Reading(used=several, reason="it has several requirements")
    return None


def _read_row(line: str, table: Table | None) -> Reading | None:
    """Read a row of `pip list`, of an old pip's, or of `conda list`, whose heading is a comment."""
    if old := _OLD_ROW.fullmatch(line):
        return _read_pip_row(old[1], old[2], old[3])
    if table in {Table.PIP, Table.EDITABLE} and (row := _ROW.fullmatch(line)):
        return _read_pip_row(row[1], row[2], row[3] if table is Table.EDITABLE else None)
    if (row := _CONDA_ROW.fullmatch(line)) and _BUILD.search(row[3]):
        return Reading(used=("=".join(row.groups()),), reason="it is a row of `conda list`")
    return None


def _read_pip_row(name: str, version: str, folder: str | None) -> Reading:
    reason = "it is a row of `pip list`"
    if folder:
        return Reading(used=(f"{name} @ file://{folder}",), reason=reason)
    return Reading(used=(f"{name}=={version}",), reason=reason)


def _split(text: str) -> tuple[str, ...]:
    """The words of a command without pip's switches; () where it has other options."""
    try:
        words = shlex.split(text)
    except ValueError:
        return ()
    kept = tuple(word for word in words if word not in _SWITCHES)
    return () if any(word.startswith("-") for word in kept) else kept


def _is_pin(word: str) -> bool:
    try:
        return bool(Requirement(word).specifier)
    # a number with more digits than Python converts
    except (InvalidRequirement, ValueError):
        return False

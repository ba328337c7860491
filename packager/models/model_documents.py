"""YAML and JSON that a model brings, bounded before they are built.

A few lines of YAML can stand for more values than a machine has memory for, since an alias repeats
what its anchor names. So the parser's events are counted first, each alias as all that it repeats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from packager.errors import ModelFormatError
from packager.types import Json

MOST_TEXT: Final = 4 * 2**20
"""Bytes of a description or a list of requirements; a signature of 40,000 columns has 3 MB."""
MOST_EXAMPLE: Final = 32 * 2**20
"""Bytes of an example; no target takes a request as large."""
_MOST_YAML_VALUES: Final = 100_000
_MOST_JSON_VALUES: Final = 2_000_000
_MOST_DEPTH: Final = 100
_MOST_DIGITS: Final = 4000
"""Of a number, in letters; Python converts up to 4,300 digits in a reasonable time."""
_NUMBER_START: Final = frozenset("+-.0123456789")
_STRING_TAG: Final = "tag:yaml.org,2002:str"
SAFE_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, where PyYAML was built with it: ten times as fast."""
_JSON_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_JSON_BRACKET: Final = re.compile(r"[\[\]{}]")


def read_text(path: Path, most_bytes: int = MOST_TEXT) -> str:
    """Raises ModelFormatError where the file is too large, or is not UTF-8 text."""
    try:
        with path.open("rb") as file:
            body = file.read(most_bytes + 1)
        if len(body) > most_bytes:
            raise ModelFormatError(
                f"{path.name} has {path.stat().st_size:,} bytes; no more than {most_bytes:,} are "
                "read. Log the model again with less in it."
            )
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{path.name} cannot be read: it is not UTF-8 ({error}).") from error
    except OSError as error:
        raise ModelFormatError(f"{path.name} cannot be read: {error.strerror}.") from error


def read_yaml(path: Path) -> Mapping[str, Json]:
    """The table in a YAML file. Raises ModelFormatError where it is none, or is too much."""
    text = read_text(path)
    try:
        check_yaml(text, path.name)
        values = yaml.load(text, Loader=SAFE_LOADER)  # noqa: S506 - a safe loader
    # ValueError: a date or a number that is none
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        words = " ".join(str(error).split())
        raise ModelFormatError(f"{path.name} cannot be read as YAML: {words}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ModelFormatError(
            f"{path.name} does not hold a table of keys and values. Log the model again."
        )
    return values


def parse_json(text: str, name: str) -> Json:
    """The value of a JSON text, which `name` stands for. Raises ModelFormatError."""
    bare = _JSON_STRING.sub("", text)
    if bare.count(",") + bare.count("[") + bare.count("{") > _MOST_JSON_VALUES:
        raise _too_much(name, f"more than {_MOST_JSON_VALUES:,} values")
    depth = 0
    for match in _JSON_BRACKET.finditer(bare):
        depth += 1 if match.group() in "[{" else -1
        if depth > _MOST_DEPTH:
            raise _too_much(name, f"values more than {_MOST_DEPTH} deep in each other")
    try:
        value = json.loads(text)
        if _SURROGATE.search(text):
            # half of a pair is no text that could be written down again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{name} cannot be read as JSON: {error}.") from error
    return value


def find_inside(root: Path, name: str) -> Path | None:
    """Find what a model's document names in its folder; None where nothing has that name.

    Raises ModelFormatError where it lies outside of the folder.
    """
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            raise ModelFormatError(f"{name!r} lies outside of the model. Log the model again.")
        return path if path.exists() else None
    # ValueError: a zero byte, or letters that no file system has; OSError: too long, or a circle
    except (ValueError, OSError, RuntimeError):
        return None


def is_file(path: Path) -> bool:
    """As Path.is_file, also for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """As Path.is_dir, also for a name that no folder can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


@dataclass(slots=True)
class _Size:
    """Size of a part of a document: its values, and how deep they are in each other."""

    anchor: str | None = None
    values: int = 1
    depth: int = 1


@dataclass(slots=True)
class _Count:
    anchors: dict[str, _Size] = field(default_factory=dict)
    open: list[_Size] = field(default_factory=list)


def check_yaml(text: str, name: str) -> None:
    """Raises ModelFormatError where the values of the text would be too many, or too deep."""
    count = _Count()
    for event in yaml.parse(text, Loader=SAFE_LOADER):
        if isinstance(event, yaml.events.CollectionStartEvent):
            count.open.append(_Size(event.anchor))
            if len(count.open) > _MOST_DEPTH:
                raise _too_much(name, f"values more than {_MOST_DEPTH} deep in each other")
        elif isinstance(event, yaml.events.CollectionEndEvent):
            _add(count, count.open.pop(), name)
        elif isinstance(event, yaml.events.ScalarEvent):
            if len(event.value) > _MOST_DIGITS and _is_converted(event):
                raise _too_much(name, f"a number of more than {_MOST_DIGITS} digits")
            _add(count, _Size(event.anchor), name)
        elif isinstance(event, yaml.events.AliasEvent):
            found = _find_anchor(count, event.anchor, name)
            _add(count, _Size(None, found.values, found.depth), name)


def _find_anchor(count: _Count, anchor: str | None, name: str) -> _Size:
    # one that is not known yet is the parser's to refuse, or names what it stands in
    found = count.anchors.get(anchor or "")
    if found is None or any(part.anchor == anchor for part in count.open):
        raise _too_much(name, f"an alias *{anchor} of what it stands in or before")
    return found


def _add(count: _Count, size: _Size, name: str) -> None:
    if size.anchor is not None:
        count.anchors[size.anchor] = size
    if not count.open:
        return
    parent = count.open[-1]
    parent.values += size.values
    parent.depth = max(parent.depth, size.depth + 1)
    if parent.values > _MOST_YAML_VALUES:
        raise _too_much(name, f"more than {_MOST_YAML_VALUES:,} values, its aliases written out")
    if parent.depth + len(count.open) - 1 > _MOST_DEPTH:
        raise _too_much(name, f"values more than {_MOST_DEPTH} deep in each other")


def _is_converted(event: yaml.events.ScalarEvent) -> bool:
    """Tell whether YAML reads the text as something other than a string."""
    plain = bool(event.implicit[0]) and event.value[:1] in _NUMBER_START
    # a tag of its own, as CloudFormation's `!Sub`, is nobody's number
    tag = event.tag or "!"
    return plain or (tag != _STRING_TAG and not tag.startswith("!"))


def _too_much(name: str, what: str) -> ModelFormatError:
    return ModelFormatError(
        f"{name} holds {what}: that is no description of a model. Log the model again without it."
    )

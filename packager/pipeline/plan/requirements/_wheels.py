"""Wheels that lie in the model's own folder: whether the target's Python and system take them."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from packager.errors import PlanError
from packager.models.model_documents import MOST_TEXT

_PLATFORM: Final = re.compile(r"(?P<machine>x86_64|aarch64)-manylinux_2_(?P<minor>\d+)")
"""As uv names one. Older names of a glibc: PEP 513, PEP 571, PEP 599."""
_UNREADABLE: Final = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""RuntimeError: it has a password, or is packed in a way that zipfile does not know."""
_OLDER: Final = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


def read_requires(path: Path) -> tuple[str, ...]:
    """Read what a wheel's metadata requires, a line each.

    Raises PlanError for a file that is none.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            names = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
            texts = [_read_start(wheel, name).decode("utf-8", "replace") for name in names]
    except _UNREADABLE as error:
        raise PlanError(
            f"{path.name} cannot be read as a wheel: {error}. Build it again with `pip wheel`."
        ) from error
    lines = [
        line
        for text in texts
        for line in HeaderParser().parsestr(text).get_all("Requires-Dist", ())
    ]
    return tuple(" ".join(str(line).split()) for line in lines)


def _read_start(wheel: zipfile.ZipFile, name: str) -> bytes:
    """No more than a description may have: what is packed may be a thousand times as large."""
    with wheel.open(name) as file:
        return file.read(MOST_TEXT)


def unfit(lines: Iterable[str], minor: str, platform: str) -> Iterator[str]:
    """Names of the wheels among requirements that cannot be installed there.

    `minor` is of the target's Python, as `3.13`; `platform` uv's name, as x86_64-manylinux_2_28.
    """
    tags = _tags(minor, platform)
    for line in lines:
        address = (line.partition(" @ ")[2] or line).partition("#")[0]
        name = PurePosixPath(address.strip()).name
        if not name.endswith(".whl"):
            continue
        try:
            _, _, _, own = parse_wheel_filename(name)
        except InvalidWheelFilename:
            yield f"{name} (it is not a wheel's name)"
            continue
        if own.isdisjoint(tags):
            yield name


def _tags(minor: str, platform: str) -> frozenset[Tag]:
    found = _PLATFORM.fullmatch(platform)
    if found is None:
        raise ValueError(f"{platform} is no platform of a target")
    machine = found["machine"]
    names = [
        name
        for number in range(int(found["minor"]), 4, -1)
        for name in (f"manylinux_2_{number}", _OLDER.get(number))
        if name is not None
    ]
    platforms = [f"{name}_{machine}" for name in (*names, "linux")]
    major, _, rest = minor.partition(".")
    version = (int(major), int(rest))
    return frozenset(
        (*cpython_tags(version, platforms=platforms), *compatible_tags(version, None, platforms))
    )

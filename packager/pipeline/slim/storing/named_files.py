"""Requests without an import statement: files by name, modules by words of a model.

Read, never run: a name in a string is taken for one that is asked for.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from packager.models.pickles.pickle_files import BROKEN, is_pickle, open_unpacked, read_names

_MODEL: Final = "model"
_LARGEST: Final = 32 << 20
"""Of a model's file that is looked into: larger ones are weights, or pickles, whose names count."""
_WORD: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{2,}")
_NAME: Final = re.compile(rb"""['"/\\]([\w.+-]*\.\w{1,5})['"]|['"]\*?(\.\w{1,5})['"]""")
"""A file's name at the end of a string, or a suffix: `x/kernel.cu`, `.h`, `*.h`."""
_OWN_PLACE: Final = re.compile(rb"\b(?:__file__|__path__|__spec__|resources|get_data|getfile)\b")


def read_model_words(root: Path) -> frozenset[str]:
    """Identifiers in the model's files: pickled code holds the names that it imports."""
    words: set[bytes] = set()
    folder = root / _MODEL
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file():
            words.update(_WORD.findall(_read_text(path)))
    return frozenset(word.decode() for word in words)


def _read_text(path: Path) -> bytes:
    """Read a file, unpacked; of a large one its names where it is a pickle, and nothing else."""
    try:
        with open_unpacked(path) as file:
            content = file.read(_LARGEST + 1)
    except BROKEN:
        content = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
    if len(content) <= _LARGEST:
        return content + _read_archive(path)
    if not is_pickle(path):
        return b""
    names, _ = read_names(path)
    return " ".join(names.globals | names.words).encode(errors="replace")


def _read_archive(path: Path) -> bytes:
    """An archive as it lies: what is in it besides pickles is often not compressed."""
    if not zipfile.is_zipfile(path) or path.stat().st_size > _LARGEST:
        return b""
    return path.read_bytes()


def find_named_files(
    root: Path,
    code: Iterable[PurePosixPath],
    candidates: Iterable[PurePosixPath],
    *,
    by_suffix: bool = True,
) -> set[PurePosixPath]:
    """Candidates that code may read.

    A module's strings name files anywhere in its own top-level package; a mere suffix counts for
    what lies beside or below a module that asks where it lies itself. The model's code may name
    what any package has.
    """
    by_top: dict[str, list[PurePosixPath]] = {}
    for candidate in candidates:
        by_top.setdefault(candidate.parts[0], []).append(candidate)
    by_top[_MODEL] = [path for paths in by_top.values() for path in paths]
    found: set[PurePosixPath] = set()
    for path in code:
        within = by_top.get(path.parts[0])
        if path.suffix == ".py" and within:
            text = (root / path).read_bytes()
            found |= _match_strings(path, text, within, by_suffix=by_suffix)
    return found


def _match_strings(
    path: PurePosixPath, text: bytes, within: Sequence[PurePosixPath], *, by_suffix: bool
) -> set[PurePosixPath]:
    """Files of `within` that the strings of one source name."""
    names, suffixes = _names(text)
    found = {each for each in within if each.name in names}
    if not by_suffix:
        return found
    if path.parts[0] == _MODEL:
        return found | {each for each in within if each.suffix in suffixes}
    if suffixes and _OWN_PLACE.search(text):
        found.update(_find_below(path.parent, within, suffixes))
    return found


def _find_below(
    folder: PurePosixPath, paths: Iterable[PurePosixPath], suffixes: set[str]
) -> Iterator[PurePosixPath]:
    return (path for path in paths if path.suffix in suffixes and folder in path.parents)


def _names(text: bytes) -> tuple[set[str], set[str]]:
    names, suffixes = set(), set()
    for name, suffix in _NAME.findall(text):
        if name and not name.startswith(b"."):
            names.add(name.decode(errors="replace"))
        elif name or suffix:
            suffixes.add((name or suffix).decode(errors="replace"))
    return names, suffixes

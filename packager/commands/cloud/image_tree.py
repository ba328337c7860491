"""Files of an image as its layers, read from the top down, leave them.

https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Final

from packager.errors import CloudError

_SHOWN: Final = 10
_HIDDEN: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_TOP: Final = PurePosixPath("/")


@dataclass(slots=True)
class _Layer:
    """Paths that one layer has."""

    files: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def add_file(self, path: str, content: str) -> None:
        twice = path in self.files or path in self.folders
        self.files[path] = "twice in one layer" if twice else content

    def add_folder(self, path: str) -> None:
        self.folders.add(path)
        if path in self.files:
            self.files[path] = "twice in one layer"


@dataclass(slots=True)
class ImageTree:
    """Files below `root`, and what the layers above the base have outside of it."""

    root: PurePosixPath
    wanted: Mapping[str, str]
    """sha256 by the path below the root."""
    _found: dict[str, str] = field(default_factory=dict)
    """By the whole path, as everything below."""
    _folders: set[str] = field(default_factory=set)
    _gone: set[str] = field(default_factory=set)
    """Paths that an upper layer removed."""
    _outside: list[str] = field(default_factory=list)

    def add_layer(self, layer: IO[bytes], place: str, *, is_base: bool) -> None:
        """Add the next layer below; what a base has outside of the root is not looked at.

        Raises CloudError for a layer that is no tar, or compressed in another way.
        """
        added = _Layer()
        try:
            with tarfile.open(fileobj=layer, mode="r|*") as entries:
                for entry in entries:
                    self._add_entry(entries, entry, added, is_base=is_base)
        except tarfile.TarError as error:
            raise CloudError(f"{place} cannot be read as a tar or tar.gz: {error}.") from error
        for path, content in added.files.items():
            self._found.setdefault(path, content)
        self._folders |= added.folders
        self._gone |= added.removed

    def is_whole(self) -> bool:
        return all(str(self.root / each) in self._found for each in self.wanted)

    def list_differences(self) -> Iterator[str]:
        wanted = {str(self.root / name): content for name, content in self.wanted.items()}
        yield from _shorten(
            [
                self._word_difference(path, wanted)
                for path in sorted(wanted.keys() | self._found.keys())
                if wanted.get(path) != self._found.get(path)
            ]
        )
        yield from _shorten(sorted(set(self._outside)))

    def _word_difference(self, path: str, wanted: Mapping[str, str]) -> str:
        if path not in self._found:
            return f"{path} is not in the image."
        if path not in wanted:
            return f"{path} is in the image, and not in function/."
        name = PurePosixPath(path).relative_to(self.root)
        return f"{path} differs from function/{name}."

    def _add_entry(
        self, entries: tarfile.TarFile, entry: tarfile.TarInfo, added: _Layer, *, is_base: bool
    ) -> None:
        path = _TOP / posixpath.normpath(f"/{entry.name}").lstrip("/")
        concerned = path
        if path.name == _OPAQUE:
            concerned = path.parent
            added.removed.add(f"{concerned}/")
        elif path.name.startswith(_HIDDEN):
            concerned = path.parent / path.name.removeprefix(_HIDDEN)
            added.removed.add(str(concerned))
        if entry.isdir() and concerned == path:
            added.add_folder(str(path))
            if not (is_base or self._may_be_folder(path)):
                self._outside.append(f"{path} is in a layer above the base, outside {self.root}.")
        elif not path.is_relative_to(self.root):
            self._add_outside(concerned, is_base=is_base, is_removed=concerned != path)
        elif concerned == path and not self._is_hidden(path):
            content = entries.extractfile(entry) if entry.isreg() else None
            added.add_file(
                str(path),
                f"a link or no regular file ({entry.linkname})"
                if content is None
                else hashlib.file_digest(content, "sha256").hexdigest(),  # type: ignore[arg-type]
            )

    def _add_outside(self, path: PurePosixPath, *, is_base: bool, is_removed: bool) -> None:
        if self.root.is_relative_to(path) and not (is_base and is_removed):
            self._outside.append(f"{path}, which {self.root} is below, is removed or is no folder.")
        elif not is_base:
            self._outside.append(
                f"{path} is changed by a layer above the base, outside {self.root}."
            )

    def _may_be_folder(self, path: PurePosixPath) -> bool:
        """Builders write the folders that lead to a file, and mount at some of the top."""
        return (
            path.is_relative_to(self.root) or self.root.is_relative_to(path) or path.parent == _TOP
        )

    def _is_hidden(self, path: PurePosixPath) -> bool:
        """Tell whether a layer above has something else there, or has removed it."""
        if str(path) in self._found or str(path) in self._folders or str(path) in self._gone:
            return True
        return any(
            str(each) in self._gone or str(each) in self._found or f"{each}/" in self._gone
            for each in path.parents
        )


def _shorten(problems: Sequence[str]) -> Iterator[str]:
    yield from problems[:_SHOWN]
    if len(problems) > _SHOWN:
        yield f"and {len(problems) - _SHOWN:,} more files differ."

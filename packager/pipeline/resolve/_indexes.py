"""Indexes that a model's requirements would have asked, and which of it is heeded."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from packager.models import model_documents
from packager.system.redaction import name_host, redact

_LONG: Final = {"-i": "--index-url", "--pypi-url": "--index-url", "-f": "--find-links"}
_VARIABLES: Final = (
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"),
)
# what uv asks where nothing else is set, and pipenv writes down
_DEFAULT: Final = "https://pypi.org/simple"
_KEYS: Final = ("index-url", "extra-index-url", "find-links")
# https://pip.pypa.io/en/stable/topics/configuration/#location
_PIP_FILES: Final = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")


@dataclass(slots=True)
class Indexes:
    """The options of one model's requirements on where packages come from."""

    root: Path
    trusted: bool
    """--trust-model-index: those that only the model names are used too."""
    options: list[str] = field(default_factory=list)
    """That are used, as a requirements file has them."""
    unused: list[str] = field(default_factory=list)
    """That are left out, as they are shown."""
    refused: list[str] = field(default_factory=list)

    def add(self, name: str, value: str | None, base: Path) -> None:
        """One option, with a path in it relative to `base`."""
        name = _LONG.get(name, name)
        if name == "--no-index":
            self.options.append(name)
            return
        if value is None:
            self.refused.append(f"{name} names no address")
            return
        if not re.match(r"https?://", value):
            self._add_folder(name, value, base)
        elif self.trusted or _normalise(value) in read_configured():
            self.options.append(f"{name} {value}")
        else:
            self.unused.append(f"{name} {name_host(value)}")

    def list_heeded(self) -> tuple[str, ...]:
        """The options that are used: --no-index only where nothing beside it is left out."""
        kept = dict.fromkeys(self.options)
        if self.unused:
            kept.pop("--no-index", None)
        return tuple(kept)

    def _add_folder(self, name: str, value: str, base: Path) -> None:
        if name != "--find-links" or ("://" in value and not value.startswith("file://")):
            self.refused.append(
                f"{name} {redact(value)}: an index is named by its http:// or https:// address"
            )
            return
        try:
            written = unquote(urlsplit(value).path) if value.startswith("file://") else value
            folder = (base / Path(written).expanduser()).resolve()
        except (ValueError, RuntimeError, OSError) as error:
            self.refused.append(f"{name} {redact(value)}: it names no folder ({error})")
            return
        root = self.root.resolve()
        if "," in str(folder):
            self.refused.append(f"{name} {value}: a folder whose name has a comma cannot be used")
        elif folder.is_relative_to(root):
            self._add_existing(name, value, folder, folder.relative_to(root).as_posix())
        elif self.trusted or str(folder) in read_configured():
            self._add_existing(name, value, folder, str(folder))
        else:
            self.unused.append(f"{name} {value}")

    def _add_existing(self, name: str, value: str, folder: Path, shown: str) -> None:
        if model_documents.is_folder(folder):
            self.options.append(f"{name} {shown}")
        else:
            self.refused.append(
                f"{name} {value}: there is no such folder; remove the line, or put the wheels there"
            )


def read_configured() -> frozenset[str]:
    """Addresses and folders that this machine's user configured for uv or pip, or uv's default."""
    found = frozenset(_normalise(value) for value in _read_index_addresses())
    default = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    return found if default else found | {_DEFAULT}


def _read_index_addresses() -> Iterator[str]:
    for name in _VARIABLES:
        for each in re.split(r"[\s,]+", os.environ.get(name, "")):
            # a name may stand before an address: corp=https://...
            yield re.sub(r"^[\w.-]+=(?=https?://)", "", each)
    own = os.environ.get("PIP_CONFIG_FILE")
    for file in (*_PIP_FILES, *([own] if own else ())):
        parser = configparser.RawConfigParser()
        try:
            parser.read(Path(file).expanduser(), encoding="utf-8")
        # pip itself says what is wrong with it; RuntimeError: a user without a home has none
        except (configparser.Error, UnicodeDecodeError, RuntimeError):
            continue
        for section in ("global", "install"):
            for key in _KEYS:
                yield from parser.get(section, key, fallback="").split()


def _normalise(address: str) -> str:
    """Without user, password and a slash at the end; a host is written small."""
    bare = redact(address.strip()).rstrip("/")
    scheme, separator, rest = bare.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}" if separator else bare

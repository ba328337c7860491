"""Commands that add to packager's own installation, worded for the tool that installed it."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterable, Mapping
from enum import Enum
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

DISTRIBUTION: Final = "serverless-model-packager"
EXTRAS: Final[Mapping[str, str]] = {
    "aws": "boto3",
    "audit": "pip_audit",
    "azure-keys": "azure.keyvault.keys",
    "demo": "skops",
    "keyless": "sigstore",
    "parquet": "pyarrow",
    "sign": "securesystemslib",
    "terraform": "samtranslator",
}
"""Extras of packager, each with a module that it alone brings."""
_UV_RECEIPT: Final = "uv-receipt.toml"
_PIPX_RECEIPT: Final = "pipx_metadata.json"
_DIRECT_URL: Final = "direct_url.json"
"""https://packaging.python.org/specifications/direct-url-data-structure"""


class Installer(Enum):
    """Ways to install packager, told apart by what each leaves in its environment."""

    UV_TOOL = "uv tool"
    PIPX = "pipx"
    UV_SYNC = "uv sync"
    PIP = "pip"
    UV_PIP = "uv pip"


class _Source(NamedTuple):
    """The place that packager was installed from; empty for an index."""

    url: str = ""
    is_editable: bool = False

    @property
    def folder(self) -> str:
        parts = urlsplit(self.url)
        return unquote(parts.path) if parts.scheme == "file" else ""


def list_extras() -> tuple[str, ...]:
    """List the extras whose packages are installed."""
    return tuple(name for name, module in EXTRAS.items() if _is_installed(module))


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it lies in
        return False


def name_install(*packages: str, extra: str = "") -> str:
    """Name the command that adds an extra of packager, or packages beside it.

    Whichever tool installed packager is asked again, with the extras that are there: `uv tool
    install` and `pipx install` put an environment in the place of the one before.
    """
    extras = sorted({*list_extras(), *([extra] if extra else [])})
    source = _read_source()
    whole = _name_requirement(source, extras)
    editable = ["--editable"] if source.is_editable else []
    match _find_installer(source):
        case Installer.UV_TOOL:
            beside = _read_beside(Path(sys.prefix) / _UV_RECEIPT)
            added = [each for name in (*beside, *packages) for each in ("--with", name)]
            return shlex.join(["uv", "tool", "install", *added, *editable, whole])
        case Installer.PIPX if packages:
            return shlex.join(["pipx", "inject", DISTRIBUTION, *packages])
        case Installer.PIPX:
            return shlex.join(["pipx", "install", "--force", *editable, whole])
        case Installer.UV_SYNC if extra:
            return shlex.join(
                [*_uv(), "sync", "--project", source.folder, "--inexact", "--extra", extra]
            )
        case installer:
            return shlex.join([*_pip(installer), *(packages or [*editable, whole])])


def name_upgrade(package: str) -> str:
    """Name the command that takes the newest release of a package that packager has."""
    installer = _find_installer(_read_source())
    if installer is Installer.UV_TOOL:
        return shlex.join(["uv", "tool", "upgrade", "--upgrade-package", package, DISTRIBUTION])
    if installer is Installer.PIPX:
        return shlex.join(["pipx", "runpip", DISTRIBUTION, "install", "--upgrade", package])
    return shlex.join([*_pip(installer), "--upgrade", package])


def _find_installer(source: _Source) -> Installer:
    prefix = Path(sys.prefix)
    if (prefix / _UV_RECEIPT).is_file():
        return Installer.UV_TOOL
    if (prefix / _PIPX_RECEIPT).is_file():
        return Installer.PIPX
    if source.is_editable and prefix.parent == Path(source.folder):
        return Installer.UV_SYNC
    return Installer.PIP if importlib.util.find_spec("pip") else Installer.UV_PIP


def _pip(installer: Installer) -> list[str]:
    if installer is Installer.PIP:
        return [sys.executable, "-m", "pip", "install"]
    return [*_uv(), "pip", "install", "--python", sys.prefix]


def _uv() -> list[str]:
    """The uv of the search path; without one that which packager brings."""
    return ["uv" if shutil.which("uv") else str(Path(sys.prefix) / "bin" / "uv")]


def _name_requirement(source: _Source, extras: Iterable[str]) -> str:
    listed = ",".join(extras)
    suffix = f"[{listed}]" if listed else ""
    if source.folder:
        return f"{source.folder}{suffix}"
    return f"{DISTRIBUTION}{suffix}" + (f" @ {source.url}" if source.url else "")


def _read_source() -> _Source:
    try:
        text = distribution(DISTRIBUTION).read_text(_DIRECT_URL)
    except PackageNotFoundError:
        return _Source()
    try:
        found = json.loads(text or "{}")
        vcs = found.get("vcs_info", {}).get("vcs", "")
        url = found.get("url", "")
        is_editable = found.get("dir_info", {}).get("editable", False)
    except (ValueError, AttributeError):
        return _Source()
    return _Source(f"{vcs}+{url}" if vcs else str(url), is_editable is True)


def _read_beside(receipt: Path) -> list[str]:
    """Read which packages `uv tool install --with` put beside packager."""
    try:
        listed = tomllib.loads(receipt.read_text("utf-8"))["tool"]["requirements"]
        names = [str(each["name"]) for each in listed]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [name for name in names if canonicalize_name(name) != DISTRIBUTION]

"""An artifact by its report, whose values are checked before anything goes by them."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from packager import targets
from packager.errors import IntegrityError, ModelFormatError, UnknownTargetError
from packager.models.model_documents import parse_json, read_text
from packager.system.atomic_output import MARKER
from packager.types import Json

EVIDENCE: Final = "evidence.json"
SBOM: Final = "sbom.cdx.json"
LOCK: Final = "pylock.toml"
MANIFEST: Final = "model-manifest.json"
WEIGHTS: Final = "weights"
"""Folder of what lies outside of the function."""
REPORT_VERSION: Final = 1
MOST_DOCUMENT: Final = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedArtifact:
    """An artifact by its report, whose values were checked for their types."""

    home: Path
    folder: Path
    """The function, unpacked."""
    tree: Path
    """The part of it that Python imports from."""
    archive: Path | None
    """The zip that is deployed; None where the folder is."""
    sha256: str
    model_digest: str
    emitted: Mapping[str, str]
    documents: dict[str, Mapping[str, Json]] = field(default_factory=dict)

    def read(self, name: str) -> Mapping[str, Json]:
        """A JSON document beside the artifact, read once. Raises ModelFormatError."""
        if name not in self.documents:
            self.documents[name] = read_json(self.home / name)
        return self.documents[name]


def check_built(home: Path) -> None:
    """Raises ModelFormatError for a folder that no build made, or that cannot be read."""
    try:
        built = (home / MARKER).exists()
    except OSError as error:
        raise ModelFormatError(
            f"{home} cannot be read: {error.strerror}. Name the folder that a build made."
        ) from error
    if not built:
        raise ModelFormatError(
            f"{home} is not an artifact: it has no {MARKER}. Name the folder that a build made."
        )


def read_artifact(home: Path) -> DescribedArtifact:
    """Raises IntegrityError for a report that is damaged, or of a newer version."""
    try:
        report = read_json(home / MARKER)
        version = report["schema_version"]
        if not isinstance(version, int) or version > REPORT_VERSION:
            raise IntegrityError(
                f"{home / MARKER} has version {version}; this packager reads version "
                f"{REPORT_VERSION} and older. Verify it with the packager that built it."
            )
        emitted = {str(name): _read_digest(each) for name, each in report["emitted"].items()}
        target = targets.load(str(report["target"]["name"]))
        folder = home / "function"
        return DescribedArtifact(
            home=home,
            folder=folder,
            tree=folder / target.tree.home,
            archive=None if target.deployment.base_image else home / "function.zip",
            sha256=_read_digest(report["sha256"]),
            model_digest=_read_digest(report["model_digest"]),
            emitted=emitted,
        )
    except (ModelFormatError, UnknownTargetError) as error:
        raise IntegrityError(f"{home / MARKER} is damaged: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise IntegrityError(
            f"{home / MARKER} is damaged: it does not have what a build writes ({error!r}). "
            "Build the artifact again."
        ) from error


def read_json(path: Path) -> Mapping[str, Json]:
    """The object in a regular file. Raises ModelFormatError for anything else."""
    value = parse_json(read_own_text(path), path.name)
    if not isinstance(value, dict):
        raise ModelFormatError(
            f"{path.name} does not hold a JSON object. Build the artifact again."
        )
    return value


def read_own_text(path: Path, most_bytes: int = MOST_DOCUMENT) -> str:
    """The text of a regular file, which a pipe or a link is not. Raises ModelFormatError."""
    if not is_regular(path):
        raise ModelFormatError(
            f"{path.name} is missing, or is not a regular file. Build the artifact again."
        )
    return read_text(path, most_bytes)


def _read_digest(value: object) -> str:
    """Raises ValueError for what is no sha256 in hexadecimal digits."""
    text = str(value)
    if len(text) != hashlib.sha256().digest_size * 2 or text.strip("0123456789abcdef"):
        raise ValueError(f"{text[:80]!r} is not a sha256")
    return text


def is_regular(path: Path) -> bool:
    """Tell whether `path` is a file and no link: a pipe would be read for ever."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def find_inside(home: Path, name: str) -> Path | None:
    """Find a regular file by the name in a report; None for one that leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        return None
    path = home.joinpath(*parts)
    if any(
        each.is_symlink() for each in path.parents if each.is_relative_to(home) and each != home
    ):
        return None
    return path if is_regular(path) else None

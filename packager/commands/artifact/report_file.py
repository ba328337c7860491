"""The page of an artifact: the one that its build wrote, or one that is made of its evidence."""

from __future__ import annotations

import contextlib
import logging
import re
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from handlers.observability import sketches
from packager.commands.artifact import read_example
from packager.commands.artifact.description import (
    EVIDENCE,
    DescribedArtifact,
    check_built,
    is_regular,
    read_artifact,
    read_json,
)
from packager.commands.artifact.integrity import (
    list_problems,
    verify_artifact,
    warn_of_changes,
)
from packager.commands.artifact.report_page import PAGE, render_page
from packager.errors import IntegrityError, ModelFormatError, StorageError
from packager.system.atomic_output import MARKER, replace_file
from packager.system.file_tree import sha256
from packager.types import ReportPage

_LOG = logging.getLogger(__name__)
_LONGEST_NAME: Final = 100
_ANEW: Final = "Give --out FILE to make another one of evidence.json, or build the artifact again."


def provide_page(folder: Path, out: Path | None = None) -> ReportPage:
    """Return the page that lies in `folder`, or make it: in `out`, where that is given.

    The artifact is verified first. A page that is made of one that was changed says so at its top.
    Raises ModelFormatError where no build made `folder` or a document is missing, IntegrityError
    where one is damaged or the page was changed, StorageError where it cannot be written.
    """
    home = folder.absolute()
    check_built(home)
    artifact = read_artifact(home)
    own = home / PAGE
    if out is None and PAGE in artifact.emitted:
        _check_file(own, artifact.emitted[PAGE], _ANEW)
        # a page of other evidence than lies beside it would be believed
        _check_file(home / EVIDENCE, artifact.emitted.get(EVIDENCE, ""), "Build it again.")
        warn_of_changes(home)
        return {"folder": str(home), "page": str(own), "made": False, "problems": []}
    # the page itself is made anew, whatever became of the one that lies there
    problems = [each for each in list_problems(verify_artifact(home)) if PAGE not in each]
    text = _render(artifact, problems)
    page = own if out is None else out.absolute()
    write_page(page, text)
    return {"folder": str(home), "page": str(page), "made": True, "problems": problems}


def name_page(folder: Path) -> Path:
    """Name a file in the current folder for the page of an artifact, by its model and version.

    Raises ModelFormatError and IntegrityError as `provide_page` does.
    """
    report = read_artifact(folder).read(MARKER)
    given = f"{report.get('name') or ''}-{report.get('version') or ''}"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", given)[:_LONGEST_NAME].strip(".-")
    return Path(f"{name or 'model'}.{PAGE}")


def open_page(page: Path) -> None:
    """Show it in the user's browser; log where there is none."""
    if not webbrowser.open(page.as_uri()):
        _LOG.warning("No browser was found here. Open %s in one yourself.", page)


def _check_file(path: Path, expected: str, remedy: str) -> None:
    """Raises IntegrityError for a file that is not the one that the build wrote."""
    if not is_regular(path):
        raise IntegrityError(f"{path} is missing, or is not a regular file. {remedy}")
    if sha256(path) != expected:
        raise IntegrityError(f"{path} was changed since it was built. {remedy}")


def _render(artifact: DescribedArtifact, problems: Sequence[str]) -> str:
    table = artifact.tree / sketches.FILENAME
    try:
        evidence, report = artifact.read(EVIDENCE), artifact.read(MARKER)
        drift = read_json(table) if table.exists() else None
        example = read_example(artifact.tree)
        return render_page(evidence, report, drift, example=example, problems=problems)
    except ModelFormatError as error:
        raise IntegrityError(f"{artifact.home} is damaged: {error}") from error
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise IntegrityError(
            f"{EVIDENCE} or {MARKER} in {artifact.home} is damaged: it does not have what a build "
            f"writes ({error!r}). Build the artifact again."
        ) from error


def write_page(path: Path, text: str, *, option: str = "--out") -> None:
    """Write it whole or not at all. Raises StorageError, which names the option of the file."""
    try:
        with contextlib.suppress(FileExistsError):  # a file: what follows says so
            path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}. Name another file with {option}."
        ) from error

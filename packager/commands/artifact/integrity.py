"""Check that an artifact is what a build left: digests, and each file against the others.

A digest shows a change only to those who know the digest: report.json has one of every file beside
it, and nothing here has one of report.json. Keep its sha256 elsewhere, and give it to `--sha256` of
`packager verify`, where somebody may have rewritten all of the files together.
"""

from __future__ import annotations

import contextlib
import logging
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from packager.commands.artifact.added_files import (
    HOOK,
    SIGNED_HOOK,
    check_added,
    note_added,
)
from packager.commands.artifact.attestations.envelopes import ATTESTATIONS
from packager.commands.artifact.bill_of_materials import check_lock, check_sbom
from packager.commands.artifact.description import (
    EVIDENCE,
    LOCK,
    MANIFEST,
    SBOM,
    WEIGHTS,
    DescribedArtifact,
    check_built,
    find_inside,
    is_regular,
    read_artifact,
)
from packager.commands.artifact.tool_settings import (
    SAMCONFIG,
    check_samconfig,
    check_unsigned,
    note_samconfig,
)
from packager.errors import IntegrityError, ModelFormatError
from packager.system.atomic_output import MARKER
from packager.system.file_tree import digest, records, sha256, walk
from packager.types import ArtifactCheck, ArtifactVerification

_LOG = logging.getLogger(__name__)
_REQUIRED: Final = (EVIDENCE, LOCK, MANIFEST, SBOM)
YOURS: Final = frozenset({SAMCONFIG})
"""`sam deploy --guided` writes your answers into it."""
_SHOWN: Final = 20
_CHUNK_BYTES: Final = 1 << 20
_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, lzma.LZMAError),
    *(EOFError, LookupError, NotImplementedError, RuntimeError, ValueError),
)
"""What zipfile raises for a zip that is damaged, locked, or made by another method."""


def verify_artifact(folder: Path, *, report_sha256: str | None = None) -> ArtifactVerification:
    """Check everything that can be checked by the artifact's own files; nothing is changed.

    `report_sha256` is what report.json must have. Raises ModelFormatError where no build made
    `folder`, IntegrityError where its report cannot be read: then nothing is known of the rest.
    """
    home = folder.absolute()
    check_built(home)
    artifact = read_artifact(home)
    checks = [] if report_sha256 is None else [_check_report(home, report_sha256)]
    checks += [_run_check(name, check, artifact) for name, check in _CHECKS.items()]
    return {
        "folder": str(home),
        "sha256": artifact.sha256,
        "report_sha256": sha256(home / MARKER),
        "verified": all(check["passed"] for check in checks),
        "checks": checks,
        "notes": list(_list_notes(artifact)),
    }


def add_check(found: ArtifactVerification, check: ArtifactCheck) -> ArtifactVerification:
    """The same verification with one check more."""
    checks = [*found["checks"], check]
    return {**found, "checks": checks, "verified": all(each["passed"] for each in checks)}


def check_settings(folder: Path) -> ArtifactCheck:
    """Hold the artifact's folder to have no setting of a tool that no signature covers.

    Raises IntegrityError for a report that cannot be read.
    """
    return check_unsigned(read_artifact(folder.absolute()))


def warn_of_changes(folder: Path, *, is_refused: bool = False) -> None:
    """Log that an artifact is not what a build left, or refuse it.

    Raises as `verify_artifact` does, and IntegrityError where a document cannot be read, or where a
    change `is_refused`.
    """
    found = verify_artifact(folder)
    artifact = read_artifact(folder.absolute())
    for name in (EVIDENCE, MANIFEST, SBOM):
        try:
            artifact.read(name)
        except ModelFormatError as error:
            raise IntegrityError(f"{folder} is damaged: {error} Build it again.") from error
    if problems := list_problems(found):
        if is_refused:
            raise IntegrityError.of_problems(found["folder"], problems)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        _LOG.warning(
            "This artifact is not as it was built: %s%s Run `packager verify` on it.",
            problems[0],
            more,
        )


def list_problems(found: ArtifactVerification) -> list[str]:
    return [problem for check in found["checks"] for problem in check["problems"]]


def _run_check(
    name: str, check: Callable[[DescribedArtifact], Iterator[str]], artifact: DescribedArtifact
) -> ArtifactCheck:
    try:
        problems = list(check(artifact))
    except (ModelFormatError, IntegrityError) as error:
        problems = [str(error)]
    except OSError as error:
        problems = [f"{error.filename or artifact.home} cannot be read: {error.strerror}."]
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        problems = [f"It does not have what a build writes ({error!r})."]
    return _make_check(name, problems)


def _make_check(name: str, problems: list[str]) -> ArtifactCheck:
    shown = problems[:_SHOWN]
    if len(problems) > _SHOWN:
        shown.append(f"and {len(problems) - _SHOWN:,} more of this kind")
    return {"name": name, "passed": not problems, "problems": shown}


def _check_report(home: Path, expected: str) -> ArtifactCheck:
    found = sha256(home / MARKER)
    return _make_check(
        "report",
        [] if found == expected.lower() else [f"{MARKER} has sha256 {found}, not {expected!r}."],
    )


def _check_files(artifact: DescribedArtifact) -> Iterator[str]:
    """The files beside the function, by the digests in the report."""
    for name in _REQUIRED:
        if name not in artifact.emitted:
            yield f"{MARKER} has no digest of {name}."
    for name, expected in sorted(artifact.emitted.items()):
        if (path := find_inside(artifact.home, name)) is None:
            yield f"{name!r} is missing, or is not a regular file inside the artifact."
        elif name not in YOURS and (found := sha256(path)) != expected:
            yield f"{name} was changed: it has sha256 {found}, and {expected} when it was built."
    yield from _check_hook(artifact)


def _check_hook(artifact: DescribedArtifact) -> Iterator[str]:
    """The function of a rollout is deployed with all of its folder, and packed for Terraform."""
    hook = artifact.home / HOOK
    if not hook.is_dir():
        return
    if odd := list(_list_odd(hook)):
        yield from (f"{name} is a link, or no regular file." for name in odd)
        return
    for path in walk(hook):
        name = f"{HOOK}/{path.as_posix()}"
        if name not in artifact.emitted and path.name != ATTESTATIONS:
            yield f"{name} would be deployed, and no build wrote it."
    yield from _check_signed_hook(artifact, hook)


def _check_signed_hook(artifact: DescribedArtifact, hook: Path) -> Iterator[str]:
    """Compare what `packager sign` put there: a copy of the statements, and one zip of it all."""
    signed = hook / ATTESTATIONS
    if signed.exists() and not _are_same(signed, artifact.home / ATTESTATIONS):
        yield f"{HOOK}/{ATTESTATIONS} is not the {ATTESTATIONS} beside {MARKER}. Sign again."
    packed = artifact.home / SIGNED_HOOK
    if not packed.exists() and not packed.is_symlink():
        return
    if find_inside(artifact.home, SIGNED_HOOK) is None:
        yield f"{SIGNED_HOOK} is a link, or no regular file."
        return
    try:
        with zipfile.ZipFile(packed) as archive:
            yield from _compare_folder(archive, hook, SIGNED_HOOK)
    except _DAMAGED as error:
        yield f"{SIGNED_HOOK} cannot be read: {error}."


def _are_same(one: Path, other: Path) -> bool:
    return is_regular(other) and one.read_bytes() == other.read_bytes()


def _check_function(artifact: DescribedArtifact) -> Iterator[str]:
    """The zip by its digest, the unpacked folder by the zip; an image's folder by its digest."""
    if odd := list(_list_odd(artifact.folder)):
        yield from (f"{name} is a link, or no regular file." for name in odd)
    elif artifact.archive is None:
        if (found := digest(records(artifact.folder))) != artifact.sha256:
            yield f"function/ was changed: its digest is {found}, and {artifact.sha256} when built."
    elif not is_regular(artifact.archive):
        yield f"{artifact.archive.name} is missing, or is not a regular file."
    else:
        yield from _check_zip(artifact.archive, artifact)


def _list_odd(folder: Path) -> Iterator[str]:
    """Links, pipes and the like: what they lead to may change, and a pipe may never end."""
    if folder.is_symlink() or not folder.is_dir():
        yield folder.name
        return
    for here, folders, files in os.walk(folder):
        for name in sorted(folders):
            if (path := Path(here, name)).is_symlink():
                yield str(path.relative_to(folder.parent))
        for name in sorted(files):
            if not is_regular(path := Path(here, name)):
                yield str(path.relative_to(folder.parent))


def _check_zip(path: Path, artifact: DescribedArtifact) -> Iterator[str]:
    if (found := sha256(path)) != artifact.sha256:
        yield f"{path.name} was changed: it has sha256 {found}, and {artifact.sha256} when built."
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _compare_folder(archive, artifact.folder)
    except _DAMAGED as error:
        yield f"{path.name} cannot be read: {error}."


def _compare_folder(
    archive: zipfile.ZipFile, folder: Path, packed: str = "function.zip"
) -> Iterator[str]:
    """Compare both ways. Of an entry no more is unpacked than the folder's file has."""
    entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    if len(entries) < sum(not entry.is_dir() for entry in archive.infolist()):
        yield f"{packed} has two files of one name."
    unpacked = {name.as_posix() for name in walk(folder)}
    for name in sorted(unpacked - entries.keys()):
        yield f"{folder.name}/{name} is not in {packed}."
    for name in sorted(entries.keys() - unpacked):
        yield f"{name} is in {packed}, and not in {folder.name}/."
    for name in sorted(entries.keys() & unpacked):
        entry, path = entries[name], folder / name
        now = path.stat()
        if entry.file_size != now.st_size or not _has_same_bytes(archive, entry, path):
            yield f"{folder.name}/{name} differs from {packed}."
        elif bool(entry.external_attr >> 16 & 0o100) != bool(now.st_mode & 0o100):
            yield f"{folder.name}/{name} is executable in one, and not in the other of {packed}."


def _has_same_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> bool:
    with archive.open(entry) as packed, path.open("rb") as unpacked:
        while True:
            one, other = packed.read(_CHUNK_BYTES), unpacked.read(_CHUNK_BYTES)
            if one != other:
                return False
            if not one:
                return True


def _check_manifest(artifact: DescribedArtifact) -> Iterator[str]:
    """The function reads its manifest from the tree; the one beside it is what people read."""
    both = artifact.tree / MANIFEST, artifact.home / MANIFEST
    if not all(map(is_regular, both)) or len({path.read_bytes() for path in both}) > 1:
        yield f"{MANIFEST} is not the one in the function."


def _check_evidence(artifact: DescribedArtifact) -> Iterator[str]:
    """The evidence must tell of this function and this model."""
    evidence, report = artifact.read(EVIDENCE), artifact.read(MARKER)
    if (told := evidence["artifact"]["sha256"]) != artifact.sha256:
        yield f"{EVIDENCE} describes another function: {told}."
    if (told := evidence["model"]["digest"]) != artifact.model_digest:
        yield f"{EVIDENCE} describes another model: {told}."
    for name in sorted(evidence.keys() & report.keys() - {"artifact", "model"}):
        if evidence[name] != report[name]:
            yield f"{EVIDENCE} and {MARKER} differ in {name!r}."


def _check_weights(artifact: DescribedArtifact) -> Iterator[str]:
    """The files of weights/, each by the sha256 that the function's manifest has of it."""
    listed = artifact.read(MANIFEST).get("weights") or []
    wanted = {str(each["sha256"]): f"{each['path']}" for each in listed}
    for name, path in sorted(wanted.items()):
        file = find_inside(artifact.home, f"{WEIGHTS}/{name}")
        if file is None:
            yield f"{WEIGHTS}/{name} ({path}) is missing, or is not a regular file."
        elif (found := sha256(file)) != name:
            yield f"{WEIGHTS}/{name} ({path}) was changed: it has sha256 {found}."
    folder = artifact.home / WEIGHTS
    there = {each.name for each in os.scandir(folder)} if folder.is_dir() else set()
    for name in sorted(there - wanted.keys()):
        yield f"{WEIGHTS}/{name} is not in {MANIFEST}."


_CHECKS: Final[Mapping[str, Callable[[DescribedArtifact], Iterator[str]]]] = {
    "files": _check_files,
    "added files": check_added,
    "settings": check_samconfig,
    "function": _check_function,
    "manifest": _check_manifest,
    "weights": _check_weights,
    "evidence": _check_evidence,
    "bill of materials": check_sbom,
    "lock": check_lock,
}


def _list_notes(artifact: DescribedArtifact) -> Iterator[str]:
    if artifact.read(MARKER).get("proven") is not True:
        yield "The artifact is marked unproven: nothing shows that it answers as the model does."
    with contextlib.suppress(ModelFormatError, ValueError, RecursionError):  # told as a problem
        yield from note_samconfig(artifact)
    yield from note_added(artifact)

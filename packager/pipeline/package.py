"""Stage 5: the tree that was verified, as a folder and as one zip that depends on it alone."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from packager.errors import StorageError, VerificationError
from packager.pipeline.layout import entry_files
from packager.system.file_tree import digest, sha256, walk
from packager.system.zip_file import write_zip
from packager.types import (
    Artifact,
    BuildPlan,
    Bundle,
    Check,
    FileRecord,
    Finding,
    Target,
    VerifiedBundle,
)

_LOG = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 20


def package(verified: VerifiedBundle, plan: BuildPlan, out: Path) -> Artifact:
    """Write `out/function/`, and `out/function.zip` where the target takes a zip.

    Weights that lie outside of the function go to `out/weights/`.

    Raises VerificationError where the tree is not the one that was verified, cannot be put into a
    zip, or is over the target's limits; StorageError where the disk is full.
    """
    folder, archive = out / "function", out / "function.zip"
    bundle = verified.bundle
    _stop_unpackable(list(_list_unpackable(bundle.root)))
    _LOG.info("Packing %d files", len(bundle.files))
    try:
        copied = _copy_tree(bundle.root, folder / plan.target.tree.home, folder)
        _stop_unpackable(list(_list_differences(bundle, copied)))
        for name, text in entry_files(plan).items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o644)
        _stop_unpackable(list(_copy_weights(bundle, out / "weights")))
        if plan.target.deployment.base_image is None:
            write_zip(folder, archive, changing={"model"})
    except OSError as error:
        raise StorageError(
            f"The artifact cannot be written to {out}: {error}. Free space there, or name another "
            "folder with --out."
        ) from error
    unzipped = sum(record.size_bytes for record in copied)
    zipped = plan.target.deployment.base_image is None
    artifact = Artifact(
        path=archive if zipped else folder,
        folder=folder,
        sha256=sha256(archive) if zipped else digest(copied),
        size_bytes=archive.stat().st_size if zipped else unzipped,
        unzipped_bytes=unzipped,
    )
    _stop_unpackable(list(_list_over(artifact, plan.target)))
    _LOG.debug("%s: %d bytes, %s", artifact.path.name, artifact.size_bytes, artifact.sha256)
    return artifact


def _make_finding(message: str, hint: str) -> Finding:
    return Finding(check=Check.PACKAGE, message=message, hint=hint)


def _stop_unpackable(findings: list[Finding]) -> None:
    if findings:
        raise VerificationError(findings)


def _list_unpackable(root: Path) -> Iterator[Finding]:
    """Links that leave the tree or lead nowhere, and names that a zip cannot state."""
    real = root.resolve()
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        try:
            name.encode()
        except UnicodeEncodeError:
            yield _make_finding(f"{name!r} is not a name in UTF-8.", "Rename the file.")
        if path.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(real)):
            yield _make_finding(
                f"{name} is a link to a folder, out of the function, or to nothing.",
                "Replace it by the file that it means.",
            )


def _copy_tree(root: Path, home: Path, top: Path) -> list[FileRecord]:
    """Copy file by file with the two modes that a zip of ours has; digests of what was read.

    Folders are made from `top` down.
    """
    made: set[Path] = set()
    records = []
    for relative in walk(root):
        source, target = root / relative, home / relative
        for parent in reversed(target.parents):
            if parent.is_relative_to(top) and parent not in made:
                parent.mkdir()
                parent.chmod(0o755)
                made.add(parent)
        total, size = hashlib.sha256(), 0
        with source.open("rb") as reader, target.open("wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                total.update(chunk)
                size += writer.write(chunk)
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
        records.append(FileRecord(PurePosixPath(relative.as_posix()), total.hexdigest(), size))
    return records


def _copy_weights(bundle: Bundle, folder: Path) -> Iterator[Finding]:
    """Copy them, each called by its sha256; a finding for each that is not what was verified."""
    if bundle.weights_root is None:
        return
    folder.mkdir()
    folder.chmod(0o755)
    for name in sorted({file.sha256 for file in bundle.weights}):
        shutil.copyfile(bundle.weights_root / name, folder / name)
        (folder / name).chmod(0o644)
        if sha256(folder / name) != name:
            paths = [str(file.path) for file in bundle.weights if file.sha256 == name]
            yield _make_finding(
                f"The weights {', '.join(paths)} differ from what was verified.",
                "Something wrote into the build's folder; build again.",
            )


def _list_differences(bundle: Bundle, copied: list[FileRecord]) -> Iterator[Finding]:
    """Compare what ships with what was verified, file by file: they must be the same."""
    verified = {file.path: file.sha256 for file in bundle.files}
    packed = {file.path: file.sha256 for file in copied}
    changed = sorted(
        str(path)
        for path in verified.keys() | packed.keys()
        if verified.get(path) != packed.get(path)
    )
    if changed:
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" * (len(changed) > 5))
        yield _make_finding(
            f"{len(changed)} files differ from what was verified: {shown}.",
            "Something wrote into the build's folder; build again.",
        )


def _list_over(artifact: Artifact, target: Target) -> Iterator[Finding]:
    limits = target.limits
    for what, size, limit in (
        ("The zip", artifact.size_bytes, limits.zipped_bytes),
        ("The unpacked function", artifact.unzipped_bytes, limits.unzipped_bytes),
    ):
        if limit is not None and size > limit:
            yield Finding(
                check=Check.BUDGET,
                message=f"{what} has {size:,} bytes, {size - limit:,} more than {target.name} "
                f"takes ({limit:,}; {limits.source}, {limits.as_of}).",
                hint=f"Build with --target {target.way_out}, which takes more.",
            )

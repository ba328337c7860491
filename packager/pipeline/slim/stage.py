"""The tree before any pass: packages, the model, the handlers that ship, and the manifest."""

from __future__ import annotations

import csv
import functools
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.utils import canonicalize_name

from handlers.manifest import FILENAME, Manifest
from handlers.observability import sketches
from packager.environments import lockfile
from packager.errors import (
    ModelFormatError,
    PlanError,
    StorageError,
    describe_full_disk,
    is_disk_full,
)
from packager.models.pickles.text_files import rewrite_into
from packager.pipeline.slim import imports
from packager.pipeline.slim.passes import check_wanted, each_wanted, read_records
from packager.system import destination_uri, file_tree, resources
from packager.types import BuildPlan, Bundle, FileRecord, Tier, Weights, WheelDocument

MODEL: Final = "model"
EXAMPLE: Final = "serving_input_example.json"

# what MLflow keeps beside a model for those who rebuild its environment; no loader reads it.
# https://mlflow.org/docs/latest/ml/model/#storage-format, as of 3.17
_NOT_SHIPPED: Final = frozenset(
    {
        ".python-version",
        "_databricks",
        "conda.yaml",
        "constraints.txt",
        "environment_variables.txt",
        "input_example.json",
        "original_requirements.txt",
        "pyproject.toml",
        "python_env.yaml",
        "registered_model_meta",
        "requirements.txt",
        EXAMPLE,
        "uv.lock",
        "wheels",
    }
)
_MOST_DOCUMENTS: Final = 200
_MOST_DOCUMENT_BYTES: Final = 4 << 20
"""Of a wheel's own bill of materials; one of 400 crates has 0.4 MB."""
_SHARED: Final = frozenset({"..", "bin", "etc", "share"})
"""Folders that many wheels put something into."""


def stage(plan: BuildPlan, root: Path) -> Bundle:
    """Fill `root`; modes are 0644 and 0755 whatever the wheels and the umask say."""
    root.mkdir(parents=True)
    model = plan.model
    try:
        lockfile.install(
            plan.lock,
            root,
            interpreter=plan.interpreter,
            platform=plan.platform,
            cwd=model.root,
            options=model.requirements.options,
        )
        _refuse_taken(root, plan)
        _copy_model(plan.compiled.folder if plan.compiled else model.root, root / MODEL)
        _rewrite_text(plan, root / MODEL)
        _copy_handlers(plan, root)
        _answer_for(plan, root)
        example = _write_example(plan, root)
        manifest = _manifest(plan, example, path_files=any(root.glob("*.pth")))
        _write_manifest(manifest, plan, root)
    except OSError as error:
        raise _make_unwritable(error) from error
    _set_modes(root)
    files = read_records(root)
    documents = tuple(_read_documents(root))
    return Bundle(root=root, files=files, staged=files, tops=_tops(root), documents=documents)


def describe_answers(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """The tree with what the registered model's answers decide: threads, chance, baseline.

    Raises StorageError where it cannot be written.
    """
    manifest = replace(
        Manifest.read(bundle.root), threads=plan.threads, draws=bool(plan.spread.chance)
    )
    try:
        written = _write_manifest(manifest, plan, bundle.root)
    except OSError as error:
        raise _make_unwritable(error) from error
    files = {file.path: file for file in bundle.files}
    for path in written:
        path.chmod(0o644)
        own = PurePosixPath(path.relative_to(bundle.root))
        files[own] = FileRecord(own, file_tree.sha256(path), path.stat().st_size)
    ordered = sorted(files, key=PurePosixPath.as_posix)
    return replace(bundle, files=tuple(files[path] for path in ordered))


def _write_manifest(manifest: Manifest, plan: BuildPlan, root: Path) -> tuple[Path, ...]:
    """Write it, and what drift is measured from, where there is such a thing; the files."""
    table, own = root / sketches.FILENAME, root / FILENAME
    written: tuple[Path, ...] = (own,)
    if plan.drift is not None:
        table.write_text(plan.drift, encoding="utf-8")
        manifest = replace(manifest, baseline=sketches.FILENAME)
        written = (table, own)
    own.write_text(manifest.text(), encoding="utf-8")
    return written


def _make_unwritable(error: OSError) -> StorageError:
    if is_disk_full(error):
        return StorageError(
            f"{describe_full_disk(error, 'the output folder')}. Free space there, or name a "
            "folder on a larger disk with --out."
        )
    return StorageError(
        f"The function's folder cannot be written: {error}. Free space, or set TMPDIR to a "
        "larger disk."
    )


def _refuse_taken(root: Path, plan: BuildPlan) -> None:
    """Raises PlanError for what an installed package has under one of the artifact's own names."""
    own = (MODEL, "handlers", FILENAME, sketches.FILENAME, *plan.target.tree.reserved)
    there = [name for name in own if (root / name).exists()]
    # a package comes before a module of its name
    there += [path.name for path in root.glob("handlers.*") if path.suffix in {".py", ".so"}]
    if not there:
        return
    name = min(there)
    packages = sorted(package for package, tops in _tops(root).items() if name in tops)
    raise PlanError(
        f"{' and '.join(packages) or 'A package of this model'} installs {name!r} at the top "
        "level, where the artifact has its own. Take it out of the model's requirements, or build "
        "a wheel of it with another name for that."
    )


def _tops(root: Path) -> dict[str, frozenset[str]]:
    """By each wheel's RECORD, which later passes may take out.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    found: dict[str, frozenset[str]] = {}
    for record in sorted(root.glob("*.dist-info/RECORD")):
        name = canonicalize_name(record.parent.name.removesuffix(".dist-info").rpartition("-")[0])
        with record.open(encoding="utf-8", newline="") as file:
            rows = [PurePosixPath(row[0]).parts for row in csv.reader(file) if row]
        found[name] = frozenset(parts[0] for parts in rows if parts and parts[0] not in _SHARED)
    return found


def _read_documents(root: Path) -> Iterator[WheelDocument]:
    """Read what wheels list of their own parts: prune takes it out with the install's records.

    https://peps.python.org/pep-0770/
    """
    paths = [path for path in sorted(root.glob("*.dist-info/sboms/**/*")) if path.is_file()]
    for number, path in enumerate(paths):
        name = PurePosixPath(path.relative_to(root))
        size, unread = path.stat().st_size, ""
        if path.is_symlink():
            unread = "it is a link"
        elif size > _MOST_DOCUMENT_BYTES:
            unread = f"it has {size:,} bytes, and no more than {_MOST_DOCUMENT_BYTES:,} are read"
        elif number >= _MOST_DOCUMENTS:
            unread = f"no more than {_MOST_DOCUMENTS} such files are read"
        yield WheelDocument(name, b"" if unread else path.read_bytes(), unread)


def _copy_model(source: Path, target: Path) -> None:
    top = source.resolve()
    for path in sorted(source.rglob("*")):
        if path.is_symlink() and not path.resolve().is_relative_to(top):
            raise ModelFormatError(
                f"{path.relative_to(source)} is a link that leaves the model's folder. "
                "Log the model again with the file itself."
            )

    def list_ignored(folder: str, names: list[str]) -> list[str]:
        at_top = Path(folder) == source
        return [
            name for name in names if (at_top and name in _NOT_SHIPPED) or name == "__pycache__"
        ]

    shutil.copytree(source, target, ignore=list_ignored, copy_function=_copy_wanted)


def _rewrite_text(plan: BuildPlan, target: Path) -> None:
    """Put the pickles that the plan has without pyarrow in the place of those that were logged.

    Raises ModelFormatError where they are others than when the plan was made.
    """
    names = [each.path.as_posix() for each in plan.rewritten]
    try:
        written = rewrite_into(plan.model.root, names, target)
    except ValueError as error:
        raise ModelFormatError(f"{error}. Build again with --keep-package pyarrow.") from error
    if written != plan.rewritten:
        raise ModelFormatError(
            f"{', '.join(names)} changed while the model was built. Build again, with nothing "
            "that writes into the model's folder."
        )


def _copy_wanted(source: str, target: str) -> None:
    """Copy a file, its dates too, while somebody waits for it. Raises UnwantedError."""
    check_wanted()
    shutil.copy2(source, target)


def _answer_for(plan: BuildPlan, root: Path) -> None:
    """Metadata alone of what the model's code asks the version of, and is not installed."""
    installed = _tops(root).keys()
    for name, version in plan.answered:
        if name not in installed:
            info = root / f"{name.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            (info / "METADATA").write_text(text, encoding="utf-8")


def _copy_handlers(plan: BuildPlan, root: Path) -> None:
    source = resources.handlers_root()
    entry = plan.target.program.entrypoint.rpartition(".")[0].replace(".", "/") + ".py"
    wanted = {
        source / "__init__.py",
        source / "scoring" / "predictor.py",
        source / "importer" / "child_start" / "sitecustomize.py",
        source.parent / entry,
        source / "loaders" / "__init__.py",
        source / "loaders" / f"{plan.loader.loader}.py",
    }
    modules = source / plan.target.events.source_modules
    wanted.update(modules / f"{name}.py" for name in plan.request.events.sources)
    output = destination_uri.of(plan)
    if output is not None and plan.target.events.failures is not None:
        kinds = {plan.target.events.failures, output.kind}
        folder = source / "events" / "destinations"
        wanted.update(folder / f"{kind}.py" for kind in kinds)
    for glob in (*plan.target.program.handlers, *_list_weight_handlers(plan)):
        wanted.update(source.glob(glob))
    for path in each_wanted(find_imported(source, wanted)):
        target = root / "handlers" / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    if plan.tier is Tier.STUB:
        shutil.copytree(
            source / "loaders" / "stub",
            root / "handlers" / "loaders" / "stub",
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )


def _list_weight_handlers(plan: BuildPlan) -> tuple[str, ...]:
    """Globs of what has the weights at a start, where they may lie outside."""
    support = plan.target.weights
    if support is None or plan.request.target.weights is Weights.PACKAGE:
        return ()
    return support.handlers


def find_imported(source: Path, entries: set[Path]) -> tuple[Path, ...]:
    """The files of the package at `source` that `entries` import, directly or not, and these."""
    base = source.parent
    every = {PurePosixPath(path.relative_to(base).as_posix()) for path in source.rglob("*.py")}
    todo = {PurePosixPath(path.relative_to(base).as_posix()) for path in entries}
    found: set[PurePosixPath] = set()
    while todo:
        check_wanted()
        path = todo.pop()
        found.add(path)
        told = (base / path).stat()
        modules = _read_imported(base, path, (told.st_mtime_ns, told.st_size))
        todo |= set().union(*(imports.files(each, every) for each in modules)) - found
    return tuple(base / path for path in sorted(found))


@functools.lru_cache(maxsize=1024)
def _read_imported(
    base: Path, path: PurePosixPath, _version: tuple[int, int]
) -> frozenset[PurePosixPath]:
    """Read what a file of ours imports: its text stays the same from build to build."""
    return frozenset(imports.modules(base / path, path))


def _write_example(plan: BuildPlan, root: Path) -> str | None:
    example = plan.model.example
    if example is None or not example.content_type.startswith("application/json"):
        return None
    (root / MODEL / EXAMPLE).write_bytes(example.body)
    return f"{MODEL}/{EXAMPLE}"


def _manifest(plan: BuildPlan, example: str | None, *, path_files: bool) -> Manifest:
    model, limits = plan.model, plan.target.limits
    return Manifest(
        model_name=model.name,
        model_version=model.version,
        aliases=sorted(model.aliases),
        run_id=model.run_id,
        model_id=model.model_id,
        mlflow_version=model.mlflow_version,
        digest=model.digest,
        flavor=plan.flavor,
        engine=plan.engine.value,
        tier=plan.tier.value,
        frame=plan.frame.value,
        loader=plan.loader.loader,
        model_path=MODEL,
        options=dict(plan.loader.options),
        signature=None if model.signature is None else dict(model.signature),
        signature_from_type_hints=model.signature_from_type_hints,
        example=example,
        threads=plan.threads,
        path_files=path_files,
        events=list(plan.request.events.sources),
        output=None if (output := destination_uri.of(plan)) is None else output.kind,
        opentelemetry=plan.request.http.opentelemetry,
        created=model.created,
        python=plan.runtime.python_minor,
        request_bytes=limits.request_bytes,
        response_bytes=limits.response_bytes,
    )


def _set_modes(root: Path) -> None:
    for folder, _, names in each_wanted(os.walk(root)):
        Path(folder).chmod(0o755)
        for path in (Path(folder, name) for name in names):
            mode = path.stat().st_mode
            wanted = 0o755 if mode & 0o100 else 0o644
            if stat.S_IMODE(mode) != wanted:
                path.chmod(wanted)

"""Types of a skops file, which the loader in the artifact trusts and no others.

Asked before anything is taken out of the tree: the audit imports all of scikit-learn.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from handlers.manifest import FILENAME, Manifest
from packager.environments import virtual_environments
from packager.errors import ModelFormatError, StorageError, UntrustedTypesError
from packager.models import registered_model
from packager.models.flavors import _look
from packager.pipeline.slim.stage import MODEL
from packager.system import cache, file_tree
from packager.system.resources import WORKERS
from packager.targets.lambda_emulator import why_not_bootable
from packager.types import BuildPlan, Bundle, FileRecord, Json

_WORKER: Final = WORKERS / "skops_types.py"
_SECONDS: Final = 300
_UNTRUSTED: Final = 3
_KIND: Final = "types"
_NUMBER: Final = re.compile(r"-?(\d+(\.\d*)?([eE][+-]?\d+)?|Infinity)|NaN")


def list_trusted_types(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """The tree whose manifest lists every type of its skops file; as it is, where it has none.

    Raises UntrustedTypesError, which names those that neither skops nor the model trusts, and
    ModelFormatError for a file that cannot be read.
    """
    if not _is_skops(plan):
        return bundle
    manifest = Manifest.read(bundle.root)

    def ask() -> bytes:
        return json.dumps(_ask(plan, bundle.root, manifest.options)).encode()

    key = _make_key(bundle, plan, manifest.options)
    return _write_types(bundle, manifest, cache.remember(_KIND, key, ask))


def recall_trusted_types(bundle: Bundle, plan: BuildPlan) -> Bundle | None:
    """Return what `list_trusted_types` does, with no model loaded; None where one would be.

    Raises ModelFormatError for a schema that cannot be read.
    """
    if not _is_skops(plan):
        return bundle
    manifest = Manifest.read(bundle.root)
    kept = cache.recall(_KIND, _make_key(bundle, plan, manifest.options))
    return None if kept is None else _write_types(bundle, manifest, kept)


def measure_unpacked(bundle: Bundle, plan: BuildPlan) -> int:
    """Return the bytes of what is in the skops file, as its directory says: an audit reads it all.

    Raises ModelFormatError for a file that is none.
    """
    path = bundle.root / MODEL / plan.loader.options["file"]
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(each.file_size for each in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelFormatError(
            f"{path.name} is not a skops file: {error}. Log the model again."
        ) from error


def _is_skops(plan: BuildPlan) -> bool:
    return bool(plan.loader.options.get("format") == "skops")


def _write_types(bundle: Bundle, manifest: Manifest, types: bytes) -> Bundle:
    """The tree whose manifest lists these types, as JSON. Raises StorageError."""
    trusted = json.loads(types)
    text = replace(manifest, options={**manifest.options, "trusted": trusted}).text()
    path = bundle.root / FILENAME
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The function's folder cannot be written: {error}. Free space, or set TMPDIR to a "
            "larger disk."
        ) from error
    own = PurePosixPath(FILENAME)
    written = FileRecord(own, file_tree.sha256(path), path.stat().st_size)
    return replace(
        bundle, files=tuple(written if file.path == own else file for file in bundle.files)
    )


def _make_key(bundle: Bundle, plan: BuildPlan, options: Mapping[str, Json]) -> str:
    """Return a key of what the types hang on: the schema's form, the packages, what is trusted."""
    schema = _look.read_schema(bundle.root / MODEL / options["file"])
    try:
        form = json.dumps(_read_form(schema, {}), sort_keys=True)
    except RecursionError as error:
        raise ModelFormatError(
            f"The schema of the skops file {options['file']} is nested too deeply to be read."
        ) from error
    own = [file.sha256 for file in bundle.files if file.path.suffix == ".py"]
    setting = [
        *(file_tree.sha256(_WORKER), plan.interpreter.version, plan.platform, plan.lock.text, own),
        sorted(options.get("trusted") or []),
    ]
    return cache.make_key(setting, form.encode())


def _read_form(found: object, ids: dict[object, int]) -> object:
    """Return a schema without what another fit of the same estimators changes.

    Those are numbers, the ids of objects, which are counted instead, and the names of the files
    that arrays are in. Text stays: NumPy's generators are named by it.
    """
    if isinstance(found, list):
        return [_read_form(each, ids) for each in found]
    if not isinstance(found, dict):
        return found
    form: dict[str, Json] = {}
    for name, value in found.items():
        if name == "__id__" and isinstance(value, int):
            form[name] = ids.setdefault(value, len(ids))
        elif name == "file" and isinstance(value, str):
            form[name] = PurePosixPath(value).suffix
        elif name == "content" and isinstance(value, str) and _NUMBER.fullmatch(value):
            form[name] = 0
        else:
            form[name] = _read_form(value, ids)
    return form


def _ask(plan: BuildPlan, root: Path, options: Mapping[str, Json]) -> list[str]:
    """Every type in the file, asked of the target's interpreter with the bundle's packages."""
    python, path = plan.interpreter.path, str(root)
    if why_not_bootable(plan.request.target.architecture) is not None:
        # the bundle is another machine's: the same versions, built for this one
        names = ("skops", "scikit-learn", "numpy", "scipy", "lightgbm", "xgboost")
        pins = [f"{p.name}=={p.version}" for p in plan.lock.packages if p.name in names]
        python, path = virtual_environments.ensure(plan.interpreter, pins, label="skops"), ""
    done = registered_model.run(
        [
            *(python, "-s", "-B", _WORKER, root / MODEL / options["file"]),
            json.dumps(sorted(options.get("trusted") or [])),
        ],
        readable=(root, _WORKER),
        network=False,
        more={"PYTHONPATH": path, "LD_LIBRARY_PATH": f"{path}/lib"} if path else {},
        timeout_seconds=_SECONDS,
        check=False,
    )
    if done.returncode == _UNTRUSTED:
        raise UntrustedTypesError(done.stderr.strip().splitlines()[-1].rpartition(": ")[2])
    if done.returncode != 0:
        raise ModelFormatError(
            f"The skops file {options['file']} cannot be read.\n{done.stderr.strip()[-2000:]}"
        )
    return list(json.loads(done.stdout))

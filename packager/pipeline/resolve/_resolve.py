from __future__ import annotations

import logging
import shutil
from itertools import islice
from pathlib import Path

from packager.errors import ModelFormatError
from packager.models import model_uri
from packager.models.registry import Fetched, ModelRegistry
from packager.pipeline.resolve import _clean, _environment, _example, _mlmodel
from packager.system import file_tree
from packager.types import BuildRequest, FileRecord, ResolvedModel, SavedExample

_LOG = logging.getLogger(__name__)

# written by MLflow beside the files that it downloads: no part of the model
_DOWNLOAD_MARK = "registered_model_meta"
# packed environments of one hosted runtime: of no use elsewhere, and large
_PACKED = "_databricks"


def resolve(request: BuildRequest, registry: ModelRegistry, work: Path) -> ResolvedModel:
    """Fetch the model into `work`, read it, and take the author's own paths out of it.

    Raises what ModelRegistry.fetch raises, ModelFormatError where the folder is not a model that
    MLflow could serve, ConfigurationError where --example cannot be a request.
    """
    fetched = registry.fetch(request.model.uri, work)
    root = fetched.folder
    files = _source(root, request.model.uri)
    mlmodel = _mlmodel.read(root)
    notes = [*fetched.notes, *mlmodel.notes]
    if (root / _PACKED).exists():
        shutil.rmtree(root / _PACKED)
        notes.append(f"The folder {_PACKED}/ (an environment packed for another host) stays out.")
    mlmodel = _clean.clean(root, mlmodel)
    environment = _environment.read(
        root, mlmodel.pyfunc, trust_index=request.model.trust_model_index
    )
    notes += environment.notes
    if unused := environment.requirements.unused_indexes:
        _LOG.warning(
            "Left out: %s. Only the model names it; --trust-model-index uses it.", ", ".join(unused)
        )
    example = None
    if request.proof.example is not None:
        example = _example.read_given(request.proof.example)
    else:
        example, why = _example.read_saved(root, mlmodel)
        notes += why
    baseline, baseline_source = _baseline(request, fetched, example, work)
    model = ResolvedModel(
        uri=request.model.uri,
        name=fetched.name,
        version=fetched.version,
        aliases=fetched.aliases,
        run_id=fetched.run_id or mlmodel.text("run_id"),
        model_id=fetched.model_id or mlmodel.text("model_id"),
        mlflow_version=mlmodel.text("mlflow_version"),
        python_version=environment.python_version,
        flavors=mlmodel.flavors,
        signature=mlmodel.signature,
        signature_from_type_hints=mlmodel.values.get("is_signature_from_type_hint") is True,
        example=example,
        created=mlmodel.text("utc_time_created"),
        baseline=baseline,
        baseline_source=baseline_source,
        training=fetched.record,
        requirements=environment.requirements,
        root=root,
        files=files,
        digest=file_tree.digest(files),
        notes=tuple(notes),
    )
    for note in model.notes:
        _LOG.debug("%s", note)
    return model


def _baseline(
    request: BuildRequest, fetched: Fetched, example: SavedExample | None, work: Path
) -> tuple[Path | None, str]:
    """The table that drift is measured from, and where it is from."""
    if request.events.baseline is not None:
        return request.events.baseline, f"the file {request.events.baseline.name}"
    if fetched.training is not None:
        return fetched.training, "the training set that was logged with the model"
    if example is None or b'"dataframe_split"' not in example.body[:100]:
        return None, ""
    path = work / "example-as-baseline.json"
    path.write_bytes(example.body)
    return path, "the saved example"


def _source(root: Path, uri: str) -> tuple[FileRecord, ...]:
    """The files as they were registered. Raises ModelFormatError for a link out of the folder."""
    model_uri.check_model(root, uri)
    names = (path.as_posix() for path in file_tree.walk(root))
    model_uri.check_names(list(islice(names, model_uri.MOST_FILES + 1)), uri)
    (root / _DOWNLOAD_MARK).unlink(missing_ok=True)
    base = root.resolve()
    stray = sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        # a link to itself leads nowhere, and resolves to an error
        if path.is_symlink() and not (path.exists() and path.resolve().is_relative_to(base))
    )
    if stray:
        raise ModelFormatError(
            f"{uri} holds links that lead out of it: {', '.join(stray)}.\n"
            "Replace them by the files that they stand for."
        )
    return tuple(file_tree.records(root))

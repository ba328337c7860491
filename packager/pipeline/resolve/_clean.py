"""Take what belongs to the author's machine out of our copy, so that it cannot ship."""

from __future__ import annotations

import copy
import re
from pathlib import Path, PurePosixPath
from typing import Final

import yaml

from packager.errors import ModelFormatError
from packager.models import model_documents
from packager.pipeline.resolve import _mlmodel
from packager.pipeline.resolve._mlmodel import MlModel
from packager.types import Json

_ABSOLUTE: Final = re.compile(r"/|~|[A-Za-z]:[\\/]|\\\\|[a-z][a-z0-9+.-]*:/")


def clean(root: Path, mlmodel: MlModel) -> MlModel:
    """The same model without absolute paths; MLmodel is written anew only where it had any.

    `mlflow.pyfunc.load_model` reads of `model_code_path` the last part alone, of an artifact its
    `path` alone, and of `artifact_path` nothing; a `source_model_name` that is a folder of the
    author's says where the weights came from, which lie in the model. The user's own `config` is
    left as it is: the model may mean what is in it.
    """
    _forget_conda_prefix(root)
    values: dict[str, Json] = copy.deepcopy(dict(mlmodel.values))
    if is_absolute(values.get("artifact_path")):
        values["artifact_path"] = "model"
    for config in values["flavors"].values():
        _clean_flavor(root, config)
    if values == mlmodel.values:
        return mlmodel
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=False, allow_unicode=True)
    (root / _mlmodel.FILENAME).write_text(text, encoding="utf-8")
    return _mlmodel.parse(values)


def is_absolute(value: object) -> bool:
    """Tell whether it is a path or an address that is of one machine or one account."""
    return isinstance(value, str) and _ABSOLUTE.match(value) is not None


def _clean_flavor(root: Path, config: dict[str, Json]) -> None:
    for key in ("config", "model_code_path", "source_model_name"):
        if is_absolute(config.get(key)):
            config[key] = _last(config[key])
    artifacts = config.get("artifacts")
    for name, artifact in artifacts.items() if isinstance(artifacts, dict) else ():
        if not isinstance(artifact, dict) or not isinstance(artifact.get("path"), str):
            continue
        if model_documents.find_inside(root, artifact["path"]) is None:
            raise ModelFormatError(
                f"Artifact {name!r} is missing: {artifact['path']} is not in the model's folder. "
                "The upload may have been cut short: log the model again."
            )
        if "uri" in artifact:
            artifact["uri"] = artifact["path"]


def _last(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name


def _forget_conda_prefix(root: Path) -> None:
    """`conda env export` writes where the environment lay."""
    path = root / "conda.yaml"
    if path.is_file():
        text = model_documents.read_text(path)
        kept = re.sub(r"^prefix:.*\n?", "", text, flags=re.MULTILINE)
        if kept != text:
            path.write_text(kept, encoding="utf-8")

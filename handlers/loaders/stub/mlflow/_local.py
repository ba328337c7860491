"""Models beside a model: folders among its artifacts that it loads by itself."""

from __future__ import annotations

from pathlib import Path

from mlflow.exceptions import MlflowException


def flavor(model_uri: str, name: str) -> tuple[Path, dict[str, object]]:
    """(folder, the flavor's part of MLmodel). Raises MlflowException for anything but a folder."""
    text = str(model_uri)
    folder = Path(text[len("file://") :] if text.startswith("file://") else text)
    if not (folder / "MLmodel").is_file():
        msg = "the stand-in for mlflow loads models from folders alone"
        raise MlflowException(msg)
    import yaml

    with (folder / "MLmodel").open(encoding="utf-8") as file:
        flavors = yaml.safe_load(file)["flavors"]
    if name not in flavors:
        msg = f"the model has no {name} flavor"
        raise MlflowException(msg)
    return folder, flavors[name]

"""Versions that a model's other files have of what its requirements name without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from packager.pipeline.plan.requirements import _conda
from packager.types import ResolvedModel

_LIBRARIES: Final[Mapping[str, str]] = {
    "lgb_version": "lightgbm",
    "pytorch_version": "torch",
    "sklearn_version": "scikit-learn",
    "xgb_version": "xgboost",
}
"""Keys of MLmodel's flavors -> distributions, where these are not the key's own first word."""
_SUFFIX: Final = "_version"
_OTHERS: Final = frozenset({"python_version", "loader_version", "model_version"})


def read_versions(model: ResolvedModel, conda: Mapping[str, str]) -> Mapping[str, str]:
    """Distribution -> the one version that a flavor of MLmodel, or else conda.yaml, has of it.

    A flavor has the version that was imported when the model was logged.
    `conda` has the distributions of conda's packages by their names.
    """
    return {**dict(_read_conda(model, conda)), **dict(_read_flavors(model))}


def _read_flavors(model: ResolvedModel) -> Iterator[tuple[str, str]]:
    for configuration in model.flavors.values():
        for key, value in configuration.items():
            if not key.endswith(_SUFFIX) or key in _OTHERS or not isinstance(value, str):
                continue
            name = _LIBRARIES.get(key, key.removesuffix(_SUFFIX))
            if _is_version(value):
                yield canonicalize_name(name), value
    if model.mlflow_version and _is_version(model.mlflow_version):
        yield "mlflow", model.mlflow_version


def _read_conda(model: ResolvedModel, conda: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for text in model.requirements.conda:
        package = _conda.parse_package(text)
        if package is None or not (name := conda.get(package.name.lower(), package.name)):
            continue
        versions = [*SpecifierSet(package.specifier)]
        if [each.operator for each in versions] == ["=="] and _is_version(versions[0].version):
            yield canonicalize_name(name), versions[0].version


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True

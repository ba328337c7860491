"""python_function alone: a PythonModel (pickled or as code), or a loader module of the author's.

Keys of the flavor: mlflow/pyfunc/model.py and mlflow/pyfunc/__init__.py of MLflow 3.17.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from packager.errors import ModelFormatError
from packager.models.flavors import _look, _spec, _stub
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

PYTHON_MODEL: Final = "mlflow.pyfunc.model"
CODE_MODEL: Final = "mlflow.pyfunc.loaders.code_model"
_NAMED: Final = 5
COMPRESSIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {"lzma": lzma.open, "bzip2": bz2.open, "gzip": gzip.open}
)


def owns(loader_module: str) -> bool:
    """PythonModels of every kind, and loader modules that are not part of MLflow."""
    return loader_module.startswith("mlflow.pyfunc.") or not loader_module.startswith("mlflow")


def narrow_flavor(model: ResolvedModel) -> Flavor:
    """The flavor with the tiers that can apply: a PythonModel never loads without the name."""
    module = str(model.pyfunc["loader_module"])
    tiers: tuple[Tier, ...]
    if module not in {PYTHON_MODEL, CODE_MODEL} and module.startswith("mlflow."):
        tiers = (Tier.SKINNY,)
    elif _by_example(model):
        # the request is turned back into the example's form by code that only MLflow has
        tiers = (Tier.SKINNY,)
    elif find_missing(model):
        # the stand-in would answer otherwise, or only where the probes do not come
        tiers = (Tier.SKINNY,)
    elif module.startswith("mlflow.") or any(map(_stub.imports_mlflow, _sources(model))):
        tiers = (Tier.STUB, Tier.SKINNY)
    else:
        tiers = (Tier.NATIVE, Tier.STUB, Tier.SKINNY)
    return replace(FLAVOR, tiers=tiers)


def _by_example(model: ResolvedModel) -> bool:
    """Tell whether the type hint is mlflow's TypeFromExample."""
    text = (model.root / "MLmodel").read_text(encoding="utf-8", errors="replace")
    return re.search(r"^type_hint_from_example: true", text, re.MULTILINE) is not None


def find_missing(model: ResolvedModel) -> tuple[str, ...]:
    """Find what the code may ask of mlflow that the stand-in has not: dotted names, sorted.

    The script or the pickle is looked through, and what these import of the code beside them.
    """
    conf = model.pyfunc
    missing: set[str] = set()
    start: set[str] = {str(conf.get("loader_module") or "")}
    if script := conf.get("model_code_path"):
        path = model.root / _name(script)
        missing.update(_stub.find_missing(path))
        start |= _stub.imported_modules(path)
    elif conf.get("loader_module") == PYTHON_MODEL and conf.get("python_model"):
        path = model.root / _look.need_file(model, conf["python_model"], "python_model")
        opener = COMPRESSIONS.get(str(conf.get("python_model_compression")), open)
        try:
            with opener(path, "rb") as file:
                found, words = _stub.find_missing_in_pickle(file)
        except (OSError, ValueError, EOFError, IndexError, UnicodeDecodeError, lzma.LZMAError):
            found, words = (), frozenset()  # loading it says what is wrong with it
        missing.update(found)
        start |= words
    folders = [model.root / folder for folder in _look.code_folders(model, {})]
    for path in _stub.reachable_files(folders, start):
        missing.update(_stub.find_missing(path))
    return tuple(sorted(missing))


def _name(path: object) -> str:
    """The last part of an author's path, of whatever system it was."""
    return PurePosixPath(str(path).replace("\\", "/")).name


def _sources(model: ResolvedModel) -> Iterator[Path]:
    for folder in _look.code_folders(model, {}):
        yield from sorted((model.root / folder).rglob("*.py"))


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    conf = model.pyfunc
    options: dict[str, Any] = {
        "code": _look.code_folders(model, {}),
        "config": conf.get("config") or None,
        "artifacts": _artifacts(model),
        "predict_fn": str(conf.get("predict_fn") or "predict"),
        "stub": tier is Tier.STUB,
    }
    unpickled: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    if conf.get("loader_module") not in {PYTHON_MODEL, CODE_MODEL}:
        options["loader_module"] = str(conf.get("loader_module"))
        options["data"] = _look.need_file(model, conf["data"], "data") if conf.get("data") else None
    elif conf.get("model_code_path"):
        name = _name(conf["model_code_path"])
        options["model_code"] = _look.need_file(model, name, "model_code_path")
    else:
        options["python_model"] = file = _look.need_file(
            model, conf.get("python_model"), "python_model"
        )
        options["compression"] = _compression(conf)
        unpickled, requires = (file,), ("cloudpickle",)
    if tier is Tier.STUB and any(model.root.glob("artifacts/**/MLmodel")):
        # the stand-in's mlflow.sklearn.load_model and its like read that file
        requires = (*requires, "pyyaml")
    if tier is Tier.SKINNY:
        spec = _spec.skinny(model, unpickled=unpickled, requires=requires)
        return replace(spec, notes=(*spec.notes, *_about_missing(model)))
    return LoaderSpec(
        loader="pyfunc",
        options=options,
        unpickled=unpickled,
        frames=frames(model),
        requires=_spec.add_pandas(frame, *requires),
    )


def _about_missing(model: ResolvedModel) -> tuple[str, ...]:
    if not (missing := find_missing(model)):
        return ()
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    named = ", ".join(missing[:_NAMED])
    return (f"The model's code may ask MLflow for more than the stand-in has: {named}{more}.",)


def _compression(conf: Mapping[str, Any]) -> str | None:
    name = conf.get("python_model_compression")
    if name is not None and name not in COMPRESSIONS:
        raise ModelFormatError(
            f"MLmodel's python_model_compression is {name!r}; known are "
            f"{', '.join(COMPRESSIONS)}. Log the model again with one of these."
        )
    return name


def _artifacts(model: ResolvedModel) -> dict[str, str]:
    named = model.pyfunc.get("artifacts") or {}
    return {
        str(name): _look.need_file(model, entry.get("path"), f"artifact {name!r}")
        for name, entry in named.items()
    }


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    """A user's class gets a DataFrame for columns, as MLflow gives it.

    It gets arrays for tensors, and plain JSON where its type hints make the signature.
    """
    without = _look.is_tensor(model) or model.signature_from_type_hints
    return (Frame.NUMPY, Frame.PANDAS) if without else (Frame.PANDAS,)


FLAVOR: Final = Flavor(name="python_function", read=read, frames=frames)

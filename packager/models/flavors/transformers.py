"""Transformers: pipelines over texts natively, the other tasks through MLflow.

Keys of the flavor: mlflow/transformers/flavor_config.py of MLflow 3.17 (`task`, `model_binary`,
`pipeline_model_type`, `components`, `tokenizer_type`, `torch_dtype`, `inference_task`,
`peft_adaptor`, `source_model_revision`, `local_base_model_path`); `config` of python_function.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from packager.errors import ModelFormatError, PlanError
from packager.models import model_documents
from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

TASKS: Final = (
    "feature-extraction",
    "fill-mask",
    "text-classification",
    "text-generation",
    "token-classification",
    "zero-shot-classification",
)
"""What handlers/loaders/transformers.py reads and writes as MLflow does."""
_ELSEWHERE: Final = ("inference_task", "peft_adaptor", "processor_type")


def narrow_flavor(model: ResolvedModel) -> Flavor:
    """The flavor, with the tiers that can apply to this model.

    Raises PlanError for a model that is no more than an address of weights elsewhere.
    """
    conf = model.flavors["transformers"]
    if conf.get("source_model_revision") or conf.get("local_base_model_path"):
        raise PlanError(
            "The model holds no weights, only where they were "
            f"({conf.get('source_model_name') or conf.get('local_base_model_path')}): a function "
            "would fetch them at each cold start. Log it with save_pretrained=True, or call "
            "mlflow.transformers.persist_pretrained_model on the registered model."
        )
    return FLAVOR if _is_plain(model) else replace(FLAVOR, tiers=(Tier.SKINNY,))


def _is_plain(model: ResolvedModel) -> bool:
    """Tell whether it is a pipeline over columns of text, with nothing but a tokenizer."""
    conf = model.flavors["transformers"]
    inputs = (model.signature or {}).get("inputs") or []
    return (
        conf.get("task") in TASKS
        and conf.get("components") == ["tokenizer"]
        and conf.get("framework", "pt") == "pt"
        and not any(conf.get(key) for key in _ELSEWHERE)
        and not (model.root / "components" / "inference_config.txt").exists()
        and bool(inputs)
        and all(spec.get("type") == "string" for spec in inputs)
    )


def _options(model: ResolvedModel) -> dict[str, Any]:
    conf = model.flavors["transformers"]
    for key in ("task", "pipeline_model_type", "tokenizer_type"):
        if not isinstance(conf.get(key), str):
            raise ModelFormatError(
                f"MLmodel's {key} is {conf.get(key)!r}, not a name. Log the model again."
            )
    return {
        "task": conf["task"],
        "model": _look.need_file(model, conf.get("model_binary"), "model_binary"),
        "model_class": conf["pipeline_model_type"],
        "tokenizer": _look.need_file(model, "components/tokenizer", "components"),
        "tokenizer_class": conf["tokenizer_type"],
        "dtype": conf.get("torch_dtype"),
        "config": model.pyfunc.get("config") or {},
        "prompt_template": _template(model),
        "code": _look.code_folders(model, conf),
    }


def _template(model: ResolvedModel) -> str | None:
    metadata = model_documents.read_yaml(model.root / "MLmodel").get("metadata")
    return metadata.get("prompt_template") if isinstance(metadata, dict) else None


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    if tier is Tier.SKINNY:
        conf = model.flavors["transformers"]
        note = f"The task {conf.get('task')} is served by MLflow itself, in its small edition."
        return _spec.skinny(
            model, requires=("transformers",), notes=() if _is_plain(model) else (note,)
        )
    return LoaderSpec(
        loader="transformers",
        options=_options(model),
        requires=_spec.add_pandas(frame, "transformers", "torch", "numpy"),
        drops=("cloudpickle",),
    )


FLAVOR: Final = Flavor(name="transformers", read=read, tiers=(Tier.NATIVE, Tier.SKINNY))

"""Parts that the flavors' readers share: the last tier, and what a frame brings along."""

from __future__ import annotations

from packager.types import Frame, LoaderSpec, ResolvedModel


def skinny(
    model: ResolvedModel,
    *,
    unpickled: tuple[str, ...] = (),
    requires: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> LoaderSpec:
    """mlflow.pyfunc itself loads the model, so nothing that the model lists can be left out."""
    predict_fn = model.pyfunc.get("predict_fn")
    return LoaderSpec(
        loader="mlflow",
        options={"predict_fn": predict_fn} if predict_fn else {},
        unpickled=unpickled,
        frames=(Frame.PANDAS,),
        requires=("mlflow-skinny", "numpy", "pandas", *requires),
        notes=notes,
    )


def add_pandas(frame: Frame, *requires: str) -> tuple[str, ...]:
    """Add to the requirements pandas, where the model is handed a DataFrame."""
    return (*requires, "pandas") if frame is Frame.PANDAS else requires


def drop_pandas(frame: Frame, *drops: str) -> tuple[str, ...]:
    """Add to what can be left out pandas, where nothing makes a DataFrame."""
    return (*drops, "pandas") if frame is Frame.NUMPY else drops

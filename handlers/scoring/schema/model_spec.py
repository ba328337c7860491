"""Facts of a model for the scoring code, worked out once from its manifest."""

from __future__ import annotations

from handlers.manifest import Manifest
from handlers.scoring.schema.quirks import Quirks, quirks
from handlers.scoring.schema.signature import DataType, ParamSpec, Schema, read_params, read_schema
from handlers.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    inputs: Schema | None
    params: tuple[ParamSpec, ...] | None
    pandas: bool
    """Tables are handed over as DataFrames."""
    untyped: bool
    """The signature came from type hints: the model checks its own input."""
    parquet: bool
    keeps_unknown: bool
    """Columns that the signature does not name are read too, for messages that quote them."""
    quirks: Quirks

    @classmethod
    def read(cls, manifest: Manifest, *, fixed: bool = False, keeps_unknown: bool = False) -> Model:
        """Raises KeyError or TypeError for a signature that is none of MLflow's."""
        signature = manifest.signature or {}
        pandas = manifest.frame == "pandas"
        return cls(
            inputs=read_schema(signature.get("inputs")),
            params=read_params(signature.get("params")),
            pandas=pandas,
            untyped=manifest.signature_from_type_hints,
            parquet=pandas and _is_installed("pyarrow"),
            keeps_unknown=keeps_unknown,
            quirks=quirks(
                manifest.mlflow_version, _pandas_version() if pandas else None, fixed=fixed
            ),
        )

    def csv_dtypes(self) -> dict[Any, Any]:
        """For `pandas.read_csv`. Raises ValueError for a signature that CSV cannot serve."""
        schema = self.inputs or Schema()
        schema.check_scalars()
        return {
            i if spec.name is None else spec.name: spec.type.dtype
            for i, spec in enumerate(schema.columns)
            if isinstance(spec.type, DataType)
        }


def _is_installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _pandas_version() -> str:
    import pandas as pd

    return str(pd.__version__)

"""PyTorch modules: exported (pt2), or pickled.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.pytorch._PyTorchWrapper): one tensor in,
single precision where it came as columns, and one tensor out. Without pandas the columns of an
answer come as records, which read the same.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from handlers.loaders import _inputs, _serialized
from handlers.manifest import Manifest

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    Call = Callable[[torch.Tensor], torch.Tensor]
    Change = Callable[[Call], Call]

_OWN_PICKLE = "mlflow.pytorch.pickle_module"


class _Predictor:
    def __init__(self, module: torch.nn.Module, device: str, *, columns: bool) -> None:
        self._module = self._call = module
        self._device = device
        self._columns = columns

    def find_device(self) -> str:
        """Tell where the weights are; where the input is sent, for a module without any."""
        weights = next(iter((*self._module.parameters(), *self._module.buffers())), None)
        return str(self._device if weights is None else weights.device)

    def with_weights(self, change: Callable[[torch.nn.Module], torch.nn.Module]) -> _Predictor:
        """A predictor over the module that `change` gives; this one stays as it is."""
        return _Predictor(change(self._module), self._device, columns=self._columns)

    def with_call(self, change: Change) -> _Predictor:
        """One that asks what `change` gives for the module's call, from a tensor to a tensor."""
        made = _Predictor(self._module, self._device, columns=self._columns)
        made._call = change(self._call)
        return made

    def predict(self, data: Any, params: dict[str, object] | None) -> object:
        import torch

        if params and "device" in params:
            msg = "the device is chosen when the model is loaded, not by a request"
            raise ValueError(msg)
        pandas: Any = sys.modules.get("pandas")
        framed = pandas is not None and isinstance(data, pandas.DataFrame)
        if self._columns:
            # in the order of a DataFrame, which decides the kernel that multiplies
            table = _inputs.stack_columns(data, np.float32)
        elif framed:
            table = data.to_numpy(dtype=np.float32)
        elif isinstance(data, np.ndarray):
            table = data
        else:
            msg = f"the model takes columns or one array, not {type(data).__name__}"
            raise TypeError(msg)
        with torch.inference_mode():
            answer = self._call(torch.from_numpy(table).to(self._device), **(params or {}))
            answer = answer.to("cpu")
        if not isinstance(answer, torch.Tensor):
            msg = f"the model answers with {type(answer).__name__}, not with one tensor"
            raise TypeError(msg)
        if self._columns:
            return _records(answer.numpy())
        return pandas.DataFrame(answer.numpy(), index=data.index) if framed else answer.numpy()


def _records(answer: npt.NDArray[np.generic]) -> list[dict[int, object]]:
    """One dict a row, its keys the positions. Raises ValueError beyond two axes, as a DataFrame."""
    if answer.ndim not in {1, 2}:
        msg = f"Must pass 2-d input. shape={answer.shape}"
        raise ValueError(msg)
    table = answer.reshape(len(answer), -1).tolist()
    return [dict(enumerate(row)) for row in table]


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises what torch raises for a file that it cannot read; a pickle runs the code it names."""
    import torch

    options = manifest.options
    path = _serialized.model_folder(manifest, folder) / options["file"]
    device = options.get("device") or os.environ.get("MLFLOW_DEFAULT_PREDICTION_DEVICE")
    device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    if options["format"] == "pt2":
        # weights of an exported module stay on the device that they were exported from
        exported = torch.export.load(path)
        if str(device).startswith("cuda"):
            from torch.export.passes import move_to_device_pass

            exported = move_to_device_pass(exported, device)
        module = exported.module()
    else:
        module = torch.load(
            path, weights_only=False, pickle_module=_pickle_module(options["pickle_module"])
        )
        module.eval()
        module.to(device=device)
    return _Predictor(module, device, columns=_inputs.gets_columns(manifest))


def _pickle_module(name: str) -> ModuleType:
    """Return what torch.load unpickles with; MLflow's is the standard library's to read."""
    return pickle if name == _OWN_PICKLE else importlib.import_module(name)

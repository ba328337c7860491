"""What pickled classes and the code beside a model ask of mlflow, without running any of it."""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from packager.models.flavors import _stub
from packager.models.flavors.python_function import find_missing
from tests import models
from tests.handlers.modelling import resolved

_CLASS = """
import mlflow
import mlflow as aliased
from mlflow.pyfunc import PythonModel
from mlflow.models import infer_signature, ModelSignature
from mlflow.types import Schema, ColSpec

class Mine(PythonModel):
    def predict(self, context, model_input, params=None):
        {body}
"""

pytestmark = pytest.mark.filterwarnings("ignore")
"""MLflow warns while it is imported."""

PLAIN = (
    "return model_input",
    "return model_input.assign(to_dict=1).to_dict('list')",
    "return mlflow.__version__",
    "raise mlflow.MlflowException('no')",
    "return mlflow.pyfunc.PythonModel",
    "import mlflow.models; return mlflow.models.set_model",
)
MORE = {
    "return infer_signature(model_input)": "infer_signature",
    "return mlflow.models.infer_signature(model_input)": "infer_signature",
    "return mlflow.get_tracking_uri()": "get_tracking_uri",
    "return aliased.active_run()": "active_run",
    "from mlflow.models import get_model_info; return get_model_info('x')": "get_model_info",
    "from mlflow import log_metric; log_metric('a', 1)": "log_metric",
    "import mlflow.tracking; return 1": "mlflow.tracking",
    "return [mlflow.get_run('x') for _ in model_input]": "get_run",
    "return (lambda: mlflow.search_runs())()": "search_runs",
    "return str(Schema([ColSpec('long', 'a')]))": "mlflow.types.schema.Schema",
    "return getattr(mlflow, model_input)": "mlflow.?",
    "return vars(mlflow)[model_input]": "mlflow.?",
    "return getattr(mlflow, 'get_run')('x')": "get_run",
    "m = mlflow; return m.get_run('x')": "get_run",
    "import sys; return sys.modules['mlflow'].get_run('x')": "get_run",
    "import importlib; return importlib.import_module('mlflow.' + 'x')": "mlflow.x",
    "import importlib; return importlib.import_module('mlflow.' + model_input)": "mlflow.",
    "exec('import mlflow.tracking')": "mlflow.?",
    "return ModelSignature()": "mlflow.models.signature.ModelSignature",
}


def pickled(body: str, **attributes: Any) -> bytes:
    module = types.ModuleType("__main__")
    exec(_CLASS.format(body=body), vars(module))  # noqa: S102 - the test's own text
    model = module.Mine()
    vars(model).update(attributes)
    return bytes(cloudpickle.dumps(model))


def missing(content: bytes) -> str:
    return " ".join(_stub.find_missing_in_pickle(io.BytesIO(content))[0])


@pytest.mark.parametrize("body", PLAIN)
def test_a_class_that_asks_for_little_gets_the_stand_in(body: str) -> None:
    assert missing(pickled(body)) == ""


@pytest.mark.parametrize("body", MORE)
def test_a_class_that_asks_for_more_does_not(body: str) -> None:
    assert MORE[body] in missing(pickled(body))


def test_what_a_model_holds_of_mlflow_counts_too() -> None:
    from mlflow.models import infer_signature

    assert "Schema" in missing(pickled("return 1", signature=infer_signature([1])))


def test_a_function_s_own_signature_is_only_carried() -> None:
    from mlflow.models import infer_signature
    from mlflow.pyfunc.model import _FunctionPythonModel

    model = _FunctionPythonModel(lambda model_input: model_input, infer_signature(["a"]))
    assert missing(cloudpickle.dumps(model)) == ""


def test_nothing_in_the_pickle_is_run() -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
            return (sys.exit, ("it ran",))

    assert missing(cloudpickle.dumps(Evil())) == ""


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", b"\x80\x05X\xff\xff\xff\xff", b"\x80\x05\x93."]
)
def test_what_is_no_pickle_raises_or_names_nothing(content: bytes) -> None:
    try:
        assert missing(content) == ""
    except (ValueError, IndexError, UnicodeDecodeError):
        return


def test_code_beside_the_model_counts_where_it_is_imported(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("from . import serve\n")
    (package / "serve.py").write_text("from .deep import x\n")
    (package / "deep.py").write_text("def x():\n    import mlflow.tracking\n")
    (package / "train.py").write_text("import mlflow\nmlflow.log_metric('a', 1)\n")
    (tmp_path / "other.py").write_text("import mlflow.genai\n")
    files = _stub.reachable_files([tmp_path], {"mine.serve", "json"})
    assert [path.name for path in files] == ["__init__.py", "deep.py", "serve.py"]
    (name,) = (name for path in files for name in _stub.find_missing(path))
    assert name == "mlflow.tracking"


CODE = {
    "import mlflow\nmlflow.models.set_model(1)": "",
    "import mlflow\nx = mlflow.__version__": "",
    "import mlflow.pyfunc as p\nclass M(p.PythonModel): ...": "",
    "from mlflow.pyfunc.utils import pyfunc\n@pyfunc\ndef predict(x): ...": "",
    "from mlflow import pyfunc\ndef f(pyfunc): return pyfunc": "",
    "import logging\nlogging.getLogger('mlflow').setLevel(0)": "",
    "import mlflow\nx = getattr(mlflow, '__version__')": "",
    "import importlib\nimportlib.import_module('numpy')": "",
    "import sys\nsys.modules['numpy']": "",
    "exec('x = 1')": "",
    "import mlflow as m\nm.get_tracking_uri()": "mlflow.get_tracking_uri",
    "import mlflow\nm = mlflow\nm.get_tracking_uri()": "mlflow.?",
    "import mlflow\ndef f(m=mlflow): m.set_tag('a', 1)": "mlflow.?",
    "import mlflow\nclass A:\n    def __init__(self): self.m = mlflow": "mlflow.?",
    "import mlflow\nvars(mlflow)['get_run']('x')": "mlflow.?",
    "import mlflow\nmlflow.__dict__['get_run']": "mlflow.__dict__",
    "from mlflow import pyfunc\nf = [pyfunc]": "mlflow.pyfunc.?",
    "import mlflow\ngetattr(mlflow, name)": "mlflow.?",
    "import mlflow\nif hasattr(mlflow, 'get_tracking_uri'): ...": "mlflow.get_tracking_uri",
    "import importlib\nimportlib.import_module('mlflow').get_run('x')": "mlflow.?",
    "from importlib import import_module as im\nim('mlflow.tracking')": "mlflow.tracking.?",
    "import importlib\nimportlib.import_module(f'mlflow.{x}')": "mlflow.?",
    "__import__('mlflow.' + x)": "mlflow.?",
    "import importlib.util\nimportlib.util.find_spec('mlflow.tracking')": "mlflow.tracking",
    "import sys\nsys.modules['mlflow'].get_run('x')": "mlflow.?",
    "import sys\nsys.modules.get('mlflow').get_run('x')": "mlflow.?",
    "exec('import mlflow.tracking')": "mlflow.?",
    "from mlflow import *": "mlflow.*",
    "if TYPE_CHECKING:\n    import mlflow.tracking": "",
}


@pytest.mark.parametrize("code", CODE)
def test_code_is_searched_for_every_way_to_ask(code: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(code, encoding="utf-8")
    assert " ".join(_stub.find_missing(tmp_path / "model.py")) == CODE[code]


@pytest.mark.parametrize("name", ["pyfunc_pickle", "pyfunc_code", "pyfunc_loader"])
def test_models_that_the_stand_in_serves_ask_for_nothing_more(name: str) -> None:
    assert find_missing(resolved(models.folder(name))) == ()


@pytest.mark.parametrize("file", sorted(_stub._ROOT.rglob("*.py")), ids=str)
def test_what_the_stand_in_exports_is_mlflow_s(file: Path) -> None:
    import importlib

    module = ".".join(file.relative_to(_stub._ROOT).with_suffix("").parts)
    module = module.removesuffix(".__init__")
    names = _stub._read_exports(file)
    if names:
        theirs = importlib.import_module(module)
        assert [name for name in names if not hasattr(theirs, name)] == []

"""Distributions that a model's own files name come along; a module that is nowhere is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import pickle
import platform
import types
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import cloudpickle
import pytest

from packager.errors import PlanError
from packager.facts.modules import module_names
from packager.models.model_imports import read_model_imports
from packager.pipeline.plan import _modules
from packager.pipeline.plan._modules import Named
from packager.types import FileRecord, LoaderSpec, Requirements, ResolvedModel
from tests import fake_plan, wheels

DECLARED = {
    "anyio": "4.9.0",
    "azure-storage-blob": "12.1",
    "jinja2": "3.1.6",
    "matplotlib": "3.11.2",
    "mlflow": "3.17.2",
    "numpy": "2.4.6",
    "openpyxl": "3.1",
    "pandas": "3.1.1",
    "pyarrow": "26.0.1",
    "python-dateutil": "2.9",
    "pyyaml": "6.0.3",
    "requests": "2.32",
    "scikit-image": "0.26",
    "some-image-tools": "1.0",
    "sqlalchemy": "2.0",
}


def _model(root: Path, files: dict[str, bytes | str], **conf: Any) -> ResolvedModel:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return replace(
        fake_plan.model(),
        root=root,
        flavors={"python_function": {"loader_module": "serve", "code": "code", **conf}},
        requirements=Requirements(lines=("mlflow==3.17.2", "numpy==2.4.6")),
        files=tuple(FileRecord(PurePosixPath(name), "0" * 64, 1) for name in files),
        mlflow_version="3.17.2",
    )


def _name(model: ResolvedModel, *unpickled: str) -> Named:
    loader = LoaderSpec(loader="pyfunc", options={}, unpickled=unpickled)
    imports = read_model_imports(model, [loader])
    return _modules.name_distributions(
        model, imports, DECLARED, module_names(), shipped={"cloudpickle"}
    )


def _names_of_code(root: Path, text: str) -> set[str]:
    return {*_name(_model(root, {"code/serve.py": text})).distributions}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import anyio", {"anyio"}),
        ("import yaml as y", {"pyyaml"}),
        ("from dateutil import parser", {"python-dateutil"}),
        ("def late():\n    import requests.adapters", {"requests"}),
        ("class A:\n    async def late(self):\n        import sqlalchemy", {"sqlalchemy"}),
        ("f = lambda: __import__('jinja2')", {"jinja2"}),
        ("import importlib\nimportlib.import_module('anyio.abc')", {"anyio"}),
        (
            "from importlib import import_module\nNAME = 'requests'\nimport_module(NAME)",
            {"requests"},
        ),
        ("try:\n    import yaml\nexcept ImportError:\n    yaml = None", {"pyyaml"}),
        (
            "from contextlib import suppress\nwith suppress(ImportError):\n    import yaml",
            {"pyyaml"},
        ),
        ("from azure.storage.blob import BlobClient", {"azure-storage-blob"}),
        ("from azure.storage import blob", {"azure-storage-blob"}),
        ("import azure", set()),
        ("from skimage import filters", {"scikit-image"}),
        ("import pandas as pd\npd.read_parquet('x')", {"pandas", "pyarrow"}),
        ("def f(frame):\n    return frame.to_excel('x')", {"openpyxl"}),
        ("def f(frame):\n    return frame.style.render()", {"jinja2"}),
        ("def f(frame):\n    return frame.astype('string[pyarrow]')", {"pyarrow"}),
        ("def f(pd):\n    pd.read_csv('x', engine='pyarrow')", {"pyarrow"}),
        ("from importlib.metadata import version\nversion('PyYAML')", {"pyyaml"}),
        ("if __name__ == '__main__':\n    import matplotlib", set()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import matplotlib", set()),
        ("import json, os.path, mlflow", set()),
        ("'import anyio'", set()),
        ("import anyio.(", set()),
    ],
)
def test_what_the_code_asks_for_is_named(tmp_path: Path, text: str, names: set[str]) -> None:
    assert _names_of_code(tmp_path, text) == names


def test_only_code_that_serving_reaches_counts(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "code/serve.py": "from churn import steps",
        "code/churn/__init__.py": "",
        "code/churn/steps.py": "from .deep import more\nimport anyio",
        "code/churn/deep/__init__.py": "",
        "code/churn/deep/more.py": "from ..deep.last import x",
        "code/churn/deep/last.py": "import yaml",
        "code/train.py": "import matplotlib, nowhere_at_all",
    }
    found = _name(_model(tmp_path, files))
    assert found.distributions == {
        "anyio": "code/churn/steps.py:2 imports anyio",
        "pyyaml": "code/churn/deep/last.py:1 imports yaml",
    }


def _by_value(source: str) -> bytes:
    module = types.ModuleType("__main__")
    exec(source, module.__dict__)  # noqa: S102 - the sources are in this file
    return bytes(cloudpickle.dumps(module.__dict__["served"]))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def served(x):\n    import anyio\n    return anyio.run(x)", {"anyio"}),
        ("import yaml\ndef served(x):\n    return yaml.safe_load(x)", {"pyyaml"}),
        ("def served(x):\n    return __import__('requests')", {"requests"}),
        ("def served(x):\n    return x.to_parquet('y')", {"pyarrow"}),
        ("def served(x):\n    return x.astype('string[pyarrow]')", {"pyarrow"}),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["", "gz", "bz2"])
def test_what_pickled_code_asks_for_is_named(
    tmp_path: Path, source: str, names: set[str], pack: Any
) -> None:
    model = _model(tmp_path, {"python_model.pkl": pack(_by_value(source))}, loader_module="mlflow")
    assert {*_name(model, "python_model.pkl").distributions} == names


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_what_a_pickle_restores_is_named_without_loading_it(tmp_path: Path, protocol: int) -> None:
    content = _global("pyarrow.lib", "table", protocol)
    model = _model(tmp_path, {"data/lookup.pkl": content}, loader_module="mlflow.sklearn")
    assert "pyarrow" in _name(model).distributions


def _global(module: str, name: str, protocol: int) -> bytes:
    if protocol < 4:
        return b"\x80\x02c%s\n%s\n." % (module.encode(), name.encode())
    out = io.BytesIO()
    out.write(b"\x80%c" % protocol)
    for text in (module, name):
        out.write(b"\x8c%c%s" % (len(text), text.encode()))
    out.write(b"\x93.")
    return out.getvalue()


@pytest.mark.parametrize("name", ["mlflow", "mlflow-skinny"])
def test_mlflow_s_own_version_is_answered_for(tmp_path: Path, name: str) -> None:
    text = f"import importlib.metadata as m\ndef late():\n    return m.version({name!r})"
    assert _name(_model(tmp_path, {"code/serve.py": text})).versions == {name: "3.17.2"}
    content = _by_value(f"def served():\n    from importlib.metadata import version\n"
                        f"    return version({name!r})")  # fmt: skip
    model = _model(tmp_path / "p", {"m.pkl": content}, loader_module="mlflow.pyfunc.model")
    assert _name(model, "m.pkl").versions == {name: "3.17.2"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("\nimport churn", "code/serve.py:2 imports churn"),
        ("import numpy\nfrom churn.steps import a", "code/serve.py:2 imports churn.steps"),
        ("from src import churn", "code/serve.py:1 imports src"),
        ("class A:\n    import churn", "code/serve.py:2 imports churn"),
        ("from other import x", "code/other.py:1 imports churn"),
    ],
)
def test_a_module_that_is_nowhere_is_refused(tmp_path: Path, text: str, where: str) -> None:
    model = _model(tmp_path, {"code/serve.py": text, "code/other.py": "import churn\nx = 1"})
    with pytest.raises(PlanError, match=rf"{where}\n(?s:.*)code_paths=") as caught:
        _name(model)
    assert "extra_pip_requirements" in str(caught.value)


def test_a_pickled_class_of_a_module_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    content = _global("churn.features", "Scaler", 4)
    model = _model(tmp_path, {"model.pkl": content}, loader_module="mlflow.sklearn")
    with pytest.raises(PlanError, match=r"model\.pkl names churn\.features\n"):
        _name(model, "model.pkl")
    assert _name(model).distributions == {}, "nobody loads that file"


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import churn\nexcept ModuleNotFoundError:\n    pass",
        "try:\n    import churn\nexcept Exception:\n    pass",
        "try:\n    import numpy\nexcept ImportError:\n    import churn",
        "def late():\n    import churn",
        "import sys\nif sys.version_info < (3, 9):\n    import churn",
        "from contextlib import suppress\nwith suppress(ImportError):\n    import churn",
    ],
)
def test_what_may_be_missing_is_noted(tmp_path: Path, text: str) -> None:
    found = _name(_model(tmp_path, {"code/serve.py": text}))
    assert [note for note in found.notes if "imports churn" in note]


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"code/project/beside.py": ""}, "code/project"),
        ({"code/project/src/beside/__init__.py": ""}, "code/project/src"),
        ({"code/project/beside/deep/x.py": "", "code/project/x.py": ""}, "code/project"),
    ],
)
def test_code_that_lies_too_deep_for_mlflow_is_refused(
    tmp_path: Path, files: dict[str, bytes | str], where: str
) -> None:
    model = _model(tmp_path, {"code/serve.py": "import beside", **files})
    with pytest.raises(PlanError, match=rf"imports beside, which is in {where}\n") as caught:
        _name(model)
    assert "code_paths=['path/to/beside']" in str(caught.value)
    _name(replace(model, mlflow_version="2.9.2"))


def test_a_pickle_s_class_that_lies_too_deep_is_refused(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "model.pkl": _global("beside.steps", "Scaler", 4),
        "code/project/beside/steps.py": "",
    }
    model = _model(tmp_path, files, loader_module="mlflow.sklearn")
    with pytest.raises(
        PlanError, match=r"model\.pkl names beside\.steps, which is in code/project"
    ):
        _name(model, "model.pkl")


PATH: Final = "import sys\nsys.path.insert(0, 'code/vendor')\n"


@pytest.mark.parametrize(
    "files",
    [
        {"code/serve.py": "import beside", "beside.py": ""},
        {"code/serve.py": f"{PATH}import beside", "code/vendor/beside/__init__.py": ""},
        {"code/serve.py": "import vendor.beside", "code/vendor/beside/__init__.py": ""},
        {
            "code/serve.py": "import beside",
            "code/vendor/beside/__init__.py": "",
            "code/hook.so": "",
        },
        {"code/serve.py": "import beside", "code/beside.cpython-312-x86_64-linux-gnu.so": ""},
        {"code/serve.py": "import some_imaging"},
        {"code/serve.py": "import distutils, asyncore"},
        {"code/serve.py": "import winreg, __main__"},
    ],
)
def test_what_may_be_there_is_not_refused(tmp_path: Path, files: dict[str, bytes | str]) -> None:
    _name(_model(tmp_path, files))


def test_pickles_of_old_pythons_name_modules_by_old_names(tmp_path: Path) -> None:
    content = _global("copy_reg", "_reconstructor", 2)
    model = _model(tmp_path, {"model.pkl": content}, loader_module="mlflow.sklearn")
    assert _name(model, "model.pkl").distributions == {}


def test_nothing_is_refused_where_the_author_s_environment_is_not_known(tmp_path: Path) -> None:
    model = _model(tmp_path, {"code/serve.py": "import churn"})
    imports = read_model_imports(model, [LoaderSpec(loader="pyfunc", options={})])
    _modules.name_distributions(model, imports, {}, module_names())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("import importlib\ndef f(x):\n    importlib.import_module(x)", "code/serve.py:3"),
        ("__import__(NAME)", "code/serve.py:1"),
        ("from importlib.metadata import entry_points\nentry_points()", "code/serve.py:2"),
        ("import importlib.metadata as m\nm.entry_points().select(name='x')", "code/serve.py:2"),
        ("import importlib.metadata as m\nm.entry_points()[x]", "code/serve.py:2"),
        ("from importlib.metadata import entry_points\nentry_points(group=x)", "code/serve.py:2"),
        ("import pkgutil, numpy\nlist(pkgutil.walk_packages(numpy.__path__))", "code/serve.py:2"),
        ("import importlib\nimportlib.import_module('numpy')", ""),
    ],
)  # fmt: skip
def test_code_that_finds_modules_when_it_runs_is_known(
    tmp_path: Path, text: str, where: str
) -> None:
    assert _name(_model(tmp_path, {"code/serve.py": text})).open_at == where


@pytest.mark.parametrize(
    "text",
    [
        "from importlib.metadata import entry_points\nentry_points(group='own.kinds')",
        "from importlib import metadata\nmetadata.entry_points(group='own.kinds', name='a')",
        "def f(x):\n    from importlib.metadata import entry_points as p; p(group='own.kinds')",
        "from importlib.metadata import entry_points\nentry_points().select(group='own.kinds')",
        "from importlib.metadata import entry_points\nentry_points().get('own.kinds', [])",
        "from importlib.metadata import entry_points\nentry_points()['own.kinds'][0].load()",
        "def f(pkg_resources):\n    list(pkg_resources.iter_entry_points('own.kinds'))",
    ],
)
def test_a_group_of_entry_points_that_is_named_leaves_nothing_open(
    tmp_path: Path, text: str
) -> None:
    named = _name(_model(tmp_path, {"code/serve.py": text}))
    assert (named.groups, named.open_at) == ({"own.kinds": "code/serve.py:2"}, "")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("surprise", "scikit-surprise"),
        ("iterstrat.ml_stratifiers", "iterative-stratification"),
        ("some_imaging", "some-image-tools"),
        ("tools", "some-image-tools"),
    ],
)
def test_a_distribution_that_may_have_a_module_comes_along(
    tmp_path: Path, module: str, name: str
) -> None:
    model = _model(tmp_path, {"code/serve.py": f"import {module}, anyio"})
    imports = read_model_imports(model, [LoaderSpec(loader="pyfunc", options={})])
    declared = {**DECLARED, "scikit-surprise": "1.1", "iterative-stratification": "0.1"}
    named = _modules.name_distributions(model, imports, declared, module_names())
    assert {*named.distributions} == {"anyio", name}


@pytest.mark.parametrize("module", ["models.scores", "features", "utils", "src.churn.data"])
def test_what_authors_call_their_own_code_is_of_no_distribution_that_is_alike(
    tmp_path: Path, module: str
) -> None:
    model = _model(tmp_path, {"code/serve.py": f"import {module}"})
    imports = read_model_imports(model, [LoaderSpec(loader="pyfunc", options={})])
    declared = {**DECLARED, "statsmodels": "0.15", "feature-engine": "1.9", "utilsforecast": "1.0"}
    with pytest.raises(PlanError, match=rf"code_paths=\['path/to/{module.partition('.')[0]}'\]"):
        _modules.name_distributions(model, imports, declared, module_names())


@pytest.mark.parametrize(
    "text",
    [
        "import_module(f'own.plugins.{kind}')",
        "import_module('own.plugins.' + kind)",
        "import_module('own.plugins.' + kind + '.main')",
        "import_module('own.plugins.%s' % kind)",
        "import_module('own.plugins.{}'.format(kind))",
        "import_module(f'own.plugins.b_{kind}')",
        "import_module(f'.{kind}', package='own.plugins')",
        "import_module('.' + kind, 'own.plugins')",
        "import_module(f'.plugins.{kind}', __package__)",
        "import_module(f'..plugins.{kind}', 'own.steps')",
        "__import__(f'own.plugins.{kind}')",
        "import_module(f'{__package__}.plugins.{kind}')",
        "import_module(__package__ + '.plugins.' + kind)",
        "import_module(f'{__name__}.plugins.{kind}')",
        "import_module(f'{__name__}.{kind}')",
        "import_module(__name__ + '.' + kind)",
        "import_module('%s.%s' % (__name__, kind))",
        "import_module('{}.{}'.format(__name__, kind))",
        "import_module('{0}.plugins.{1}'.format(__package__, kind))",
        "import own.plugins as p; import_module(f'{own.plugins.__name__}.{kind}')",
        "import pkgutil as p; [__import__(f'own.{m.name}') for m in p.iter_modules(__path__)]",
        "import pkgutil, own; list(pkgutil.walk_packages(own.plugins.__path__, 'own.plugins.'))",
        "import pkgutil, os; list(pkgutil.walk_packages([os.path.dirname(__file__)]))",
        "from importlib import import_module as load; load('own.plugins.' + kind)",
    ],
)
def test_a_computed_name_in_the_model_s_own_package_leaves_nothing_open(
    tmp_path: Path, text: str
) -> None:
    files: dict[str, bytes | str] = {
        "code/serve.py": "import own",
        "code/own/__init__.py": f"from importlib import import_module\ndef f(kind):\n    {text}",
        "code/own/plugins/__init__.py": "",
        "code/own/plugins/b_tree.py": "from . import deep",
        "code/own/plugins/deep/__init__.py": "def f():\n    import requests",
    }
    named = _name(_model(tmp_path, files))
    assert named.open_at == ""
    assert "requests" in named.distributions


@pytest.mark.parametrize(
    "text",
    [
        "import_module(f'{kind}.own')",
        "import_module(f'own{kind}')",
        "import_module(kind.format('own.plugins.'))",
        "import_module(kind + '.own')",
        "import_module(f'elsewhere.own.{kind}')",
        "import_module(f'...{kind}', __package__)",
        "import_module(f'.plugins.{kind}', package=kind)",
        "import_module(f'.{kind}', 'elsewhere')",
        "import_module(f'{__package__}{kind}')",
        "import_module(f'{__name__}{kind}')",
        "import_module('%s.%s' % (kind, __name__))",
        "import_module('{1}.{0}'.format(kind, __name__))",
        "import_module(f'{kind.__name__}.plugins')",
        "import pkgutil; list(pkgutil.iter_modules([kind]))",
        "import pkgutil, anyio; list(pkgutil.iter_modules(anyio.__path__))",
        "import_module(f'{kind}{__package__}.plugins')",
        "from importlib import import_module as load; load(kind)",
        "load = import_module; load(kind)",
        "list(map(import_module, kind))",
        "getattr(importlib, 'import_module')(kind)",
        "from importlib.metadata import entry_points as points; points(group=kind)",
    ],
)
def test_another_computed_name_leaves_all_open(tmp_path: Path, text: str) -> None:
    code = f"from importlib import import_module\ndef f(kind):\n    {text}"
    files: dict[str, bytes | str] = {
        "code/serve.py": "import own", "code/own/__init__.py": code, "code/own/plugins/a.py": ""
    }  # fmt: skip
    assert _name(_model(tmp_path, files)).open_at == "code/own/__init__.py:3"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import_module(f'anyio.{kind}')", "anyio"),
        ("import_module('anyio.' + kind)", "anyio"),
        ("import_module('requests.{}'.format(kind))", "requests"),
        ("__import__('anyio._core.%s' % kind)", "anyio"),
        ("import_module('encodings.' + kind)", ""),
    ],
)
def test_a_computed_name_in_a_known_package_takes_that_along_and_leaves_nothing_open(
    tmp_path: Path, text: str, name: str
) -> None:
    code = f"from importlib import import_module\ndef f(kind):\n    {text}"
    named = _name(_model(tmp_path, {"code/serve.py": code}))
    assert (named.open_at, {*named.distributions}) == ("", {name} - {""})


def test_a_package_that_distributions_share_leaves_all_open(tmp_path: Path) -> None:
    code = "from importlib import import_module\ndef f(kind):\n    import_module('google.' + kind)"
    model = _model(tmp_path, {"code/serve.py": code})
    imports = read_model_imports(model, [LoaderSpec(loader="pyfunc", options={})])
    declared = {**DECLARED, "google-cloud-storage": "3.0"}
    named = _modules.name_distributions(model, imports, declared, module_names())
    assert named.open_at == "code/serve.py:3"
    assert {*named.distributions} == {"google-cloud-storage"}


def test_pickled_code_that_finds_modules_when_it_runs_is_known(tmp_path: Path) -> None:
    content = _by_value("import importlib\ndef served(x):\n    importlib.import_module(x)")
    model = _model(tmp_path, {"m.pkl": content}, loader_module="mlflow.pyfunc.model")
    assert _name(model, "m.pkl").open_at == "m.pkl"


_ALIASED = "from {} as other\nimport anyio\ndef served(x):\n    return other(x), anyio"


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("import importlib\ndef served(x):\n    importlib.import_module('anyio.' + x)", ""),
        ("def served(x):\n    return __import__(f'anyio.{x}')", ""),
        ("def served(x):\n    return __import__('anyio')", ""),
        ("def served(x):\n    return __import__(f'churn.{x}'), __import__('anyio')", "m.pkl"),
        (_ALIASED.format("importlib import import_module"), "m.pkl"),
        (_ALIASED.format("importlib.metadata import entry_points"), "m.pkl"),
    ],
)
def test_pickled_code_that_imports_out_of_a_package_takes_that_along(
    tmp_path: Path, source: str, where: str
) -> None:
    conf = {"loader_module": "mlflow.pyfunc.model"}
    model = _model(tmp_path, {"m.pkl": _by_value(source)}, **conf)
    model = replace(model, python_version=platform.python_version())
    named = _name(model, "m.pkl")
    assert ({*named.distributions}, named.open_at) == ({"anyio"}, where)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pd.ExcelFile(p)", "openpyxl"),
        ("pd.read_excel(p)", "openpyxl"),
        ("data.interpolate(method='spline')", "scipy"),
        ("data.corr(method='kendall')", "scipy"),
        ("data.sparse.to_coo()", "scipy"),
        ("pl.from_pandas(data)", "pyarrow"),
        ("frame.to_pandas()", "pyarrow"),
    ],
)
def test_what_a_library_imports_in_a_branch_comes_along(
    tmp_path: Path, text: str, name: str
) -> None:
    code = f"def predict(data, frame, p):\n    if p:\n        {text}\n"
    model = _model(tmp_path, {"code/serve.py": code})
    imports = read_model_imports(model, [LoaderSpec(loader="pyfunc", options={})])
    declared = {**DECLARED, "scipy": "1.18"}
    named = _modules.name_distributions(model, imports, declared, module_names())
    assert name in named.distributions


BY_TEXT = {
    "exec": "exec('import jinja2, anyio')",
    "eval": "eval('__import__(\"anyio\").run')(x)",
    "compile": "compile('from anyio import run', '', 'exec')",
    "a command": "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import anyio'])",
    "an imported function": "from subprocess import run; run(['python', '-c', 'import anyio'])",
    "a module's command": "import os; os.system('python -m anyio')",
    "words": "import subprocess, sys; subprocess.check_output([sys.executable, '-m', 'anyio'])",
    "runpy": "import runpy; runpy.run_module('anyio')",
    "pkgutil": "import pkgutil; pkgutil.resolve_name('anyio.abc:run')",
    "pydoc": "import pydoc; pydoc.locate('anyio.abc.Event')",
    "a module's files": "from importlib import resources; resources.files('anyio')",
    "of the model": "import importlib; importlib.import_module('own.late')",
}


@pytest.mark.parametrize("kind", BY_TEXT)
def test_what_a_text_imports_comes_along(tmp_path: Path, kind: str) -> None:
    files: dict[str, bytes | str] = {
        "code/serve.py": f"def predict(x):\n    {BY_TEXT[kind]}",
        "code/own/late.py": "def f():\n    import anyio",
    }
    assert "anyio" in _name(_model(tmp_path / "code", files)).distributions
    pickled = _by_value(f"def served(x):\n    {BY_TEXT[kind]}")
    model = _model(tmp_path / "m", {"m.pkl": pickled, **files}, loader_module="mlflow.pyfunc.model")
    assert "anyio" in _name(model, "m.pkl").distributions


@pytest.mark.parametrize(
    "text",
    [
        "'>>> import anyio'",
        "import re; re.compile('import anyio')",
        "x.eval('anyio')",
        "print('read from anyio')",
    ],
)
def test_a_text_that_nothing_runs_imports_nothing(tmp_path: Path, text: str) -> None:
    assert _names_of_code(tmp_path, f"def predict(x):\n    {text}") == set()


def test_a_pickle_within_a_pickle_names_what_it_needs(tmp_path: Path) -> None:
    inner = _global("anyio.abc", "Event", 4)
    model = _model(tmp_path, {"m.pkl": pickle.dumps({"model": inner})}, loader_module="mlflow.x")
    assert {*_name(model, "m.pkl").distributions} == {"anyio"}
    lost = _global("elsewhere", "Event", 4)
    several: dict[str, bytes | str] = {
        "m.pkl": pickle.dumps([inner[:-2], b"\x80\x04?", lost, _global("yaml", "x", 2)])
    }
    model = _model(tmp_path, several, loader_module="mlflow.x")
    assert {*_name(model, "m.pkl").distributions} == {"anyio", "pyyaml"}


@pytest.mark.parametrize(("config", "names"), [("polars", {"polars"}), ("default", set())])
def test_what_set_output_imports_comes_along(tmp_path: Path, config: str, names: set[str]) -> None:
    held = {"_sklearn_output_config": {"transform": config}, "column": "requests"}
    model = _model(tmp_path, {"m.pkl": pickle.dumps(held)}, loader_module="mlflow.sklearn")
    imports = read_model_imports(model, [LoaderSpec(loader="sklearn", options={})])
    declared = {**DECLARED, "polars": "1.40", "polars-runtime-32": "1.40"}
    named = _modules.name_distributions(model, imports, declared, module_names())
    assert {*named.distributions} == names


def test_a_wheel_s_pth_puts_its_folders_on_the_path(tmp_path: Path) -> None:
    model = _model(tmp_path, {"code/serve.py": "import churn"})
    files = {"own.pth": "vendored\n", "vendored/churn.py": "X = 1\n"}
    path = wheels.make(tmp_path / "code", "own", files)
    _name(_with_lines(model, path.relative_to(tmp_path).as_posix()))
    path = wheels.make(tmp_path / "code", "other", {"other.py": ""})
    with pytest.raises(PlanError, match="imports churn"):
        _name(_with_lines(model, path.relative_to(tmp_path).as_posix()))


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("toolkit==1.0", ("--extra-index-url https://pypi.example.com/simple",)),
        ("toolkit==1.0", ("--find-links wheels",)),
        ("toolkit @ https://example.com/toolkit-1.0-py3-none-any.whl", ()),
        ("toolkit @ git+https://example.com/toolkit.git", ()),
    ],
)
def test_what_comes_from_elsewhere_may_hold_any_module(
    tmp_path: Path, line: str, options: tuple[str, ...]
) -> None:
    model = _with_lines(_model(tmp_path, {"code/serve.py": "import churn"}), line)
    requirements = replace(model.requirements, options=options)
    _name(replace(model, requirements=requirements))


def test_a_package_that_is_kept_by_its_name_may_hold_any_module(tmp_path: Path) -> None:
    model = _with_lines(_model(tmp_path, {"code/serve.py": "import churn"}), "toolkit==1.0")
    imports = read_model_imports(model, [LoaderSpec(loader="pyfunc", options={})])
    names = module_names()
    for kept in ((), ("scikit-learn",)):
        with pytest.raises(PlanError, match="--keep-package"):
            _modules.name_distributions(model, imports, DECLARED, names, kept=kept)
    found = _modules.name_distributions(model, imports, DECLARED, names, kept=("Toolkit",))
    assert "toolkit" in found.distributions


def _with_lines(model: ResolvedModel, *lines: str) -> ResolvedModel:
    requirements = model.requirements
    return replace(model, requirements=replace(requirements, lines=(*requirements.lines, *lines)))

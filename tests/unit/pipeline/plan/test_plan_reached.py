"""Code and pickles reach a module by many ways: each names the distribution that has it."""

from __future__ import annotations

import base64
import copyreg
import fractions
import io
import pickle
import py_compile
import sys
import types
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from packager.errors import PlanError
from packager.facts.modules import module_names
from packager.models.model_imports import read_model_imports
from packager.models.pickles import pickle_names
from packager.pipeline.plan import _modules
from packager.pipeline.plan._modules import Named
from packager.types import LoaderSpec
from tests.unit.pipeline.plan.test_plan_modules import DECLARED, _by_value, _model

MORE = {
    **DECLARED,
    **dict.fromkeys(("scikit-learn", "lightgbm", "xlrd", "xlsxwriter", "tabulate", "lz4"), "1.0"),
    **dict.fromkeys(("zstandard", "numba", "lxml", "html5lib", "python-json-logger"), "1.0"),
    **dict.fromkeys(
        ("en-core-web-sm", "spacy", "pydantic", "email-validator", "lazy-loader"), "1.0"
    ),
}
LAZY: dict[str, bytes | str] = {"code/churn/__init__.py": "", "code/churn/late.py": "import anyio"}


def _name(root: Path, files: dict[str, bytes | str], *unpickled: str) -> Named:
    module = "serve" if "code/serve.py" in files else "mlflow.pyfunc.model"
    model = replace(_model(root, files, loader_module=module), python_version="3.11.7")
    imports = read_model_imports(
        model, [LoaderSpec(loader="pyfunc", options={}, unpickled=unpickled)]
    )
    return _modules.name_distributions(
        model, imports, MORE, module_names(), shipped={"cloudpickle"}
    )


@pytest.mark.parametrize(
    "text",
    [
        "import importlib.util as u\nu.spec_from_file_location('x', HERE / 'a.py')",
        "from importlib.machinery import SourceFileLoader\nSourceFileLoader('x', P).load_module()",
        "import runpy\nrunpy.run_path(P)",
        "import glob\nfor f in glob.glob('plug/*.py'):\n    exec(open(f).read())",
        "def f(p):\n    exec(compile(open(p).read(), p, 'exec'))",
        "import subprocess, sys\nsubprocess.run([sys.executable, 'code/plug/a.py'])",
    ],
)
@pytest.mark.parametrize("file", ["code/plug/a.py", "artifacts/plug/a.py"])
def test_a_file_that_is_run_by_its_path_is_read(tmp_path: Path, text: str, file: str) -> None:
    assert "anyio" in _name(tmp_path, {"code/serve.py": text, file: "import anyio"}).distributions
    assert not _name(tmp_path / "o", {"code/serve.py": "", file: "import anyio"}).distributions


def test_a_file_that_is_run_reaches_others(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "code/serve.py": "import runpy\nrunpy.run_path(P)",
        "artifacts/job.py": "import churn.late",
        **LAZY,
    }
    assert "anyio" in _name(tmp_path, files).distributions


@pytest.mark.parametrize(
    ("serve", "init"),
    [
        ("from churn import *", "__all__ = ['late']"),
        ("from churn import *", "__all__ = ('x',)\n__all__ += ('late',)"),
        ("from churn import *", "__all__: list[str] = ['late']"),
        (
            "import churn",
            "import importlib\ndef __getattr__(n):\n    return importlib.import_module(M[n])",
        ),
        ("import churn", "def __getattr__(n):\n    return _load(n)"),
        (
            "import churn",
            "import lazy_loader as lazy\n__getattr__, *_ = lazy.attach(__name__, ['late'])",
        ),
    ],
)
def test_a_package_s_late_modules_are_read(tmp_path: Path, serve: str, init: str) -> None:
    files: dict[str, bytes | str] = {"code/serve.py": serve, **LAZY, "code/churn/__init__.py": init}
    assert "anyio" in _name(tmp_path, files).distributions


def test_a_package_without_late_modules_leaves_nothing_open(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "code/serve.py": "import churn",
        "code/churn/__init__.py": "def __getattr__(name):\n    raise AttributeError(name)",
    }
    assert not _name(tmp_path, files).open_at


def test_a_module_of_a_folder_that_code_puts_on_the_path_is_read(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "code/serve.py": "import sys\nsys.path.insert(0, VENDOR)\nfrom deep.helper import x",
        "code/vendor/deep/helper.py": "import anyio",
    }
    assert {*_name(tmp_path, files).distributions} == {"anyio"}


@pytest.mark.parametrize(
    "file",
    [
        "code/churn/requests.py",
        "code/lib/requests/__init__.py",
        "data/requests/x.py",
        "requests.py",
    ],
)
def test_a_file_that_is_called_as_a_library_does_not_stand_for_it(
    tmp_path: Path, file: str
) -> None:
    files: dict[str, bytes | str] = {"code/serve.py": "def f():\n    import requests", file: ""}
    assert {*_name(tmp_path, files).distributions} == {"requests"}


def test_a_module_on_the_path_stands_for_a_library_of_its_name(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"code/serve.py": "import requests", "code/requests.py": ""}
    assert not _name(tmp_path, files).distributions


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("if not TYPE_CHECKING:\n    import anyio\nelse:\n    import yaml", {"anyio"}),
        ("if TYPE_CHECKING:\n    import yaml\nelse:\n    import anyio", {"anyio"}),
        ("if TYPE_CHECKING or FAST:\n    import anyio", {"anyio"}),
        ("if TYPE_CHECKING and FAST:\n    import anyio", set()),
        ("import typing as t\nif t.TYPE_CHECKING:\n    import anyio", set()),
        ("if __name__ == '__main__':\n    import anyio", set()),
        ("if '__main__' == __name__:\n    import anyio", set()),
        ("if __name__ != '__main__':\n    import anyio", {"anyio"}),
        ("if __name__ == 'serve':\n    import anyio", {"anyio"}),
    ],
)
def test_a_branch_is_passed_over_where_serving_never_takes_it(
    tmp_path: Path, text: str, names: set[str]
) -> None:
    assert {*_name(tmp_path, {"code/serve.py": text}).distributions} == names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from pandas import read_parquet\nread_parquet(P)", "pyarrow"),
        ("getattr(pd, 'read_parquet')(P)", "pyarrow"),
        ("KINDS = {'a': 'read_parquet'}\ndef f(k):\n    return getattr(pd, KINDS[k])", "pyarrow"),
        ("def f(k):\n    return getattr(pd, f'read_{k}')", "pyarrow"),
        ("from operator import methodcaller\nmethodcaller('to_markdown')(frame)", "tabulate"),
        ("pd.read_excel('prices.xls')", "xlrd"),
        ("pd.ExcelWriter('prices.xlsx')", "xlsxwriter"),
        ("ENGINE = 'numba'\nframe.rolling(3).apply(f, engine=ENGINE)", "numba"),
        ("pd.read_html(P)", "html5lib"),
        ("from bs4 import BeautifulSoup\nBeautifulSoup(P, 'lxml')", "lxml"),
        ("import spacy\nspacy.load('en_core_web_sm')", "en-core-web-sm"),
        ("from pydantic import EmailStr", "email-validator"),
        ("import lightgbm as lgb\nlgb.LGBMRegressor()", "scikit-learn"),
        (
            'import logging.config\nlogging.config.dictConfig({"": "pythonjsonlogger.core.F"})',
            "python-json-logger",
        ),
    ],
)
def test_what_code_uses_by_a_text_comes_along(tmp_path: Path, text: str, name: str) -> None:
    files: dict[str, bytes | str] = {"code/serve.py": text, "code/bs4.py": ""}
    assert name in _name(tmp_path, files).distributions


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("def f(n):\n    exec(f'import {n}')", True),
        ("def f(n):\n    exec('from ' + n + ' import x')", True),
        ("def f(n):\n    return eval(\"__import__('%s')\" % n)", True),
        ("exec('import anyio')", False),
        ("import subprocess\ndef f(n):\n    raise OSError(f'error from {n}')", False),
        ("def f(n):\n    return f'import {n}'", False),
    ],
)
def test_code_with_a_name_left_out_is_open(tmp_path: Path, text: str, *, is_open: bool) -> None:
    assert bool(_name(tmp_path, {"code/serve.py": text}).open_at) is is_open


@pytest.mark.parametrize("module", ["x", "db", "io_"])
def test_a_short_name_is_like_none(tmp_path: Path, module: str) -> None:
    with pytest.raises(PlanError, match=f"imports {module}"):
        _name(tmp_path, {"code/serve.py": f"import {module}"})


@pytest.mark.parametrize("module", ["core_lib", "datasets", "api_client", "typing_utils"])
def test_a_module_is_not_alike_what_is_known_to_have_others(tmp_path: Path, module: str) -> None:
    model = _model(tmp_path, {"code/serve.py": f"import {module}"})
    imports = read_model_imports(model, [LoaderSpec(loader="pyfunc", options={})])
    brought = ("pydantic-core", "stack-data", "jupyter-client", "typing-extensions")
    declared = {**DECLARED, **dict.fromkeys(brought, "1.0")}
    with pytest.raises(PlanError, match=f"imports {module}"):
        _modules.name_distributions(model, imports, declared, module_names())


def test_code_without_its_source_names_what_it_has(tmp_path: Path) -> None:
    source = tmp_path / "fast.py"
    source.write_text("def f():\n    import anyio.abc\n")
    py_compile.compile(str(source), cfile=str(tmp_path / "fast.pyc"))
    files: dict[str, bytes | str] = {
        "code/serve.py": "import fast, other",
        "code/fast.pyc": (tmp_path / "fast.pyc").read_bytes(),
        "code/other.cpython-311-x86_64-linux-gnu.so": b"\x7fELF\0\1__init__\0yaml\0notjinja2x\0",
        "code/__pycache__/serve.cpython-311.pyc": b"\0tabulate\0",
    }
    assert {*_name(tmp_path / "model", files).distributions} == {"anyio", "pyyaml"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import runpy\n    return runpy.run_path(x)", "anyio"),
        ("import subprocess, sys\n    subprocess.run([sys.executable, 'job.py'])", "anyio"),
        ("from importlib.util import spec_from_file_location as s\n    s('x', x)", "anyio"),
        ("kinds = {'a': 'read_parquet'}\n    return getattr(x, kinds[x])(x)", "pyarrow"),
        ("engine = 'numba'\n    return x.apply(x, engine=engine)", "numba"),
        ("import spacy\n    return spacy.load('en_core_web_sm')", "en-core-web-sm"),
        (
            "import logging.config as c\n    c.dictConfig({'': 'pythonjsonlogger.core.F'})",
            "python-json-logger",
        ),
    ],
)
def test_what_pickled_code_uses_by_a_text_comes_along(
    tmp_path: Path, source: str, name: str
) -> None:
    files: dict[str, bytes | str] = {
        "m.pkl": _by_value(f"def served(x):\n    {source}"),
        "artifacts/job.py": "import anyio",
    }
    assert name in _name(tmp_path, files, "m.pkl").distributions


def test_pickled_code_with_a_name_left_out_is_open(tmp_path: Path) -> None:
    code = _by_value("def served(x):\n    exec(f'import {x}')")
    assert _name(tmp_path, {"m.pkl": code}, "m.pkl").open_at == "m.pkl"


def _pickle(protocol: int = 4, module: str = "anyio.abc", name: str = "Event") -> bytes:
    held = types.ModuleType(module)
    made = type(name, (), {"__module__": module})
    setattr(held, name, made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module, held)
        return pickle.dumps(made(), protocol)


def _pack_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", _pickle(2))
        archive.writestr("archive/data/0", b"\0" * 10)
    return packed.getvalue()


PICKLES = {
    **{f"protocol {protocol}": _pickle(protocol) for protocol in range(6)},
    "a model of torch's": _pack_zip(),
    "in bytes, protocol 0": pickle.dumps({"model": _pickle(0)}),
    "in bytes of bytes": pickle.dumps([pickle.dumps([_pickle()])]),
    "in a bytearray": pickle.dumps(bytearray(_pickle()), 5),
    "in zlib": pickle.dumps(zlib.compress(_pickle())),
    "in base64": pickle.dumps(base64.b64encode(_pickle()).decode()),
    "in lines of base64": pickle.dumps(base64.encodebytes(_pickle() + b"." * 90).decode()),
    "in hex": pickle.dumps(_pickle().hex()),
    "left to who loads it": b"\x80\x04\x8c\x09anyio.abc\x94Q.",
}


@pytest.mark.parametrize("kind", PICKLES)
def test_a_pickle_that_code_may_load_names_its_modules(tmp_path: Path, kind: str) -> None:
    assert {*_name(tmp_path, {"artifacts/held.bin": PICKLES[kind]}).distributions} == {"anyio"}


def test_a_long_pickle_within_a_pickle_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickle_names, "_NAME_BYTES", 64)
    long = pickle.dumps({"model": _pickle() + b"\0" * 100})
    assert {*_name(tmp_path, {"m.pkl": long}).distributions} == {"anyio"}
    numbers = pickle.dumps({"model": b"\x8c\x09anyio.abc\x94\x8c\x05Event\x94\x93" * 9})
    assert not _name(tmp_path / "n", {"m.pkl": numbers}).distributions


def test_what_is_packed_in_a_pickle_is_unpacked_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickle_names, "_MOST_INNER_BYTES", 1000)
    bombs = [zlib.compress(bytes([count]) * 5000) for count in range(9)]
    asked: list[int] = []
    decompress = pickle_names._decompress

    def count(content: bytes) -> bytes:
        asked.append(len(content))
        return decompress(content)

    monkeypatch.setattr(pickle_names, "_decompress", count)
    assert not _name(tmp_path, {"m.pkl": pickle.dumps(bombs)}).distributions
    assert len(asked) == 1


def test_an_array_of_objects_is_a_pickle(tmp_path: Path) -> None:
    saved = io.BytesIO()
    np.save(saved, np.array([fractions.Fraction(1, 3)], dtype=object), allow_pickle=True)
    content = saved.getvalue()
    start = 10 + int.from_bytes(content[8:10], "little")
    held = {"artifacts/held.npy": content[:start] + _pickle(), "artifacts/n.npy": content[:9]}
    assert {*_name(tmp_path, {**held}).distributions} == {"anyio"}


@pytest.mark.parametrize(
    ("magic", "name"), [(b"\x04\x22\x4d\x18", "lz4"), (b"\x28\xb5\x2f\xfd", "zstandard")]
)
@pytest.mark.parametrize("file", ["m.joblib", "m.pkl.packed", "table.bin"])
def test_a_file_that_a_library_alone_unpacks_brings_it(
    tmp_path: Path, magic: bytes, name: str, file: str
) -> None:
    named = _name(tmp_path, {file: magic + bytes(99)})
    assert {*named.distributions} == {name}
    assert named.open_at == (file if file.startswith("m.") else "")


def test_an_object_that_only_its_author_s_process_knew_leaves_all_open(tmp_path: Path) -> None:
    copyreg.add_extension("fractions", "Fraction", 0x1234)
    try:
        content = pickle.dumps(fractions.Fraction, 4)
    finally:
        copyreg.remove_extension("fractions", "Fraction", 0x1234)
    assert _name(tmp_path, {"m.pkl": content}, "m.pkl").open_at == "m.pkl"


def test_a_pickled_model_of_another_library_s_form_brings_that(tmp_path: Path) -> None:
    content = _pickle(4, "lightgbm.sklearn", "LGBMRegressor")
    found = _name(tmp_path, {"artifacts/m.joblib": content}).distributions
    assert {*found} == {"lightgbm", "scikit-learn"}

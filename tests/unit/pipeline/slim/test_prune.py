"""Which files go and which stay: tables over made-up trees."""

from __future__ import annotations

import itertools
from pathlib import Path, PurePosixPath

import pytest

from packager.pipeline.slim import passes, prune
from packager.system import cache, file_tree
from packager.types import Bundle
from tests import fake_plan, tiny_elf


def pruned(root: Path, files: dict[str, bytes], keep: tuple[str, ...] = ()) -> Bundle:
    tiny_elf.write(root, files)
    bundle = Bundle(root=root, files=tuple(file_tree.records(root)))
    return prune.PASS.apply(bundle, fake_plan.plan(keep=keep))


def left(bundle: Bundle) -> list[str]:
    return [path.as_posix() for path in file_tree.walk(bundle.root)]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("scipy/linalg/tests/test_basic.py", "tests"),
        ("scipy/linalg/tests/data/x.npz", "tests"),
        ("joblib/test/test_hashing.py", "tests"),
        ("pandas/tests/frame/__init__.py", "tests"),
        ("pandas/tests/frame/conftest.py", "tests"),
        ("numpy/_core/include/numpy/arrayobject.h", "sources"),
        ("sklearn/tree/_tree.pyx", "sources"),
        ("scipy/linalg/cython_blas.pxd", "sources"),
        ("numpy/_core/lib/libnpymath.a", "sources"),
        ("numpy/__pycache__/x.cpython-313.pyc", "bytecode of the install"),
        ("bin/f2py", "scripts"),
        ("onnxruntime/capi/libonnxruntime.so.1.23.2", "C library of onnxruntime"),
        ("aws_lambda_powertools/utilities/parser/parser.py", "utilities of powertools"),
    ],
)
def test_goes(tmp_path: Path, path: str, rule: str) -> None:
    bundle = pruned(tmp_path, {path: b"x"})
    assert left(bundle) == []
    assert [(each.path.as_posix(), each.rule) for each in bundle.removed] == [(path, rule)]


@pytest.mark.parametrize(
    "path",
    [
        "numpy/testing/__init__.py",
        "sklearn/utils/_testing.py",
        "pandas/_testing/contexts.py",
        "scipy/_lib/array_api_compat/numpy/__init__.py",
        "scipy/stats/_stats_pythran.so",
        "sklearn/datasets/descr/iris.rst",
        "numpy-2.5.5.dist-info/METADATA",
        "powertools-3.dist-info/entry_points.txt",
        "numpy-2.5.5.dist-info/licenses/LICENSE.txt",
        "joblib-1.dist-info/LICENSE",
        "numpy/tests/LICENSE.txt",
        "botocore/docs/__init__.py",
        "mypackage/test/__init__.py",
        "mypackage/bin/tool.py",
        "onnxruntime/capi/libonnxruntime_providers_shared.so",
        "handlers/tests/x.py",
        "model/tests/test_data.py",
        "model/code/helper.h",
        "model/README.md",
        "lib/bin/x",
        "aws_lambda_powertools/utilities/__init__.py",
        "aws_lambda_powertools/utilities/typing/lambda_context.py",
    ],
)
def test_stays(tmp_path: Path, path: str) -> None:
    assert left(pruned(tmp_path, {path: b"x"})) == [path]


@pytest.mark.parametrize(
    "path",
    [
        "numpy/__init__.pyi",
        "numpy/py.typed",
        "pandas/conftest.py",
        "pandas/tests/__init__.py",
        "pandas-stubs/core.py",
        "skops/README.md",
        "sklearn/datasets/README.rst",
        "numpy-2.5.5.dist-info/RECORD",
        "numpy-2.5.5.dist-info/sboms/auditwheel.cdx.json",
        "pip/_internal/main.py",
    ],
)
def test_what_code_may_open_is_left_to_the_store(tmp_path: Path, path: str) -> None:
    assert left(pruned(tmp_path, {path: b"x"})) == [path]
    assert prune.is_set_aside(PurePosixPath(path))


OWN = b"import os\nHERE = os.path.dirname(__file__)\n"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("p/kernels/add.cu", {"p/gpu.py": b"x = open('kernels/add.cu')"}),
        ("p/kernels/add.cu", {"p/gpu.py": OWN + b"names = glob('*.cu')"}),
        ("p/inc/a.h", {"p/x.py": OWN + b"y = [n for n in z if n.endswith('.h')]"}),
        ("p/inc/a.h", {"model/code/mine.py": b"from pathlib import Path; f('p', 'inc/a.h')"}),
        ("p/_x.pyx", {"model/mine.py": b"sorted(Path(p.__file__).parent.rglob('*.pyx'))"}),
        ("p/tests/data/x.csv", {"p/sets.py": b"load('tests/data/x.csv')"}),
        ("p/tests/help.py", {"p/y.py": b"m = importlib.import_module('p.tests.help')"}),
        ("p/tests/help.py", {"p/y.py": b"m = import_module('.tests.help', __package__)"}),
        ("ppp/tests/help.py", {"model/python_model.pkl": b"\x80\x05\x8c\x10ppp.tests.help\x94"}),
        (
            "onnxruntime/quantization/__init__.py",
            {"model/code/mine.py": b"def f():\n    from onnxruntime import quantization\n"},
        ),
        (
            "onnxruntime/quantization/__init__.py",
            {"model/python_model.pkl": b"\x8c\x0bonnxruntime\x94\x8c\x0cquantization\x94"},
        ),
        (
            "numpy/_core/_simd.cpython-313-x86_64-linux-gnu.so",
            {"other.py": b"from numpy._core import _simd\n"},
        ),
        (
            "aws_lambda_powertools/utilities/batch/base.py",
            {"model/code/mine.py": b"from aws_lambda_powertools.utilities.batch import base\n"},
        ),
    ],
)
def test_what_code_or_the_model_asks_for_stays(
    tmp_path: Path, path: str, code: dict[str, bytes]
) -> None:
    bundle = pruned(tmp_path, {path: b"x", **code})
    assert path in left(bundle)
    assert path in bundle.ledger[-1].reverted


def test_what_nobody_names_goes_all_the_same(tmp_path: Path) -> None:
    files = {
        "p/kernels/add.cu": b"x",
        "q/gpu.py": b"x = open('kernels/add.cu')",
        "p/x/y.py": OWN + b"glob('*.cu')",
        "p/z.py": b"ends = '.cu'",
        "model/weights.bin": b"\0\1tests\0",
        "p/tests/help.py": b"",
    }
    assert left(pruned(tmp_path, files)) == sorted(
        {*files} - {"p/kernels/add.cu", "p/tests/help.py"}
    )


def test_a_record_is_left_its_paths_and_sizes(tmp_path: Path) -> None:
    record = b'a.py,sha256=47DEQ,5\n"b, c.py",sha256=x,1\na-1.dist-info/RECORD,,\n'
    pruned(tmp_path, {"a-1.dist-info/RECORD": record, "a.py": b"12345"})
    assert (tmp_path / "a-1.dist-info" / "RECORD").read_text() == (
        'a.py,,5\n"b, c.py",,1\na-1.dist-info/RECORD,,\n'
    )


def test_tests_that_other_code_imports_stay_with_what_they_import(tmp_path: Path) -> None:
    bundle = pruned(
        tmp_path,
        {
            "numpy/testing/utils.py": b"def f():\n    from numpy._core.tests._natype import (\n x)",
            "numpy/_core/tests/__init__.py": b"",
            "numpy/_core/tests/_natype.py": b"from .helper import x\nimport os",
            "numpy/_core/tests/helper.py": b"x = 1",
            "numpy/_core/tests/test_array.py": b"import numpy._core.tests.helper",
            "other/__init__.py": b"from . import tests\n",
            "other/tests/__init__.py": b"",
            "other/tests/test_a.py": b"",
        },
    )
    kept = (
        "numpy/_core/tests/__init__.py",
        "numpy/_core/tests/_natype.py",
        "numpy/_core/tests/helper.py",
        "other/tests/__init__.py",
    )
    assert tuple(path for path in left(bundle) if "tests" in path) == kept
    named = [path for path in kept if not prune.is_set_aside(PurePosixPath(path))]
    assert list(bundle.ledger[-1].reverted) == named


def test_what_only_names_tests_imports_none_of_them(tmp_path: Path) -> None:
    files = {
        "p/__init__.py": b"",
        "p/tests/__init__.py": b"from p.tests import helper\n",
        "p/tests/helper.py": b"",
        "p/conftest.py": b"from p.tests.helper import x\n",
    }
    assert left(pruned(tmp_path, files)) == [
        "p/__init__.py",
        "p/conftest.py",
        "p/tests/__init__.py",
    ]


def test_a_library_that_another_links_to_stays(tmp_path: Path) -> None:
    dead = "onnxruntime/capi/libonnxruntime.so.1"
    linked = tiny_elf.library(needed=("libonnxruntime.so.1",))
    files = {dead: tiny_elf.library(), "other/capi.so": linked}
    assert left(pruned(tmp_path, files)) == [dead, "other/capi.so"]


@pytest.mark.parametrize(
    "keep", ["numpy/tests", "numpy/tests/**", "**/test_a.py", "numpy/*/*_a.py"]
)
def test_keep_rules_win(tmp_path: Path, keep: str) -> None:
    bundle = pruned(tmp_path, {"numpy/tests/test_a.py": b"x"}, keep=(keep,))
    assert left(bundle) == ["numpy/tests/test_a.py"]


def test_the_ledger_adds_up_and_empty_folders_go(tmp_path: Path) -> None:
    bundle = pruned(tmp_path, {"a/tests/deep/x.py": b"12345", "a/b.py": b"1"})
    entry = bundle.ledger[-1]
    assert (entry.bytes_before, entry.bytes_after) == (6, 1)
    assert (entry.files_before, entry.files_after) == (2, 1)
    assert [(each.path, each.size_bytes) for each in bundle.removed] == [
        (PurePosixPath("a/tests/deep/x.py"), 5)
    ]
    assert not (tmp_path / "a" / "tests").exists()
    assert [file.path.as_posix() for file in bundle.files] == ["a/b.py"]


def test_rules_are_whole() -> None:
    names = [rule.name for rule in prune.rules()]
    assert len(names) == len(set(names))
    assert all(rule.reason and rule.patterns for rule in prune.rules())


TESTED = {
    "pkg/__init__.py": b"from pkg import tests\n",
    "pkg/tests/__init__.py": b"",
    "other/__init__.py": b"",
    "other/tests/__init__.py": b"",
    "model/model.pkl": b"weights",
}


def test_what_is_used_is_sought_once_for_all_versions_of_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pruned(tmp_path / "one", TESTED)

    def fail(*_: object) -> None:
        raise AssertionError("the files were read again")

    monkeypatch.setattr(prune, "_search_used", fail)
    again = pruned(tmp_path / "two", {**TESTED, "model/model.pkl": b"other weights"})
    assert [each for each in left(again) if each != "model/model.pkl"] == [
        each for each in left(first) if each != "model/model.pkl"
    ]
    assert again.ledger[-1].proof == first.ledger[-1].proof


@pytest.mark.parametrize(
    ("change", "more"),
    [
        # the weights name it now
        ({"model/model.pkl": b"other.tests"}, ["other/tests/__init__.py"]),
        # the model's code imports it now
        ({"model/code/own.py": b"import other.tests\n"}, ["other/tests/__init__.py"]),
        ({"other/__init__.py": b"from . import tests\n"}, ["other/tests/__init__.py"]),
    ],
    ids=["weights", "model's code", "package"],
)
def test_what_is_used_is_sought_again_where_anything_that_counts_is_another(
    tmp_path: Path, change: dict[str, bytes], more: list[str]
) -> None:
    first = left(pruned(tmp_path / "one", TESTED))
    again = left(pruned(tmp_path / "two", {**TESTED, **change}))

    assert "pkg/tests/__init__.py" in first
    assert sorted({*first, *more, *change}) == again


def test_another_keep_rule_has_its_own_answer(tmp_path: Path) -> None:
    pruned(tmp_path / "one", TESTED)
    kept = pruned(tmp_path / "two", TESTED, keep=("other/tests/**",))
    assert "other/tests/__init__.py" in left(kept)


def test_an_answer_that_was_changed_in_the_cache_is_sought_again(tmp_path: Path) -> None:
    first = left(pruned(tmp_path / "one", TESTED))
    (kept,) = (cache.root() / "used").glob("[!.]*/content")
    kept.write_bytes(b"[]")
    assert left(pruned(tmp_path / "two", TESTED)) == first


@pytest.mark.parametrize("checks", range(0, 40, 3))
def test_no_more_files_are_read_once_nobody_waits(tmp_path: Path, checks: int) -> None:
    asked = itertools.count()
    with (
        passes.working_while(lambda: next(asked) < checks),
        pytest.raises(passes.UnwantedError),
    ):
        pruned(tmp_path, {**TESTED, **{f"pkg/part{n}.so": tiny_elf.library() for n in range(20)}})
    assert next(asked) == checks + 1

"""Fitted models become C that answers as they do; a form that breaks its rules becomes none."""

from __future__ import annotations

import ast
import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from handlers.loaders import _libraries, _threads
from handlers.loaders.machine_code import Library
from packager.engines.machine_code import extraction
from packager.engines.machine_code.extraction.families import extract_program
from packager.engines.machine_code.extraction.program import UnsupportedError
from packager.engines.machine_code.form import FormError, read_form
from packager.engines.machine_code.generator import generate_c
from packager.engines.machine_code.library_under_test import LibraryCase, prove
from packager.engines.machine_code.toolchain import compile_library
from packager.engines.proof.inputs import Column, Inputs
from tests import tiny_elf
from tests.engines.libraries import COMPILER, NO_COMPILER, compile_form

ROWS = 400
RNG = np.random.default_rng(0)
WORDS = np.array(["a", "", "\u00e9t\u00e9", 'long "word" */\n'], dtype=object)
NUMBERS = ["num 0", "n.1", "k"]
TABLE = pd.DataFrame(
    {
        "num 0": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(size=ROWS)),
        "n.1": RNG.gamma(2.0, 2.0, ROWS).astype(np.float32),
        "k": RNG.integers(0, 50, ROWS),
        "b": RNG.random(ROWS) > 0.5,
        'plan "x" */': WORDS[RNG.integers(0, 4, ROWS)],
    }
)
TEXT = TABLE.columns[-1]
Y = np.nan_to_num(TABLE["num 0"]) + TABLE["k"] / 10 + (TABLE[TEXT] == "a")
CLASSES = np.array(["low", "middle", "high"], dtype=object)[
    np.digitize(Y, np.quantile(Y, (0.3, 0.7)))
]
HALVES = (np.quantile(Y, 0.5) < Y).astype(int)
KINDS = {"float64": "double", "float32": "float", "int64": "long", "bool": "boolean"}
_WRITTEN = {"double": "<f8", "float": "<f4", "int64": "<i8"}


def prepared(scaler: Any = None, encoder: Any = None) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), scaler or StandardScaler()), NUMBERS),
            ("c", encoder or OneHotEncoder(handle_unknown="ignore"), [TEXT]),
            ("p", "passthrough", ["b"]),
        ]
    )


def write(model: Any, folder: Path, method: str = "predict", table: pd.DataFrame = TABLE) -> Any:
    kinds = [KINDS.get(str(dtype), "string") for dtype in table.dtypes]
    program = extract_program(model, list(table.columns), kinds, method)
    program.write(folder)
    return program


def compiled(folder: Path, model: Any) -> Library:
    """The form in a folder as a library, by this machine's compiler."""
    form = read_form(folder)
    compile_form(folder)
    options: dict[str, Any] = {
        "width": form.answer.width,
        "written": _WRITTEN[form.answer.kind],
        "missing_text": "\0missing",
    }
    if form.labels:
        labels = np.asarray(model.classes_)
        dtype = "object" if labels.dtype.kind in "UO" else labels.dtype.str
        options |= {"labels": labels.tolist(), "label_dtype": dtype}
    return Library(folder / "model.so", options)


def ask(library: Library, table: pd.DataFrame) -> Any:
    feeds: Mapping[str, Any] = {
        str(name): column.to_numpy().reshape(-1, 1) for name, column in table.items()
    }
    return library.run([""], feeds)[0]


BOOSTED = {"n_estimators": 8, "n_jobs": 1}
EXACT: dict[str, tuple[Callable[[], Any], Any]] = {
    "forest": (lambda: make_pipeline(prepared(), RandomForestRegressor(8, random_state=0)), Y),
    "boosting": (
        lambda: make_pipeline(prepared(MinMaxScaler(clip=True)), GradientBoostingRegressor()),
        Y,
    ),
    "histograms": (
        lambda: make_pipeline(prepared(RobustScaler()), HistGradientBoostingRegressor(max_iter=8)),
        Y,
    ),
    "lightgbm": (
        lambda: make_pipeline(prepared(), lightgbm.LGBMRegressor(**BOOSTED, verbose=-1)),
        Y,
    ),
    "xgboost": (lambda: make_pipeline(prepared(), xgboost.XGBRegressor(**BOOSTED)), Y),
}
LABELLED: dict[str, tuple[Callable[[], Any], Any]] = {
    "logistic": (LogisticRegression, CLASSES),
    "logistic of two": (LogisticRegression, HALVES),
    "ridge": (RidgeClassifier, CLASSES),
    "forest of words": (lambda: RandomForestClassifier(8, random_state=0), CLASSES),
    "boosting": (lambda: GradientBoostingClassifier(n_estimators=8), HALVES),
    "histograms": (lambda: HistGradientBoostingClassifier(max_iter=8), CLASSES),
    "lightgbm": (lambda: lightgbm.LGBMClassifier(**BOOSTED, verbose=-1), CLASSES),
    "xgboost": (lambda: xgboost.XGBClassifier(**BOOSTED), HALVES),
}
needs_compiler = pytest.mark.skipif(not COMPILER, reason=NO_COMPILER)


@pytest.mark.few(2)
@needs_compiler
@pytest.mark.parametrize("name", EXACT)
def test_sums_of_trees_are_equal_to_the_last_bit(name: str, tmp_path: Path) -> None:
    make, answers = EXACT[name]
    model = make().fit(TABLE, answers)
    assert write(model, tmp_path).exact
    expected = np.asarray(model.predict(TABLE))
    answer = ask(compiled(tmp_path, model), TABLE).astype(expected.dtype).ravel()
    assert answer.tobytes() == expected.tobytes()


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_identical_and_probabilities_near(name: str, tmp_path: Path) -> None:
    make, classes = LABELLED[name]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(prepared(encoder=encoder), make()).fit(TABLE, classes)
        write(model, tmp_path)
        assert ask(compiled(tmp_path, model), TABLE).ravel().tolist() == (
            model.predict(TABLE).tolist()
        )
        if hasattr(model, "predict_proba"):
            write(model, tmp_path, "predict_proba")
            (tmp_path / "model.so").unlink()
            shares = ask(compiled(_moved(tmp_path), model), TABLE)
            np.testing.assert_allclose(shares, model.predict_proba(TABLE), rtol=1e-6, atol=1e-12)


def _moved(folder: Path) -> Path:
    """The same form in a folder of its own: a library that is loaded stays as it was."""
    other = folder / "again"
    other.mkdir()
    for name in ("form.json", "constants.bin"):
        shutil.copy(folder / name, other / name)
    return other


@needs_compiler
def test_a_category_that_was_not_seen_is_refused_where_the_model_refuses_it(tmp_path: Path) -> None:
    model = make_pipeline(prepared(encoder=OneHotEncoder()), Ridge()).fit(TABLE, Y)
    write(model, tmp_path)
    library = compiled(tmp_path, model)
    strange = TABLE.head(2).assign(**{TEXT: ["a", "never seen"]})
    with pytest.raises(ValueError, match="refuses a value of row 1"):
        ask(library, strange)


@needs_compiler
def test_a_union_with_weights_and_an_indicator_are_read(tmp_path: Path) -> None:
    parts = [("a", StandardScaler()), ("b", Binarizer())]
    union = FeatureUnion(parts, transformer_weights={"a": 0.3})
    model = make_pipeline(SimpleImputer(add_indicator=True), union, Ridge())
    model.fit(TABLE[NUMBERS], Y)
    write(model, tmp_path, table=TABLE[NUMBERS])
    answer = ask(compiled(tmp_path, model), TABLE[NUMBERS]).ravel()
    np.testing.assert_allclose(answer, model.predict(TABLE[NUMBERS]), rtol=1e-9)


def test_what_has_no_operation_is_refused_by_its_name(tmp_path: Path) -> None:
    model = make_pipeline(KNNImputer(), Ridge()).fit(TABLE[NUMBERS], Y)
    with pytest.raises(UnsupportedError, match=r"sklearn\.KNNImputer"):
        write(model, tmp_path, table=TABLE[NUMBERS])


def test_the_same_model_is_the_same_form_and_the_same_c(tmp_path: Path) -> None:
    model = make_pipeline(prepared(), Ridge()).fit(TABLE, Y)
    texts = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        write(model, folder)
        constants = (folder / "constants.bin").read_bytes()
        texts.append((generate_c(read_form(folder)), constants))
    assert texts[0] == texts[1]
    assert 'word"' not in texts[0][0]
    assert b'long "word" */\n' in texts[0][1]


def _forest(folder: Path) -> dict[str, Any]:
    model = RandomForestRegressor(8, random_state=0).fit(TABLE[["k"]], Y)
    write(model, folder, table=TABLE[["k"]])
    found: dict[str, Any] = json.loads((folder / "form.json").read_text(encoding="utf-8"))
    return found


def _trees(form: dict[str, Any]) -> dict[str, Any]:
    (found,) = [each for each in form["operations"] if each["operation"] == "trees"]
    return dict(found)


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a version that is not known": lambda form: form.update(version=2),
    "an operation that is not known": lambda form: form["operations"][1].update(operation="x"),
    "a block that comes later": lambda form: form["operations"][1].update(inputs=[99]),
    "a kind that is not known": lambda form: form["operations"][1].update(kind="int8; evil"),
    "no width": lambda form: form["operations"][1].update(width=0),
    "a width beyond the input's": lambda form: form["operations"][1].update(width=7),
    "a constant beyond the end": lambda form: form["arrays"][-1].update(count=10**9),
    "a constant of another type": lambda form: form["arrays"][-1].update(dtype="<c16"),
    "a column that is not there": lambda form: form["operations"][0]["parameters"].update(column=5),
    "a column that is True": lambda form: form["operations"][0]["parameters"].update(column=True),
    "a column of text for a number": lambda form: form["inputs"][0].update(type="string"),
    "a column of another width": lambda form: form["inputs"][0].update(type="float"),
    "an answer that is not there": lambda form: form["answer"].update(block=50),
    "operations that are no list": lambda form: form.update(operations=7),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_form_that_breaks_its_rules_becomes_no_c(name: str, tmp_path: Path) -> None:
    form = _forest(tmp_path)
    generate_c(read_form(tmp_path))
    BROKEN[name](form)
    (tmp_path / "form.json").write_text(json.dumps(form), encoding="utf-8")
    with pytest.raises(FormError):
        generate_c(read_form(tmp_path))


@pytest.mark.parametrize("name", ["skips", "splits", "node_starts", "asked"])
def test_a_table_that_leads_out_of_its_tree_becomes_no_c(name: str, tmp_path: Path) -> None:
    form = _forest(tmp_path)
    place = form["arrays"][_trees(form)["arrays"][name]]
    whole = bytearray((tmp_path / "constants.bin").read_bytes())
    size = np.dtype(place["dtype"]).itemsize
    last = np.full(1, np.iinfo(place["dtype"]).max, place["dtype"]).tobytes()
    at = place["offset"] + (place["count"] - 1) * size
    whole[at : at + size] = last
    (tmp_path / "constants.bin").write_bytes(bytes(whole))
    with pytest.raises(FormError, match="trees"):
        generate_c(read_form(tmp_path))


def proven(
    folder: Path,
    model: Any,
    change: Callable[[Any], None] = lambda _program: None,
    tolerance: tuple[float, float] = (1e-5, 1e-6),
) -> Any:
    """What the proof makes of the model's library, its program changed before it was compiled."""
    program = write(model, folder)
    changed = write(model, folder)
    change(changed)
    changed.write(folder)
    compiled(folder, model)
    table = {str(name): column.to_numpy() for name, column in TABLE.items()}
    columns = [
        Column(str(name), KINDS.get(str(dtype), "string")) for name, dtype in TABLE.dtypes.items()
    ]
    case = LibraryCase(
        program=program,
        predict=lambda rows: np.asarray(model.predict(pd.DataFrame(rows))),
        model=model,
        inputs=Inputs(columns=tuple(columns)),
        method="predict",
        table=table,
        example=None,
        rtol=tolerance[0],
        atol=tolerance[1],
        seed=0,
    )
    return prove(case, folder / "model.so", case.list_replay_rows())


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize(("name", "exact"), [("boosting", True), ("ridge", False)])
def test_a_library_is_proven_beside_every_threshold(
    name: str,
    exact: bool,  # noqa: FBT001 - of a table
    tmp_path: Path,
) -> None:
    make, answers = EXACT.get(name) or (lambda: make_pipeline(prepared(), Ridge()), Y)
    found = proven(tmp_path, make().fit(TABLE, answers))
    assert "refused" not in found
    evidence = found["evidence"]
    (taken,) = evidence["candidates"]
    assert taken["exact"] is exact
    assert taken["rows"] > ROWS
    assert taken["max_abs_error"] == 0.0 or not exact
    assert (evidence["thresholds_asked"] > 0) is exact
    assert found["options"]["missing_text"] == "\0missing"


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize(
    ("allowed", "taken"),
    [((1e-5, 1e-6), (1e-12, 1e-6)), ((1e-5, 1.0), (1e-12, None)), ((1e-13, 1e-9), (1e-13, 1e-9))],
)
def test_a_proof_allows_no_more_than_the_replay(
    allowed: tuple[float, float], taken: tuple[float, float | None], tmp_path: Path
) -> None:
    """Answers of 1e7 would have 1e-5 near zero, to which no booted artifact is held."""
    model = make_pipeline(prepared(), Ridge()).fit(TABLE, Y * 1e7)
    found = proven(tmp_path, model, tolerance=allowed)
    assert "refused" not in found
    evidence = found["evidence"]
    relative, absolute = taken
    assert evidence["rtol"] == relative
    assert evidence["atol"] == absolute if absolute else 1e-6 < evidence["atol"] < 1.0
    assert evidence["candidates"][0]["atol"] == evidence["atol"]


@pytest.mark.few(0)
@needs_compiler
def test_sums_are_refused_where_no_difference_is_allowed(tmp_path: Path) -> None:
    model = make_pipeline(prepared(), Ridge()).fit(TABLE, Y)
    assert "rows differ" in proven(tmp_path, model, tolerance=(0.0, 0.0))["refused"][0]


@pytest.mark.few(0)
@needs_compiler
def test_one_threshold_that_is_the_next_double_is_noticed(tmp_path: Path) -> None:
    def move(program: Any) -> None:
        for each in program.operations:
            if each["operation"] == "trees":
                values = program.constants[each["arrays"]["thresholds"]].copy()
                values[:] = np.nextafter(values, np.inf)
                program.constants[each["arrays"]["thresholds"]] = values

    model = make_pipeline(prepared(), HistGradientBoostingRegressor(max_iter=4)).fit(TABLE, Y)
    (why,) = proven(tmp_path, model, move)["refused"]
    assert "rows differ: threshold: " in why


@pytest.mark.parametrize(("arch", "target"), [("x86_64", "x86_64"), ("arm64", "aarch64")])
def test_the_compiler_is_told_the_target_and_strict_arithmetic(
    arch: str, target: str, tmp_path: Path
) -> None:
    python, library = tmp_path / "python", tiny_elf.library(architecture=arch)
    (tmp_path / "library").write_bytes(library)
    python.write_text(
        f"#!/bin/sh\ncat {tmp_path}/library model.c constants.bin > model.so\n"
        'echo "$@ bytecode: $PYTHONDONTWRITEBYTECODE" >> model.so\n'
    )
    python.chmod(0o755)
    made = compile_library(python, "C\n", b"words\n", tmp_path / "made", arch, tmp_path)
    assert [path.name for path in made.parent.iterdir()] == ["model.so"]
    added = made.read_bytes().removeprefix(library).decode()
    source, constants, command = added.splitlines()
    assert (source, constants) == ("C", "words")
    assert command.startswith(f"-m ziglang cc -target {target}-linux-gnu.2.17 ")
    assert "-ffp-contract=off -fno-fast-math" in command
    assert command.endswith(" bytecode: 1")


def test_extraction_is_read_by_python_3_8() -> None:
    for path in sorted(Path(extraction.__path__[0]).rglob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_a_column_is_three_pointers() -> None:
    assert ctypes.sizeof(_libraries.Column) == 3 * ctypes.sizeof(ctypes.c_void_p)


@pytest.mark.few(0)
@needs_compiler
def test_a_forest_of_several_threads_is_held_to_one_while_it_is_compared(tmp_path: Path) -> None:
    mlflow_sklearn = pytest.importorskip("mlflow.sklearn")
    table = pd.DataFrame(RNG.normal(size=(300, 4)), columns=list("abcd"))
    forest = RandomForestRegressor(60, n_jobs=2, random_state=0).fit(table, table["a"] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow_sklearn.save_model(
            forest, tmp_path / "model", serialization_format="cloudpickle",
            signature=infer_signature(table, forest.predict(table)), pip_requirements=[],
        )  # fmt: skip
    rows = {name: column.tolist() for name, column in table.items()}
    asked = tmp_path / "asked.json"
    wanted = {"table": rows, "example": None, "rtol": 0, "atol": 0, "seed": 0, "inexact": True}
    asked.write_text(json.dumps(wanted))
    out, told, library = tmp_path / "out", tmp_path / "told", tmp_path / "model.so"
    out.mkdir()
    worker = (sys.executable, "-m", "packager.engines.machine_code.worker", tmp_path / "model", out)

    with subprocess.Popen((*worker, asked, told, library)) as running:
        while not (out / "read").exists():
            assert running.poll() is None
            time.sleep(0.02)
        shutil.move(compile_form(out), library)
        told.write_text("compare")
    assert running.returncode == 0
    assert json.loads((out / "rows.json").read_text())

    found = json.loads((out / "result.json").read_text())
    assert "refused" not in found
    (candidate,) = found["evidence"]["candidates"]
    assert candidate["max_abs_error"] == 0.0


_TELLING = """
import sys, mlflow.pyfunc, threadpoolctl
from packager.engines.machine_code import worker
from packager.engines.proof.inputs import RefusedError

def tell(*given, **more):
    raise RefusedError(str([each["num_threads"] for each in threadpoolctl.threadpool_info()]))

mlflow.pyfunc.load_model = tell
worker.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_library_is_compared_with_sums_of_one_thread(tmp_path: Path) -> None:
    """However many this machine has: the replay's answers are recorded with one."""
    given = {**os.environ, **dict.fromkeys(_threads.VARIABLES, "3")}
    asked = tmp_path / "asked.json"
    asked.write_text("{}")
    command = (sys.executable, "-c", _TELLING, tmp_path, tmp_path, asked, tmp_path, tmp_path)
    subprocess.run(command, check=True, capture_output=True, env=given)
    (told,) = json.loads((tmp_path / "result.json").read_text())["refused"]
    assert set(ast.literal_eval(told)) == {1}

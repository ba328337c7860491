"""Models at the ends of what can be fitted or altered: an answer as the model's, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import AffinityPropagation, MeanShift
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge
from sklearn.multioutput import RegressorChain
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from packager.engines.machine_code import form
from packager.engines.machine_code.edges import Edges
from packager.engines.machine_code.extraction.estimators import sklearn_trees
from packager.engines.machine_code.extraction.families import extract_program
from packager.engines.machine_code.extraction.program import UnsupportedError
from packager.engines.machine_code.extraction.transformers import scalers
from packager.engines.machine_code.extraction.tree_tables import round_to_float
from packager.engines.machine_code.form import FormError, read_form
from packager.engines.proof import test_rows
from tests.engines import asking
from tests.engines.libraries import compare
from tests.engines.test_machine_code import ask, compiled, needs_compiler, write

HOSTILE = "w\"\\'*/ ??/\n#%{}\r\x00\u2028"
NUMBERS = pd.DataFrame({"x": [-0.0, 0.0, 1.0, 5.0], "y": [1.0, 2.0, 3.0, 4.0]})


def answer_both(model: Any, table: pd.DataFrame, folder: Path) -> tuple[Any, Any]:
    """The model's own answers and its library's."""
    write(model, folder, table=table)
    expected = np.asarray(model.predict(table))
    return expected, ask(compiled(folder, model), table).ravel().astype(expected.dtype)


@pytest.mark.few(3)
@needs_compiler
@pytest.mark.parametrize("threshold", [np.nan, np.inf, -np.inf, -0.0, 5e-324])
def test_a_threshold_that_no_training_gives_is_compared_as_the_model_does(
    threshold: float, tmp_path: Path
) -> None:
    model = DecisionTreeRegressor().fit(NUMBERS, [1.0, -0.0, 0.0, 3.0])
    state = model.tree_.__getstate__()
    state["nodes"]["threshold"][0] = threshold
    model.tree_.__setstate__(state)
    expected, answer = answer_both(model, NUMBERS, tmp_path)
    assert answer.tobytes() == expected.tobytes()


@needs_compiler
@pytest.mark.parametrize("release", [(0, 24, 2), (1, 3, 2)])
def test_leaves_that_count_rows_become_shares(
    release: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leaf had the weights of its rows up to scikit-learn 1.3, which a forest divides."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=300), "y": rng.normal(size=300)})
    forest = RandomForestClassifier(8, max_depth=3, random_state=0)
    forest.fit(table, table["x"] + rng.normal(size=300) > 0)
    expected = forest.predict(table)
    for part in forest.estimators_:
        state = part.tree_.__getstate__()
        state["values"] *= part.tree_.weighted_n_node_samples[:, np.newaxis, np.newaxis]
        part.tree_.__setstate__(state)
    assert (forest.predict(table) != expected).any()  # by today's way of counts
    monkeypatch.setattr(sklearn_trees, "version_of", lambda _package: release)
    write(forest, tmp_path, table=table)
    answer = ask(compiled(tmp_path, forest), table).ravel().astype(expected.dtype)
    assert answer.tolist() == expected.tolist()


@needs_compiler
def test_labels_and_names_are_data(tmp_path: Path) -> None:
    labels = np.array([HOSTILE, "b\\", "\u00e9", HOSTILE * 2], dtype=object)
    table = NUMBERS.rename(columns={"x": HOSTILE})
    expected, answer = answer_both(DecisionTreeClassifier().fit(table, labels), table, tmp_path)
    assert answer.tolist() == expected.tolist()
    assert "w" + '"' not in (tmp_path / "model.c").read_text(encoding="ascii")


@pytest.mark.few(0)
@needs_compiler
def test_many_hostile_words_are_told_apart(tmp_path: Path) -> None:
    words = np.array([f"{at}{HOSTILE}" for at in range(100_000)], dtype=object)
    table = pd.DataFrame({HOSTILE: words})
    encoder = ColumnTransformer([("o", OrdinalEncoder(), [HOSTILE])])
    model = make_pipeline(encoder, DecisionTreeRegressor(max_depth=6))
    expected, answer = answer_both(model.fit(table, np.arange(100_000.0) % 7), table, tmp_path)
    assert answer.tobytes() == expected.tobytes()
    assert (tmp_path / "model.c").stat().st_size < 20_000


@pytest.mark.few(0)
@needs_compiler
def test_a_tree_of_thousands_of_levels_is_walked(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": np.arange(4000.0)})
    model = DecisionTreeRegressor().fit(table, np.exp(np.minimum(700.0, table["x"] / 6)))
    assert model.get_depth() > 3000
    expected, answer = answer_both(model, table, tmp_path)
    assert answer.tobytes() == expected.tobytes()


@pytest.mark.few(0)
@needs_compiler
def test_a_tree_deeper_than_any_that_is_called_by_itself(tmp_path: Path) -> None:
    """A chain of 11,000 splits, each of which parts one row."""
    depth = 11_000
    splits = 2 * np.arange(depth)
    table = pd.DataFrame({"x": np.arange(depth + 1.0)})
    model = DecisionTreeRegressor().fit(table[:2], [0.0, 1.0])
    state = model.tree_.__getstate__()
    model.tree_ = type(model.tree_)(1, np.array([1], np.intp), 1)
    nodes = np.zeros(2 * depth + 1, state["nodes"].dtype)
    nodes["left_child"] = nodes["right_child"] = -1
    nodes["left_child"][splits], nodes["right_child"][splits] = splits + 1, splits + 2
    nodes["threshold"][splits] = splits / 2 + 0.5
    values = np.zeros((2 * depth + 1, 1, 1))
    values[1::2, 0, 0], values[-1] = np.arange(depth), depth
    state.update(max_depth=depth, node_count=len(nodes), nodes=nodes, values=values)
    model.tree_.__setstate__(state)
    expected, answer = answer_both(model, table, tmp_path)
    assert expected.tolist() == table["x"].tolist()
    assert answer.tolist() == expected.tolist()


def test_more_than_an_artifact_holds_is_refused_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(DecisionTreeRegressor().fit(NUMBERS, [1, 2, 3, 4]), tmp_path, table=NUMBERS)
    monkeypatch.setattr(form, "MOST_BYTES", 64)
    with pytest.raises(FormError, match=r"[0-9]+ bytes in constants\.bin, and 64 are"):
        read_form(tmp_path)


FLOATS = np.array(
    [0.0, -0.0, 1e-45, -1e-45, 1.0, 1.0000001, 3e38, np.inf, -np.inf, np.nan, 0.1, -0.1, 2.0**24],
    np.float32,
)


@pytest.mark.parametrize("less", ["<=", "<"])
def test_thresholds_in_float_part_floats_as_those_in_double(less: str) -> None:
    close = FLOATS.astype(np.float64)
    beside = [np.nextafter(close, end) for end in (-np.inf, np.inf)]
    thresholds = np.concatenate([close, *beside, [1e300, -1e300, 1e-300, 0.1]])
    narrow = round_to_float(thresholds, less)
    compare = np.less_equal if less == "<=" else np.less
    assert narrow.dtype == np.float32
    for at, threshold in enumerate(thresholds):
        expected = compare(FLOATS.astype(np.float64), threshold)
        assert (compare(FLOATS, narrow[at]) == expected).all(), threshold


class _Raising:
    """A fitted object that fails in whatever way when it is read."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._error


@pytest.mark.parametrize("error", [RuntimeError("no"), ZeroDivisionError(), OSError("gone")])
def test_a_model_that_raises_while_it_is_read_is_refused(error: Exception) -> None:
    kind = type("Ridge", (_Raising,), {"__module__": "sklearn.linear_model"})
    with pytest.raises(UnsupportedError, match=r"sklearn\.Ridge in a form that is not known"):
        extract_program(kind(error), ["a"], ["double"], "predict")


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize("options", [{}, {"with_std": False}, {"with_mean": False}], ids=str)
def test_a_scaler_of_floats_goes_the_model_s_way_at_each_threshold(
    options: dict[str, bool], tmp_path: Path
) -> None:
    """Where the data is float32 some releases round the scaler's own numbers to it first."""
    chance = np.random.default_rng(1)
    table = pd.DataFrame(
        {name: chance.normal(1 / 3, 1, 260).astype(np.float32) for name in ("a", "x")}
    )
    model = make_pipeline(
        StandardScaler(**options), GradientBoostingRegressor(n_estimators=8, random_state=0)
    ).fit(table, table["a"] + table["x"] / 2)

    found = compare(model, table, table, "predict", tmp_path)

    assert (found.state, found.refused, found.wrong) == ("compiled", "", [])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_release_s_own_way_with_floats_is_found_by_asking_it(
    kind: type[np.floating[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def transform(scaler: StandardScaler, data: Any) -> Any:
        return (data - scaler.mean_.astype(kind)).astype(np.float32)

    monkeypatch.setattr(StandardScaler, "transform", transform)
    assert scalers.rounds_constants.__wrapped__() is (kind is np.float32)


WIDE: dict[str, tuple[Any, str]] = {
    "a target that is taken back": (TransformedTargetRegressor(LinearRegression()), "predict"),
    "a target that is scaled": (
        TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
        "predict",
    ),
    "scores that are calibrated by steps": (
        CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2),
        "predict_proba",
    ),
}


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WIDE)
def test_what_is_estimated_beyond_any_double_is_refused_where_the_model_does(
    name: str, tmp_path: Path
) -> None:
    """`compare` asks for rows that have the largest double, which a proof's own have not."""
    model, method = WIDE[name]
    chance = np.random.default_rng(0)
    table = pd.DataFrame(chance.normal(size=(200, 3)) * 3, columns=list("abc"))
    sums = 4 * table["a"] - 3 * table["b"] + 2.5 * table["c"] + chance.normal(size=200)
    fitted = model.fit(table, sums if method == "predict" else sums > 0)
    found = compare(fitted, table, table * 0.9, method, tmp_path)
    assert (found.state, found.wrong) == ("compiled", [])


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize(
    "model", [NearestCentroid(), MeanShift(bandwidth=0.5), AffinityPropagation(random_state=0)]
)
def test_the_nearest_of_points_that_rounding_alone_tells_apart(model: Any, tmp_path: Path) -> None:
    """Squares of 1e28 and more: as far as a cell is from all points, few bits tell which."""
    rng = np.random.default_rng(5)
    classes = rng.integers(0, 4, 200)
    table = pd.DataFrame(rng.random((200, 4)), columns=list("abcd"))
    table["a"] += classes * 0.3
    write(model.fit(table, classes), tmp_path, table=table)
    library = compiled(tmp_path, model)
    for name in table:
        for value in (1e14, 1e15, 1e16, 1e17, -1e14, -1e15, -1e16, -1e17):
            # one row at a time: of many the model takes roots, by how a table lies in memory
            for at in range(3):
                row = table.iloc[at : at + 1].assign(**{str(name): value})
                assert ask(library, row).ravel().tolist() == model.predict(row).tolist()


@pytest.mark.few(0)
@needs_compiler
@pytest.mark.filterwarnings("ignore")
def test_the_largest_numbers_are_part_of_the_proof(tmp_path: Path) -> None:
    """A chain over a sparse table goes on with a sum that has overflowed."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=200), "w": np.array(["a", "b"] * 100, object)})
    answers = np.stack([2 * table["x"], -3 * table["x"] + 1, table["x"] ** 2], axis=1)
    parts = [("words", OneHotEncoder(), ["w"]), ("numbers", "passthrough", ["x"])]
    prepared = ColumnTransformer(parts, sparse_threshold=1)
    model = make_pipeline(prepared, RegressorChain(ElasticNet(alpha=0.01))).fit(table, answers)
    found = compare(model, table, table.head(20), "predict", tmp_path)
    assert (found.wrong, found.state) == ([], "refused")
    assert "1.7976931348623157e+308" in found.refused


@pytest.mark.few(0)
@needs_compiler
@pytest.mark.filterwarnings("ignore")
def test_a_distance_of_which_nothing_is_left_is_refused_as_by_the_model(tmp_path: Path) -> None:
    """A square and a product overflow together, which makes no number of the kernel."""
    table = pd.DataFrame(asking.table(200))
    _classes, numbers = asking.targets(asking.table(200))
    model = make_pipeline(Nystroem(random_state=0), LinearRegression()).fit(table, numbers)
    far = table.head(8).assign(a=[1.7e308, -1.7e308, 9e307, -9e307, 1e300, 1e160, -1e160, 1e15])
    found = compare(model, table, far, "predict", tmp_path)
    assert (found.refused, found.wrong) == ("", [])


CODES = pd.DataFrame(
    {
        "x": [0.25, 1.5, 4.75, 0.25, 1.5, 4.75],
        "n": [3, 900, 3, 900, 77, 77],
        "place": ["Rome", "Bonn", "Rome", "Bonn", "Rome", "Oslo"],
        "kind": np.array(["a", "b", "b", "a", "a", "b"], dtype=object),
    }
)


def encode_codes(numbers: list[str]) -> Any:
    """Unknown numbers become NaN, which the estimator refuses; unknown words a number."""
    return make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), numbers),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["place"]),
    )


CODERS: dict[str, Any] = {
    "one column beside the words": encode_codes(["x"]),
    "two columns beside the words": encode_codes(["x", "n"]),
    "each column": OneHotEncoder(handle_unknown="error"),
}


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize("name", CODERS)
def test_a_model_that_refuses_what_is_drawn_is_proven_with_its_own_categories(
    name: str, tmp_path: Path
) -> None:
    """A word that is missing is hidden behind a number that no encoder knows."""
    model = make_pipeline(CODERS[name], AdaBoostClassifier(n_estimators=3, random_state=0))
    model.fit(CODES, [0, 1, 0, 1, 1, 0])
    drawn = CODES.assign(x=CODES["x"] + 0.125, n=CODES["n"] + 1, kind="c")
    found = compare(model, drawn, CODES, "predict", tmp_path)
    assert (found.state, found.wrong) == ("compiled", [])
    assert found.rows > len(CODES)


def test_categories_are_traced_back_to_their_columns() -> None:
    """Those that two encoders of a column have in common, whatever stands between."""
    scaled = make_pipeline(FunctionTransformer(), OrdinalEncoder())
    other = OrdinalEncoder(categories=[["Bonn", "Rome", "Ulm"]], handle_unknown="error")
    encoder = make_column_transformer(
        (scaled, ["x"]), (OneHotEncoder(), ["n", "place"]), (other, ["place"])
    )
    table = CODES.replace({"place": {"Oslo": "Rome"}})
    model = make_pipeline(encoder, DecisionTreeRegressor()).fit(table, table["x"])
    kinds = ["double", "long", "string", "string"]
    program = extract_program(model, list(table.columns), kinds, "predict")
    known = Edges(program).known()
    assert known == {0: [0.25, 1.5, 4.75], 1: [3.0, 77.0, 900.0], 2: ["Bonn", "Rome"]}


def test_categories_are_drawn_into_columns_that_can_hold_them() -> None:
    table = {
        "i": np.zeros(50, np.int32),
        "f": np.zeros(50, np.float32),
        "w": np.array(["never"] * 50, object),
        "rest": np.ones(50),
    }
    known: dict[str, list[str | float]] = {
        "i": [7.0, 0.5, 3e9, float("inf")],
        "f": [0.5, "a"],
        "w": ["a", "b", 1.0],
    }
    filled = test_rows.fill_categories(table, known, np.random.default_rng(0))
    assert [column.dtype for column in filled.values()] == [each.dtype for each in table.values()]
    drawn = {name: set(column.tolist()) for name, column in filled.items()}
    assert drawn == {"i": {7}, "f": {0.5}, "w": {"a", "b"}, "rest": {1.0}}

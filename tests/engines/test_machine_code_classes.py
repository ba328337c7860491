"""Classes of scikit-learn that are rare in pipelines: proven, and right beyond the proof."""

from __future__ import annotations

import pickle
import pickletools
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import Birch, BisectingKMeans, FeatureAgglomeration
from sklearn.decomposition import (
    DictionaryLearning,
    LatentDirichletAllocation,
    MiniBatchDictionaryLearning,
    MiniBatchSparsePCA,
    SparseCoder,
    SparsePCA,
)
from sklearn.ensemble import RandomTreesEmbedding
from sklearn.feature_selection import SelectKBest, SelectPercentile
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import KNNImputer
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    PolynomialCountSketch,
    SkewedChi2Sampler,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.manifold import Isomap, LocallyLinearEmbedding
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import (
    KNeighborsTransformer,
    LocalOutlierFactor,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
    RadiusNeighborsTransformer,
)
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import all_estimators

from handlers.loaders.machine_code import Library
from packager.engines import _known_classes
from packager.engines.machine_code.extraction.estimators.linear import weigh
from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import table_of, take
from packager.engines.machine_code.form import FormError
from tests.engines import asking, estimators
from tests.engines.libraries import (
    COMPILER,
    NO_COMPILER,
    Compared,
    compare,
    compile_form,
    extract,
    write_c,
)

pytestmark = [
    pytest.mark.skipif(not COMPILER, reason=NO_COMPILER),
    pytest.mark.filterwarnings("ignore"),
]
ROWS: Final = 256
"""A power of two: a manifold's means of as many equal numbers are not rounded."""
TABLE: Final = pd.DataFrame(asking.table(ROWS))
CLASSES, NUMBERS = asking.targets(asking.table(ROWS))
OPTIONS: Final = {"dtype": "float64", "shape": []}
ROOT: Final = Path(__file__).resolve().parents[2]
MISSING: Final = TABLE.mask(np.random.default_rng(0).random(TABLE.shape) < 0.1)

TRANSFORMERS: Final = {
    "waves over logarithms": AdditiveChi2Sampler(sample_steps=3),
    "waves over skewed logarithms": SkewedChi2Sampler(n_components=5, random_state=0),
    "a sketch of products": PolynomialCountSketch(
        degree=3, coef0=2, n_components=11, random_state=0
    ),
    "a manifold": Isomap(n_neighbors=6),
    "distances to neighbours": KNeighborsTransformer(n_neighbors=4),
    "neighbours": KNeighborsTransformer(n_neighbors=4, mode="connectivity", algorithm="brute"),
    "distances within a radius": RadiusNeighborsTransformer(radius=2.0),
    "points within a radius": RadiusNeighborsTransformer(radius=2.0, mode="connectivity"),
    "leaves of random trees": RandomTreesEmbedding(n_estimators=5, random_state=0),
    "atoms": DictionaryLearning(3, transform_n_nonzero_coefs=2, max_iter=5, random_state=0),
    "atoms by batches": MiniBatchDictionaryLearning(3, max_iter=5, random_state=0),
    "topics": LatentDirichletAllocation(3, max_iter=2, random_state=0),
    "an embedding": LocallyLinearEmbedding(n_neighbors=6, random_state=0),
    "an embedding by all points": LocallyLinearEmbedding(
        n_neighbors=4, neighbors_algorithm="brute", random_state=0
    ),
    "sparse components": SparsePCA(random_state=0),
    "one sparse component": MiniBatchSparsePCA(1, random_state=0),
    "given atoms": SparseCoder(np.eye(4)[:3] + 0.1, transform_n_nonzero_coefs=3),
}
ESTIMATORS: Final = {
    "bisected clusters": (BisectingKMeans(5, random_state=0), NUMBERS, "predict"),
    "clusters of a tree": (Birch(n_clusters=4), NUMBERS, "predict"),
    "a process of classes": (GaussianProcessClassifier(random_state=0), CLASSES, "predict_proba"),
    "a process of two classes": (GaussianProcessClassifier(), CLASSES > 1, "predict_proba"),
    "labels of a process": (GaussianProcessClassifier(), CLASSES, "predict"),
    "codes of classes": (
        OutputCodeClassifier(LogisticRegression(), random_state=0), CLASSES, "predict",
    ),
    "outliers by density": (LocalOutlierFactor(novelty=True), NUMBERS, "predict"),
    "outliers among all points": (
        LocalOutlierFactor(5, novelty=True, algorithm="brute", contamination=0.1),
        NUMBERS, "predict",
    ),
    "outliers by another metric": (
        LocalOutlierFactor(7, novelty=True, metric="manhattan"), NUMBERS, "predict",
    ),
    "votes around": (RadiusNeighborsClassifier(3.0), CLASSES, "predict_proba"),
    "votes around, the nearer the more": (
        RadiusNeighborsClassifier(3.0, weights="distance"), CLASSES, "predict",
    ),
    "means around": (RadiusNeighborsRegressor(3.0, weights="distance"), NUMBERS, "predict"),
    "labels of its own": (
        SelfTrainingClassifier(LogisticRegression()),
        np.where(np.arange(ROWS) % 3 == 0, -1, CLASSES),
        "predict_proba",
    ),
}  # fmt: skip


def hold(model: Any, answers: Any, folder: Path, method: str, table: Any = TABLE) -> Compared:
    fresh = pd.DataFrame(asking.table(800, seed=7))
    if table is MISSING:
        fresh = fresh.mask(np.random.default_rng(1).random(fresh.shape) < 0.2)
    return compare(model.fit(table, answers), table, fresh, method, folder)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_before_a_line(name: str, tmp_path: Path) -> None:
    model = make_pipeline(TRANSFORMERS[name], LinearRegression())
    found = hold(model, NUMBERS, tmp_path, "predict")
    assert (found.refused, found.wrong) == ("", [])


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_by_itself(name: str, tmp_path: Path) -> None:
    estimator, answers, method = ESTIMATORS[name]
    found = hold(estimator, answers, tmp_path, method)
    assert (found.refused, found.wrong) == ("", [])


def test_a_row_that_a_model_refuses_alone_is_refused_alone(tmp_path: Path) -> None:
    """The regression within drops an axis where it has one answer."""
    model = make_pipeline(SparsePCA(2, random_state=0), LinearRegression()).fit(TABLE, NUMBERS)
    program = extract(model, TABLE, "predict")
    program.write(tmp_path)
    library = Library(compile_form(tmp_path), OPTIONS)
    feeds = {str(name): TABLE[name].to_numpy()[:2] for name in TABLE}
    np.testing.assert_allclose(library.run([], feeds)[0].ravel(), model.predict(TABLE.head(2)))
    with pytest.raises(ValueError, match="Expected 2D array"):
        model.predict(TABLE.head(1))
    with pytest.raises(ValueError, match="refuses a value of row 0"):
        library.run([], {name: values[:1] for name, values in feeds.items()})


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "model",
    [
        LocalOutlierFactor(novelty=True),
        make_pipeline(LocallyLinearEmbedding(), LinearRegression()),
        make_pipeline(LatentDirichletAllocation(2), LinearRegression()),
    ],
    ids=str,
)
def test_what_is_computed_in_floats_is_refused(model: Any) -> None:
    table = TABLE.astype(np.float32)
    with pytest.raises(UnsupportedError, match="over floats"):
        extract(model.fit(table, NUMBERS), table, "predict")


def test_outliers_of_the_training_rows_alone_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="without novelty"):
        extract(LocalOutlierFactor().fit(TABLE), TABLE, "predict")


@pytest.mark.few(0)
def test_kernels_that_all_but_cancel_are_near_enough(tmp_path: Path) -> None:
    """One lane's rounding of 300 terms was as large as what is allowed."""
    table = pd.DataFrame(estimators.TABLE)
    model = KernelRidge().fit(table, estimators.NUMBERS)
    found = compare(model, table, pd.DataFrame(asking.table(100, seed=5)), "predict", tmp_path)
    assert (found.refused, found.wrong) == ("", [])


@pytest.mark.parametrize("lanes", [1, 8])
def test_a_long_sum_has_as_many_lanes_as_are_given(lanes: int, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=301) * 1e6
    program = Program()
    wide = take(program, program.add_input("double"), [0] * len(weights))
    program.set_answer(weigh(program, table_of(wide), weights, np.ones(1), lanes))
    program.write(tmp_path)
    ask = Library(compile_form(tmp_path), OPTIONS).run
    whole = len(weights) // lanes * lanes
    parts = np.zeros(lanes)
    for each in (weights[:whole] * 1.1).reshape(-1, lanes):
        parts += each
    expected = 0.0
    for term in (*parts, *(weights[whole:] * 1.1)):
        expected += term
    answer = ask([], {"a": np.full(1, 1.1)})[0].item()
    assert answer == expected + 1.0
    assert (answer == float(np.cumsum(weights * 1.1)[-1]) + 1.0) is (lanes == 1)


@pytest.mark.parametrize("lanes", [0, -1, 65, 2.0, True, "8"])
def test_lanes_that_are_no_number_of_them_become_no_c(lanes: Any, tmp_path: Path) -> None:
    program = Program()
    program.set_answer(
        weigh(program, table_of(program.add_input("double")), np.ones(1), np.ones(1))
    )
    program.operations[-1]["parameters"]["lanes"] = lanes
    program.write(tmp_path)
    with pytest.raises(FormError, match="for lanes"):
        write_c(tmp_path)


def test_a_step_may_compute_with_more_than_a_stack_holds(tmp_path: Path) -> None:
    program = Program()
    block = program.add_input("double")
    points = np.zeros(1_200_000)
    wide = program.add(
        "distances", [block], "double", len(points), metric="manhattan", points=points
    )
    total = program.add("norm", [wide], "double", 1, how="sum", least=np.zeros(1))
    program.set_answer(total)
    program.write(tmp_path)
    compile_form(tmp_path)
    asked = (
        "import numpy as np, sys; from pathlib import Path;"
        "from handlers.loaders.machine_code import Library;"
        f"ask = Library(Path(sys.argv[1]), {OPTIONS}).run;"
        "print(ask([], {'a': np.full(1, 2.0)})[0].item())"
    )
    given = [sys.executable, "-c", asked, str(tmp_path / "model.so")]
    done = subprocess.run(given, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "2400000.0\n")


def test_missing_values_from_neighbours_are_refused(tmp_path: Path) -> None:
    """Of points that are as far, a selection in numpy takes some that no order of theirs tells."""
    model = make_pipeline(KNNImputer(n_neighbors=3), LinearRegression())
    found = hold(model, NUMBERS, tmp_path, "predict", MISSING)
    assert found.refused == "no operation for the transformer sklearn.KNNImputer"


@pytest.mark.few(0)
def test_classes_of_one_score_are_taken_as_the_version_takes_them(tmp_path: Path) -> None:
    """Far from all that was seen each class is as likely."""
    model = OneVsRestClassifier(GaussianNB()).fit(TABLE, CLASSES)
    far = TABLE.head(4) * 0.0 + 1e30
    found = compare(model, TABLE, far, "predict", tmp_path)
    assert (found.refused, found.wrong) == ("", [])


@pytest.mark.parametrize("missing", [False, True])
def test_lightgbm_reads_what_is_as_small_as_its_zero_as_zero(
    missing: bool,  # noqa: FBT001 - of a table
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 0.0, 1.0], (300, 2))
    table = pd.DataFrame(signs, columns=["a", "b"])
    if missing:
        table = table.mask(rng.random(table.shape) < 0.1)
    fitted = lightgbm.LGBMRegressor(n_estimators=8, verbose=-1, n_jobs=1).fit(
        table, signs[:, 0] + signs[:, 1] * 2
    )
    zero = float(np.float32(1e-35))
    tiny = [each * sign for each in (zero, zero / 2, zero * 2, 5e-324) for sign in (-1, 1)]
    tiny += [float(np.nextafter(each, np.inf)) for each in tiny]
    fresh = pd.DataFrame([(one, other) for one in tiny for other in tiny], columns=["a", "b"])
    found = compare(fitted, table, fresh, "predict", tmp_path)
    assert (found.refused, found.wrong, found.exact) == ("", [], True)


OFTEN: Final = (
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    make_pipeline(SelectKBest(k=2), LogisticRegression()),
    make_pipeline(SelectPercentile(percentile=60), FeatureAgglomeration(), LogisticRegression()),
)


@pytest.mark.few(0)
def test_the_files_of_these_name_no_class_without_a_reader() -> None:
    """Or a build that names no engine would not try to compile them."""
    parts = [make_pipeline(each, LinearRegression()) for each in TRANSFORMERS.values()]
    models = [
        *(each.fit(TABLE, NUMBERS) for each in parts),
        *(each.fit(TABLE, answers) for each, answers, _method in ESTIMATORS.values()),
        *(each.fit(TABLE, CLASSES) for each in OFTEN),
    ]
    for model in models:
        assert list(_known_classes._list_strange(_list_names(model))) == []


def _list_names(model: Any) -> set[str]:
    found: set[str] = set()
    words: list[str] = []
    for operation, argument, _at in pickletools.genops(pickle.dumps(model, 2)):
        if operation.name == "GLOBAL":
            found.add(str(argument).replace(" ", "."))
        elif isinstance(argument, str):
            words.append(argument)
    return found


@pytest.mark.few(9)
@pytest.mark.parametrize("name", sorted(_known_classes._SUMMED))
def test_what_is_ruled_out_before_it_is_read_is_never_equal_to_the_last_bit(name: str) -> None:
    made = estimators.make_estimator(dict(all_estimators())[name])
    if hasattr(made, "predict"):
        model = made.fit(TABLE, np.abs(estimators.draw_answers(made))[:ROWS] + 1)
    else:
        model = make_pipeline(made, DecisionTreeRegressor(max_depth=3)).fit(TABLE, NUMBERS)
    assert not extract(model, TABLE, "predict").exact

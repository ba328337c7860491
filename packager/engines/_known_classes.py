"""Classes that a model's file names, and those of them that machine code has no reader of.

Nothing is loaded, so a class tells no more than that its family is read: a fitted object of it may
still be one that the engine refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from packager.engines.machine_code.extraction import families
from packager.engines.machine_code.extraction.transformers import functions
from packager.errors import ModelFormatError
from packager.models.flavors import _look
from packager.types import LoaderSpec, ResolvedModel

_BOOSTERS: Final = {"xgboost": "xgboost.core.Booster", "lightgbm": "lightgbm.basic.Booster"}
"""Classes of models whose MLmodel names none."""
_PLAIN: Final = frozenset(
    {"__builtin__", "_codecs", "builtins", "collections", "copy_reg", "copyreg", "joblib"}
    | {"pandas", "scipy"}
)
"""Packages whose objects hold values: arrays, indexes, splines."""
_VALUES: Final = frozenset(
    {"MaskedArray", "_frombuffer", "_mareconstruct", "_reconstruct", "_ufunc_reconstruct"}
    | {"dtype", "mean", "ndarray", "scalar"}
)
"""Names of numpy's by which arrays and functions are rebuilt, and of functions that are kept."""
_KINDS: Final = ("bool", "complex", "float", "int", "object", "str", "uint")
_PARTS: Final = (
    "lightgbm.compat",
    "numpy.random",
    "sklearn._loss",
    "sklearn.cluster._birch",
    "sklearn.ensemble._gb_losses",
    "sklearn.ensemble._hist_gradient_boosting.binning",
    "sklearn.ensemble._hist_gradient_boosting.loss",
    "sklearn.ensemble._hist_gradient_boosting.predictor",
    "sklearn.feature_selection._univariate_selection",
    "sklearn.gaussian_process.kernels",
    "sklearn.linear_model._glm.link",
    "sklearn.linear_model._sgd_fast",
    "sklearn.metrics",
    "sklearn.model_selection._split",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors._dist_metrics",
    "sklearn.neighbors._kd_tree",
    "sklearn.neural_network._stochastic_optimizers",
    "sklearn.preprocessing._label",
    "sklearn.tree._criterion",
    "sklearn.tree._tree",
    "sklearn.utils",
)
"""Modules of what an estimator is made of."""
_PRIVATE: Final = frozenset(
    {"KernelCenterer", "NearestNeighbors", "_BisectingTree", "_CalibratedClassifier"}
    | {"_SigmoidCalibration", "_kmeans_single_elkan", "_kmeans_single_lloyd"}
)
"""Classes of what an estimator is made of, in modules that have others."""


_SUMMED: Final = frozenset(
    {"ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "GammaRegressor", "GaussianNB"}
    | {"GaussianProcessClassifier", "GaussianProcessRegressor", "HuberRegressor", "KMeans"}
    | {"KNeighborsClassifier", "KNeighborsRegressor", "Lasso", "LassoCV", "LinearRegression"}
    | {"LinearDiscriminantAnalysis", "LinearSVC", "LinearSVR", "LogisticRegression", "NuSVC"}
    | {"LogisticRegressionCV", "MLPClassifier", "MLPRegressor", "MultinomialNB", "Normalizer"}
    | {"NuSVR", "PCA", "PoissonRegressor", "PowerTransformer", "Ridge", "RidgeCV", "SGDRegressor"}
    | {"RidgeClassifier", "RidgeClassifierCV", "SGDClassifier", "SVC", "SVR", "TruncatedSVD"}
    | {"TweedieRegressor"}
)
"""Classes of scikit-learn's whose answers are sums by a BLAS, exp and its relatives."""
_CHOOSERS: Final = frozenset(
    {"GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV", "RFE", "RFECV"}
    | {"RandomizedSearchCV", "SelectFromModel", "SequentialFeatureSelector"}
)
"""Classes that keep estimators which have no part in answering."""


def list_unread(model: ResolvedModel, flavor: str, loader: LoaderSpec) -> tuple[str, ...]:
    """Dotted names of what the model's own files hold and machine code has no reader of.

    `loader` is that of the framework. A file that cannot be read is listed by its name.
    """
    try:
        names = _read_names(model, flavor, loader)
    except ModelFormatError:
        return (str(loader.options.get("file")),)
    return tuple(sorted(_list_strange(names)))


def find_summed(model: ResolvedModel, flavor: str, loader: LoaderSpec) -> str:
    """Name a class in the model's own files whose library is never equal to the last bit.

    Empty where nothing rules it out.
    """
    try:
        names = _read_names(model, flavor, loader)
    except ModelFormatError:
        return ""
    own = {name.rpartition(".")[2] for name in names if name.startswith("sklearn.")}
    return "" if own & _CHOOSERS else min(own & _SUMMED, default="")


def _read_names(model: ResolvedModel, flavor: str, loader: LoaderSpec) -> set[str]:
    """Raises ModelFormatError."""
    names: set[str] = set()
    if flavor in _BOOSTERS:
        names.add(str(model.flavors[flavor].get("model_class") or _BOOSTERS[flavor]))
    form, file = str(loader.options.get("format")), str(loader.options.get("file"))
    if form == "skops" or file in loader.unpickled:
        names |= _look.read_serialized(model.root / file, form).names
    return names


def _list_strange(names: set[str]) -> Iterator[str]:
    readers = families.list_classes()
    for name in names:
        module, _, last = name.rpartition(".")
        package = module.partition(".")[0]
        if package in _PLAIN or f"{package}.{last}" in readers or last in _PRIVATE:
            continue
        if any(f"{module}.".startswith(f"{part}.") for part in _PARTS):
            continue
        rebuilt = last in _VALUES or last in functions.KNOWN or last.startswith(_KINDS)
        if not (package == "numpy" and rebuilt):
            yield name

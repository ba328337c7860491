"""Estimators with settings that few choose, and what is made of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import lightgbm
import numpy as np
import xgboost
from sklearn import (
    calibration,
    cluster,
    compose,
    cross_decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    feature_selection,
    gaussian_process,
    linear_model,
    mixture,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    semi_supervised,
    svm,
    tree,
)

from bench.adverse.tables import Draw

Estimator: TypeAlias = Any
Maker: TypeAlias = Callable[[Draw], Estimator]
DEEPEST: Final = 2
"""How many estimators may be within each other."""


def _grow(draw: Draw) -> dict[str, Any]:
    return {
        "max_depth": draw.one(2, 4, 8, None),
        "min_samples_leaf": draw.one(1, 3),
        "random_state": 0,
    }


def _neighbor(draw: Draw, *algorithms: str) -> dict[str, Any]:
    return {
        "n_neighbors": draw.one(1, 2, 5),
        "weights": draw.one("uniform", "distance"),
        "metric": draw.one("minkowski", "manhattan", "chebyshev"),
        "algorithm": draw.one("auto", "brute", "kd_tree", *algorithms),
    }


def _boost(draw: Draw) -> dict[str, Any]:
    """LightGBM's settings; a linear tree takes no zero as missing."""
    return {
        "n_estimators": draw.one(4, 12),
        "boosting_type": draw.one("gbdt", "dart", "rf"),
        "min_child_samples": 5,
        "num_leaves": draw.one(4, 31),
        "zero_as_missing": draw.one(False, True),
        "bagging_freq": 1,
        "bagging_fraction": 0.7,
        "n_jobs": 1,
        "verbose": -1,
    }


REGRESSORS: Final[Sequence[Maker]] = (
    lambda draw: linear_model.Ridge(
        draw.one(0.1, 5.0), fit_intercept=draw.one(True, False), positive=draw.one(False, True)
    ),
    lambda draw: linear_model.LinearRegression(positive=draw.one(False, True)),
    lambda _draw: linear_model.Lasso(0.01),
    lambda _draw: linear_model.ElasticNet(0.01),
    lambda _draw: linear_model.HuberRegressor(),
    lambda _draw: linear_model.BayesianRidge(),
    lambda draw: linear_model.SGDRegressor(random_state=0, early_stopping=draw.one(True, False)),
    lambda _draw: linear_model.RANSACRegressor(random_state=0),
    lambda draw: linear_model.QuantileRegressor(quantile=draw.one(0.2, 0.5)),
    lambda draw: tree.DecisionTreeRegressor(
        criterion=draw.one("squared_error", "absolute_error"), **_grow(draw)
    ),
    lambda draw: tree.ExtraTreeRegressor(**_grow(draw)),
    lambda draw: ensemble.RandomForestRegressor(
        draw.one(3, 11), max_features=draw.one(1.0, 0.5), bootstrap=draw.one(True, False),
        **_grow(draw),
    ),
    lambda draw: ensemble.ExtraTreesRegressor(7, **_grow(draw)),
    lambda draw: ensemble.GradientBoostingRegressor(
        n_estimators=draw.one(5, 30),
        loss=draw.one("squared_error", "huber", "quantile", "absolute_error"),
        n_iter_no_change=draw.one(None, 3),
        subsample=draw.one(1.0, 0.6),
        init=draw.one(None, "zero"),
        random_state=0,
    ),
    lambda draw: ensemble.HistGradientBoostingRegressor(
        max_iter=draw.one(8, 40),
        loss=draw.one("squared_error", "absolute_error"),
        early_stopping=draw.one(True, False),
        max_bins=draw.one(255, 12),
        max_leaf_nodes=draw.one(31, 5),
        l2_regularization=draw.one(0.0, 1.0),
        random_state=0,
    ),
    lambda draw: ensemble.AdaBoostRegressor(
        n_estimators=6, loss=draw.one("linear", "square"), random_state=0
    ),
    lambda draw: ensemble.BaggingRegressor(
        estimator=draw.one(None, linear_model.Ridge()), n_estimators=5,
        max_features=draw.one(1.0, 0.6), random_state=0,
    ),
    lambda draw: neighbors.KNeighborsRegressor(**_neighbor(draw)),
    lambda draw: svm.SVR(
        kernel=draw.one("rbf", "linear", "poly", "sigmoid"), gamma=draw.one("scale", "auto")
    ),
    lambda _draw: svm.NuSVR(),
    lambda draw: neural_network.MLPRegressor(
        (draw.one(4, 9),), activation=draw.one("relu", "tanh", "logistic", "identity"),
        max_iter=30, random_state=0,
    ),
    lambda _draw: gaussian_process.GaussianProcessRegressor(alpha=0.5),
    lambda _draw: cross_decomposition.PLSRegression(1),
    lambda draw: xgboost.XGBRegressor(
        n_estimators=draw.one(4, 15), max_depth=draw.one(2, 6),
        tree_method=draw.one("hist", "exact", "approx"),
        booster=draw.one("gbtree", "gbtree", "dart", "gblinear"),
        base_score=draw.one(None, 0.7),
        objective=draw.one("reg:squarederror", "reg:absoluteerror"), n_jobs=1,
    ),
    lambda draw: lightgbm.LGBMRegressor(
        objective=draw.one("regression", "l1", "huber", "quantile"), **_boost(draw)
    ),
    lambda draw: dummy.DummyRegressor(strategy=draw.one("mean", "median")),
)  # fmt: skip
"""Of one number."""
GROUPINGS: Final[Sequence[Maker]] = (
    lambda draw: neighbors.LocalOutlierFactor(
        draw.one(3, 20), novelty=True, contamination=draw.one("auto", 0.1),
        algorithm=draw.one("auto", "brute", "kd_tree"),
        metric=draw.one("minkowski", "manhattan", "chebyshev"),
    ),
    lambda draw: ensemble.IsolationForest(
        n_estimators=draw.one(5, 20), max_features=draw.one(1.0, 0.6), random_state=0
    ),
    lambda draw: svm.OneClassSVM(kernel=draw.one("rbf", "linear")),
    lambda _draw: cluster.KMeans(3, n_init=1, random_state=0),
    lambda _draw: cluster.Birch(n_clusters=3),
    lambda draw: mixture.GaussianMixture(
        2, covariance_type=draw.one("full", "tied", "diag", "spherical"), reg_covar=1e-3,
        random_state=0,
    ),
)  # fmt: skip
"""Estimators that are fitted without answers."""
CLASSIFIERS: Final[Sequence[Maker]] = (
    lambda draw: linear_model.LogisticRegression(
        C=draw.one(0.1, 10.0), class_weight=draw.one(None, "balanced"), max_iter=50
    ),
    lambda draw: linear_model.RidgeClassifier(class_weight=draw.one(None, "balanced")),
    lambda draw: linear_model.SGDClassifier(
        loss=draw.one("hinge", "log_loss", "modified_huber"),
        early_stopping=draw.one(True, False), random_state=0,
    ),
    lambda _draw: linear_model.Perceptron(random_state=0),
    lambda draw: tree.DecisionTreeClassifier(
        class_weight=draw.one(None, "balanced"), **_grow(draw)
    ),
    lambda draw: tree.ExtraTreeClassifier(**_grow(draw)),
    lambda draw: ensemble.RandomForestClassifier(
        draw.one(3, 12), class_weight=draw.one(None, "balanced", "balanced_subsample"),
        **_grow(draw),
    ),
    lambda draw: ensemble.ExtraTreesClassifier(6, **_grow(draw)),
    lambda draw: ensemble.GradientBoostingClassifier(
        n_estimators=draw.one(4, 15), n_iter_no_change=draw.one(None, 2),
        init=draw.one(None, "zero"), random_state=0,
    ),
    lambda draw: ensemble.HistGradientBoostingClassifier(
        max_iter=draw.one(5, 25), early_stopping=draw.one(True, False),
        max_bins=draw.one(255, 9), class_weight=draw.one(None, "balanced"), random_state=0,
    ),
    lambda _draw: ensemble.AdaBoostClassifier(n_estimators=6, random_state=0),
    lambda draw: ensemble.BaggingClassifier(
        draw.one(None, linear_model.LogisticRegression()), n_estimators=5,
        max_features=draw.one(1.0, 0.6), random_state=0,
    ),
    lambda draw: neighbors.KNeighborsClassifier(**_neighbor(draw, "ball_tree")),
    lambda _draw: neighbors.NearestCentroid(),
    lambda _draw: neighbors.RadiusNeighborsClassifier(2.0, outlier_label="most_frequent"),
    lambda draw: svm.SVC(
        kernel=draw.one("rbf", "linear", "poly"), class_weight=draw.one(None, "balanced"),
        decision_function_shape=draw.one("ovr", "ovo"),
    ),
    lambda _draw: svm.NuSVC(nu=0.05),
    lambda draw: svm.LinearSVC(class_weight=draw.one(None, "balanced")),
    lambda _draw: naive_bayes.GaussianNB(),
    lambda draw: naive_bayes.BernoulliNB(binarize=draw.one(0.0, 0.5)),
    lambda draw: discriminant_analysis.LinearDiscriminantAnalysis(
        solver=draw.one("svd", "lsqr")
    ),
    lambda _draw: discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.3),
    lambda draw: neural_network.MLPClassifier(
        (5,), activation=draw.one("relu", "tanh", "logistic"), max_iter=25, random_state=0
    ),
    lambda draw: lightgbm.LGBMClassifier(
        class_weight=draw.one(None, "balanced"), **_boost(draw)
    ),
    lambda draw: dummy.DummyClassifier(strategy=draw.one("prior", "most_frequent")),
    lambda _draw: semi_supervised.LabelPropagation(),
)  # fmt: skip
_TARGETS: Final[Sequence[Maker]] = (
    lambda _draw: preprocessing.StandardScaler(),
    lambda _draw: preprocessing.QuantileTransformer(n_quantiles=10),
    lambda _draw: preprocessing.PowerTransformer(),
    lambda _draw: preprocessing.MinMaxScaler(),
    lambda _draw: preprocessing.RobustScaler(),
)


def draw_regressor(draw: Draw, deep: int = 0) -> Estimator:
    if deep >= DEEPEST or draw.chance(0.75):
        return draw.make(REGRESSORS)
    inner = draw_regressor(draw, deep + 1)
    other = draw_regressor(draw, DEEPEST)
    makers: Mapping[str, Maker] = {
        "votes": lambda draw: ensemble.VotingRegressor(
            [("a", inner), ("b", other)], weights=draw.one(None, [1, 3])
        ),
        "a stack": lambda draw: ensemble.StackingRegressor(
            [
                ("a", inner),
                ("b", pipeline.make_pipeline(preprocessing.StandardScaler(with_mean=False), other)),
            ],
            final_estimator=draw.one(None, tree.DecisionTreeRegressor(max_depth=3)),
            passthrough=draw.one(False, True),
            cv=2,
        ),
        "a target": lambda draw: compose.TransformedTargetRegressor(
            other, transformer=draw.make(_TARGETS)
        ),
        "an angle": lambda _draw: compose.TransformedTargetRegressor(
            other, func=np.arctan, inverse_func=np.tan
        ),
        "a search": lambda _draw: model_selection.GridSearchCV(
            linear_model.Ridge(), {"alpha": [0.1, 1.0]}, cv=2
        ),
        "chosen columns": lambda _draw: pipeline.make_pipeline(
            feature_selection.SelectKBest(feature_selection.f_regression, k=1), other
        ),
        "columns of a tree": lambda _draw: pipeline.make_pipeline(
            feature_selection.SelectFromModel(
                tree.DecisionTreeRegressor(max_depth=4, random_state=0)
            ),
            other,
        ),
    }
    return draw.make([*makers.values()])


def draw_classifier(draw: Draw, deep: int = 0) -> Estimator:
    if deep >= DEEPEST or draw.chance(0.75):
        return draw.make(CLASSIFIERS)
    inner = draw_classifier(draw, deep + 1)
    other = draw_classifier(draw, DEEPEST)
    shallow = tree.DecisionTreeClassifier(max_depth=3)
    makers: Mapping[str, Maker] = {
        "votes": lambda draw: ensemble.VotingClassifier(
            [("a", inner), ("b", other), ("c", shallow)],
            voting=draw.one("hard", "soft"),
            weights=draw.one(None, [1, 2, 1]),
        ),
        "a stack": lambda draw: ensemble.StackingClassifier(
            [("a", inner), ("b", pipeline.make_pipeline(preprocessing.MaxAbsScaler(), other))],
            final_estimator=draw.one(None, tree.DecisionTreeClassifier(max_depth=3)),
            passthrough=draw.one(False, True),
            stack_method=draw.one("auto", "predict"),
            cv=2,
        ),
        "calibrated": lambda draw: calibration.CalibratedClassifierCV(
            other, method=draw.one("sigmoid", "isotonic"), cv=2, ensemble=draw.one(True, False)
        ),
        "each class": lambda _draw: multiclass.OneVsRestClassifier(other),
        "each pair": lambda draw: multiclass.OneVsOneClassifier(
            draw.one(linear_model.LogisticRegression(), svm.LinearSVC(), shallow)
        ),
        "chosen columns": lambda _draw: pipeline.make_pipeline(
            feature_selection.SelectPercentile(percentile=60), other
        ),
        "a search": lambda _draw: model_selection.GridSearchCV(
            tree.DecisionTreeClassifier(random_state=0), {"max_depth": [2, 5]}, cv=2
        ),
    }
    return draw.make([*makers.values()])


SEVERAL_NUMBERS: Final[Sequence[Maker]] = (
    lambda _draw: linear_model.Ridge(),
    lambda draw: tree.DecisionTreeRegressor(**_grow(draw)),
    lambda draw: ensemble.RandomForestRegressor(5, **_grow(draw)),
    lambda draw: ensemble.ExtraTreesRegressor(5, **_grow(draw)),
    lambda _draw: neighbors.KNeighborsRegressor(3),
    lambda draw: multioutput.MultiOutputRegressor(draw_regressor(draw, DEEPEST)),
    lambda draw: multioutput.RegressorChain(draw_regressor(draw, DEEPEST)),
    lambda _draw: neural_network.MLPRegressor((5,), max_iter=20, random_state=0),
    lambda _draw: linear_model.MultiTaskLasso(0.01),
    lambda draw: xgboost.XGBRegressor(
        n_estimators=5,
        multi_strategy=draw.one("one_output_per_tree", "multi_output_tree"),
        n_jobs=1,
    ),
    lambda _draw: compose.TransformedTargetRegressor(
        linear_model.Ridge(), transformer=preprocessing.StandardScaler()
    ),
)
SEVERAL_LABELS: Final[Sequence[Maker]] = (
    lambda draw: tree.DecisionTreeClassifier(**_grow(draw)),
    lambda draw: ensemble.RandomForestClassifier(5, **_grow(draw)),
    lambda _draw: neighbors.KNeighborsClassifier(3),
    lambda draw: multioutput.MultiOutputClassifier(draw_classifier(draw, DEEPEST)),
    lambda draw: multiclass.OneVsRestClassifier(draw_classifier(draw, DEEPEST)),
    lambda draw: multioutput.ClassifierChain(draw_classifier(draw, DEEPEST)),
    lambda _draw: neural_network.MLPClassifier((5,), max_iter=20, random_state=0),
    lambda _draw: linear_model.RidgeClassifier(),
)

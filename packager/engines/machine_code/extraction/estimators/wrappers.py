"""Estimators around others: one class against the rest, several outputs, calibration."""

from __future__ import annotations

import copy
import warnings
from typing import List

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.checks import check_values
from packager.engines.machine_code.extraction.estimators.ensembles import (
    check_classes,
    require_block,
)
from packager.engines.machine_code.extraction.estimators.linear import (
    above_zero,
    apply,
    both_sides,
    name_labels,
    share,
)
from packager.engines.machine_code.extraction.estimators.neighbors import measure_as_product
from packager.engines.machine_code.extraction.index import ESTIMATORS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    common_kind,
    compute,
    gather,
    join_tables,
    mean,
    stack,
    table_of,
    take,
    version_of,
)
from packager.engines.machine_code.extraction.transformers.distributions import draw_lines


@index.composes("sklearn.TransformedTargetRegressor", "sklearn.FrozenEstimator")
@index.reads(ESTIMATORS, "sklearn.TransformedTargetRegressor")
def estimate_and_restore(model: Fitted, program: Program, table: Table) -> Answer:
    numbers = require_block(
        index.estimate(model.regressor_, program, table).numbers, "predict", model
    )
    return Answer(index.invert(model.transformer_, program, numbers))


@index.reads(ESTIMATORS, "sklearn.FrozenEstimator")
def estimate_frozen(model: Fitted, program: Program, table: Table) -> Answer:
    return index.estimate(model.estimator, program, table)


@index.composes("sklearn.SelfTrainingClassifier")
@index.reads(ESTIMATORS, "sklearn.SelfTrainingClassifier")
def estimate_self_trained(model: Fitted, program: Program, table: Table) -> Answer:
    inner = getattr(model, "estimator_", None)
    return index.estimate(model.base_estimator_ if inner is None else inner, program, table)


@index.composes("sklearn.FixedThresholdClassifier", "sklearn.TunedThresholdClassifierCV")
@index.reads(ESTIMATORS, "sklearn.FixedThresholdClassifier", "sklearn.TunedThresholdClassifierCV")
def estimate_beyond_threshold(model: Fitted, program: Program, table: Table) -> Answer:
    found = index.estimate(model.estimator_, program, table)
    positive = _find_positive(model)
    threshold = getattr(model, "best_threshold_", getattr(model, "threshold", "auto"))
    by_share = model.response_method in ("auto", "predict_proba") and found.numbers is not None
    if threshold == "auto":
        threshold = 0.5 if by_share else 0.0
    shares = found.numbers
    score = take(program, shares, [positive]) if by_share and shares is not None else found.scores
    score = require_block(score, "decision_function", model)
    if not (by_share or positive):
        score = program.add("negative", [score], score.kind, score.width)
    # at the threshold itself a row is positive
    below = np.array([np.nextafter(float(threshold), -np.inf)])
    best = program.add("above", [score], "int64", 1, constants=below)
    if not positive:
        best = program.add("look_up", [best], "int64", 1, at=0, constants=np.array([1.0, 0.0, 1.0]))
    return Answer(found.numbers, best, found.scores)


def _find_positive(model: Fitted) -> int:
    """Position of the label that is called positive: the second, unless another is named."""
    name = getattr(model, "pos_label", None)
    scorer = getattr(model, "_curve_scorer", None)
    if scorer is not None:
        name = scorer._get_pos_label()
    return 1 if name is None else int(np.flatnonzero(model.classes_ == name)[0])


@index.composes("sklearn.OneVsRestClassifier", "sklearn.OneVsOneClassifier")
@index.reads(ESTIMATORS, "sklearn.OneVsRestClassifier")
def estimate_against_rest(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for a class that every row of training had, or none."""
    scores, shares = [], []
    by_share = not hasattr(model.estimators_[0], "decision_function")
    for part in model.estimators_:
        check_classes(part, 2)
        found = index.estimate(part, program, table)
        if found.numbers is not None:
            shares.append(take(program, found.numbers, [1]))
        scores.append(
            shares[-1] if by_share else require_block(found.scores, "decision_function", part)
        )
    numbers = None
    if len(shares) == len(model.estimators_):
        whole = stack(program, shares)
        none = "nan" if version_of("sklearn") < (1, 6) else "zero"
        one = len(shares) == 1
        numbers = both_sides(program, whole) if one else share(program, whole, none)
    block = stack(program, scores)
    if model.multilabel_:
        most = np.full(block.width, 0.5 if by_share else 0.0)
        return Answer(program.add("above", [block], "int64", block.width, constants=most))
    if len(scores) == 1:
        half = np.array([0.5 if by_share else 0.0])
        return Answer(numbers, program.add("above", [block], "int64", 1, constants=half), block)
    if _takes_first(model, table.width):
        return Answer(numbers, program.add("argmax", [block], "int64", 1), block)
    return Answer(numbers, _pick_last(program, block), block)


def _takes_first(model: Fitted, width: int) -> bool:
    """Tell which of classes of one score is taken, which versions differ in: ask it with such."""
    alike = copy.copy(model)
    alike.estimators_ = [model.estimators_[0]] * len(model.estimators_)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = alike.predict(np.zeros((1, width)))
        except Exception:  # noqa: BLE001 - whatever an estimator wants of its rows
            return False
    return bool(found[0] == model.classes_[0])


def _pick_last(program: Program, block: Block) -> Block:
    """The last of the largest."""
    turned = take(program, block, range(block.width - 1, -1, -1))
    at = program.add("argmax", [turned], "int64", 1)
    places = np.arange(block.width - 1, -2, -1).astype(np.float64)
    return program.add("look_up", [at], "int64", 1, at=0, constants=places)


@index.reads(ESTIMATORS, "sklearn.OneVsOneClassifier")
def estimate_pairs(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for pairs that are decided by probabilities."""
    classes = len(model.classes_)
    indices = model.pairwise_indices_
    if indices is not None:
        raise UnsupportedError("pairs of classes over a matrix of kernels")
    scores = []
    for part in model.estimators_:
        check_classes(part, 2)
        if not hasattr(part, "decision_function"):
            raise UnsupportedError("pairs of classes by probabilities")
        scores.append(require_block(index.estimate(part, program, table).scores, "predict", part))
    pairs = stack(program, scores, "double")
    ranks = program.add("ranks", [pairs], "double", classes, classes=classes)
    if classes == 2:
        score = take(program, ranks, [1])
        return Answer(None, above_zero(program, score), score)
    return Answer(None, program.add("argmax", [ranks], "int64", 1), ranks)


@index.composes("sklearn.MultiOutputRegressor", "sklearn.MultiOutputClassifier")
@index.reads(ESTIMATORS, "sklearn.MultiOutputRegressor")
def estimate_several(model: Fitted, program: Program, table: Table) -> Answer:
    parts = [
        require_block(index.estimate(part, program, table).numbers, "predict", part)
        for part in model.estimators_
    ]
    return Answer(stack(program, parts))


@index.reads(ESTIMATORS, "sklearn.MultiOutputClassifier")
def estimate_several_labels(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for labels that are no whole numbers."""
    blocks = []
    for part in model.estimators_:
        best = require_block(index.estimate(part, program, table).best, "predict", part)
        blocks.append(name_labels(program, best, part.classes_))
    return Answer(stack(program, blocks))


@index.reads(ESTIMATORS, "sklearn.RegressorChain", "sklearn.ClassifierChain")
def estimate_chain(model: Fitted, program: Program, table: Table) -> Answer:
    """Each reads what those before it have answered. Raises UnsupportedError for scores."""
    if getattr(model, "chain_method_", "predict") != "predict":
        raise UnsupportedError("a chain by other answers than labels")
    start = as_numbers(program, table, ("double", "float", "int64"))
    made: List[Block] = []
    for part in model.estimators_:
        whole = join_tables([table_of(each) for each in [start, *made]])
        found = index.estimate(part, program, table_of(gather(program, whole, common_kind(whole))))
        if found.best is not None:
            made.append(name_labels(program, found.best, part.classes_))
        else:
            made.append(require_block(found.numbers, "predict", part))
    order = [int(each) for each in model.order_]
    return Answer(stack(program, [made[order.index(at)] for at in range(len(made))]))


@index.composes("sklearn.CalibratedClassifierCV")
@index.reads(ESTIMATORS, "sklearn.CalibratedClassifierCV")
def estimate_calibrated(model: Fitted, program: Program, table: Table) -> Answer:
    shares = [
        _calibrate(each, program, table, len(model.classes_))
        for each in model.calibrated_classifiers_
    ]
    found = mean(program, shares)
    return Answer(found, program.add("argmax", [found], "int64", 1))


def _calibrate(model: Fitted, program: Program, table: Table, classes: int) -> Block:
    part = getattr(model, "estimator", None)
    part = model.base_estimator if part is None else part
    check_classes(part, classes)
    found = index.estimate(part, program, table)
    if hasattr(part, "decision_function"):
        scores = require_block(found.scores, "decision_function", part)
    else:
        scores = require_block(found.numbers, "predict_proba", part)
        scores = take(program, scores, [1]) if classes == 2 else scores
    scores = gather(program, table_of(scores), "double")
    calibrators = getattr(model, "calibrators", None)
    calibrators = model.calibrators_ if calibrators is None else calibrators
    if len(calibrators) != scores.width:
        raise UnsupportedError("a calibration of all classes at once")
    shares = stack(
        program,
        [
            _calibrate_one(each, program, take(program, scores, [at]))
            for at, each in enumerate(calibrators)
        ],
    )
    if classes == 2:
        return both_sides(program, shares)
    return share(program, shares, "alike")


def _calibrate_one(model: Fitted, program: Program, score: Block) -> Block:
    name = type(model).__name__
    if name == "_SigmoidCalibration":
        moved = compute(program, compute(program, score, "*", model.a_), "+", model.b_)
        return apply(program, "expit", program.add("negative", [moved], "double", 1))
    if name == "IsotonicRegression":
        table = check_values(model, "predict", program, table_of(score))
        return _draw_isotonic(model, program, table.columns[0].block)
    raise UnsupportedError(f"calibration by {name}")


def _draw_isotonic(model: Fitted, program: Program, block: Block) -> Block:
    """The broken line; beyond its ends their answers, NaN, or a refusal."""
    outside = {"clip": "ends", "nan": "nan", "raise": "refuse"}[model.out_of_bounds]
    return draw_lines(program, block, [model.X_thresholds_], [model.y_thresholds_], outside)


@index.reads(ESTIMATORS, "sklearn.IsotonicRegression")
def estimate_isotonic(model: Fitted, program: Program, table: Table) -> Answer:
    return Answer(_draw_isotonic(model, program, as_numbers(program, table)))


@index.composes("sklearn.OutputCodeClassifier")
@index.reads(ESTIMATORS, "sklearn.OutputCodeClassifier")
def estimate_codes(model: Fitted, program: Program, table: Table) -> Answer:
    """The class whose code is nearest to the scores."""
    scores = []
    for part in model.estimators_:
        if type(part).__name__ != "_ConstantPredictor":
            check_classes(part, 2)
        found = index.estimate(part, program, table)
        if hasattr(part, "decision_function"):
            scores.append(require_block(found.scores, "decision_function", part))
        else:
            shares = require_block(found.numbers, "predict_proba", part)
            scores.append(take(program, shares, [1]))
    whole = stack(program, scores, "double")
    # distances to the codes are asked of finite scores alone
    whole = program.add(
        "refuse", [whole], "double", whole.width, nan=True, infinite=True, wide=False
    )
    far = measure_as_product(program, whole, model.code_book_, own=True)
    turned = program.add("negative", [far], "double", far.width)
    return Answer(None, program.add("argmax", [turned], "int64", 1))


@index.reads(ESTIMATORS, "sklearn._ConstantPredictor")
def estimate_only_class(model: Fitted, program: Program, table: Table) -> Answer:
    """The score of a class that every row of training had, or none."""
    score = _answer_constants(program, table, np.ravel(model.y_).astype(np.float64))
    return Answer(None, None, score)


def _answer_constants(program: Program, table: Table, values: Array) -> Block:
    """The same numbers for every row."""
    block = as_numbers(program, table)
    flags = program.add("is_missing", [block], "double", block.width)
    none = np.zeros((len(values), block.width))
    return program.add(
        "weigh", [flags], "double", len(values), weights=none.ravel(), offsets=values
    )


@index.reads(ESTIMATORS, "sklearn.DummyRegressor")
def estimate_constant(model: Fitted, program: Program, table: Table) -> Answer:
    return Answer(_answer_constants(program, table, np.ravel(model.constant_).astype(np.float64)))


@index.reads(ESTIMATORS, "sklearn.DummyClassifier")
def estimate_usual(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for answers that are drawn."""
    priors = np.ravel(np.asarray(model.class_prior_, np.float64))
    if model.strategy not in ("prior", "most_frequent") or model.n_outputs_ != 1:
        raise UnsupportedError(f"a DummyClassifier with strategy={model.strategy!r}")
    shares = _answer_constants(program, table, priors)
    best = program.add("argmax", [shares], "int64", 1)
    if model.strategy == "prior":
        return Answer(shares, best)
    ones = (np.arange(len(priors)) == priors.argmax()).astype(np.float64)
    return Answer(_answer_constants(program, table, ones), best)

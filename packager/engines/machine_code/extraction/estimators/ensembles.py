"""Estimators that are made of several: votes, stacks, bags, boosting of any estimator."""

from __future__ import annotations

from typing import List

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import above_zero, apply
from packager.engines.machine_code.extraction.index import (
    ESTIMATORS,
    TRANSFORMERS,
    Answer,
    Fitted,
)
from packager.engines.machine_code.extraction.program import Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    combine,
    common_kind,
    compute,
    gather,
    join_tables,
    mean,
    stack,
    table_of,
    take,
)


def require_block(block: Block | None, what: str, model: Fitted) -> Block:
    """Raises UnsupportedError for an estimator that does not answer with what is needed."""
    if block is None:
        raise UnsupportedError(f"{what} of {type(model).__name__}")
    return block


def check_classes(part: Fitted, count: int) -> None:
    """Raises UnsupportedError for a part that has not seen every class."""
    if len(part.classes_) != count:
        raise UnsupportedError("a part of an ensemble that has not seen every class")


def _read_weights(model: Fitted) -> List[float] | None:
    weights = model._weights_not_none
    return None if weights is None else [float(each) for each in weights]


@index.composes("sklearn.VotingRegressor", "sklearn.VotingClassifier")
@index.reads(ESTIMATORS, "sklearn.VotingRegressor")
def estimate_mean(model: Fitted, program: Program, table: Table) -> Answer:
    parts = [
        require_block(index.estimate(part, program, table).numbers, "predict", part)
        for part in model.estimators_
    ]
    return Answer(mean(program, parts, _read_weights(model)))


@index.reads(ESTIMATORS, "sklearn.VotingClassifier")
def estimate_vote(model: Fitted, program: Program, table: Table) -> Answer:
    classes = len(model.classes_)
    answers = []
    for part in model.estimators_:
        check_classes(part, classes)
        answers.append(index.estimate(part, program, table))
    weights = _read_weights(model)
    if model.voting == "soft":
        shares = [
            require_block(each.numbers, "predict_proba", part)
            for each, part in zip(answers, model.estimators_)
        ]
        found = mean(program, shares, weights)
        return Answer(found, program.add("argmax", [found], "int64", 1))
    labels = [
        require_block(each.best, "predict", part) for each, part in zip(answers, model.estimators_)
    ]
    votes = count_votes(program, labels, classes, weights or [1.0] * len(labels))
    return Answer(None, program.add("argmax", [votes], "int64", 1))


def count_votes(
    program: Program,
    labels: List[Block],
    classes: int,
    weights: List[float],
    others: List[float] | None = None,
) -> Block:
    """For each class the weights of those that name it, in their order."""
    return program.add(
        "tally",
        [stack(program, labels)],
        "double",
        classes,
        weights=np.array(weights, np.float64),
        others=np.array(others or [0.0] * len(labels), np.float64),
    )


@index.composes("sklearn.StackingRegressor", "sklearn.StackingClassifier")
@index.reads(ESTIMATORS, "sklearn.StackingRegressor", "sklearn.StackingClassifier")
def estimate_stack(model: Fitted, program: Program, table: Table) -> Answer:
    """Lead the others' answers, and the table where it is told, to the final estimator."""
    stacked = transform_stack(model, program, table)
    return index.estimate(model.final_estimator_, program, stacked)


@index.reads(TRANSFORMERS, "sklearn.StackingRegressor", "sklearn.StackingClassifier")
def transform_stack(model: Fitted, program: Program, table: Table) -> Table:
    classes = len(getattr(model, "classes_", ()))
    blocks = []
    for part, method in zip(model.estimators_, model.stack_method_):
        found = index.estimate(part, program, table)
        if method == "predict_proba":
            block = require_block(found.numbers, method, part)
            blocks.append(take(program, block, range(1, 2)) if classes == 2 else block)
        elif method == "decision_function":
            blocks.append(require_block(found.scores, method, part))
        elif classes:
            if model.cv == "prefit":
                raise UnsupportedError("a stack of labels")
            blocks.append(
                gather(program, table_of(require_block(found.best, method, part)), "double")
            )
        else:
            blocks.append(require_block(found.numbers, method, part))
    whole = join_tables([table_of(each) for each in blocks])
    if model.passthrough:
        whole = join_tables([whole, table])
    return table_of(gather(program, whole, common_kind(whole)))


def _read_bag(model: Fitted, program: Program, table: Table) -> List[Answer]:
    block = as_numbers(program, table, ("double", "float"))
    found = []
    for part, columns in zip(model.estimators_, model.estimators_features_):
        chosen = take(program, block, [int(each) for each in columns])
        found.append(index.estimate(part, program, table_of(chosen)))
    return found


@index.reads(ESTIMATORS, "sklearn.BaggingRegressor")
def estimate_bag(model: Fitted, program: Program, table: Table) -> Answer:
    answers = _read_bag(model, program, table)
    parts = zip(answers, model.estimators_)
    return Answer(
        mean(program, [require_block(each.numbers, "predict", part) for each, part in parts])
    )


@index.reads(ESTIMATORS, "sklearn.BaggingClassifier")
def estimate_bag_of_classes(model: Fitted, program: Program, table: Table) -> Answer:
    classes = len(model.classes_)
    answers = _read_bag(model, program, table)
    for part in model.estimators_:
        check_classes(part, classes)
    if hasattr(model.estimators_[0], "predict_proba"):
        parts = zip(answers, model.estimators_)
        blocks = [require_block(each.numbers, "predict_proba", part) for each, part in parts]
        shares = mean(program, blocks)
    else:
        parts = zip(answers, model.estimators_)
        labels = [require_block(each.best, "predict", part) for each, part in parts]
        votes = count_votes(program, labels, classes, [1.0] * len(labels))
        shares = compute(program, votes, "/", np.float64(len(labels)))
    return Answer(shares, program.add("argmax", [shares], "int64", 1))


@index.reads(ESTIMATORS, "sklearn.AdaBoostRegressor")
def estimate_median(model: Fitted, program: Program, table: Table) -> Answer:
    parts = [
        require_block(index.estimate(part, program, table).numbers, "predict", part)
        for part in model.estimators_
    ]
    block = stack(program, parts)
    weights = np.asarray(model.estimator_weights_, np.float64)[: len(parts)]
    return Answer(program.add("weighted_median", [block], block.kind, 1, weights=weights))


@index.reads(ESTIMATORS, "sklearn.AdaBoostClassifier")
def estimate_boosted(model: Fitted, program: Program, table: Table) -> Answer:
    classes = len(model.classes_)
    if getattr(model, "algorithm", "SAMME") == "SAMME.R":
        return _finish_boosted(model, program, _sum_logarithms(model, program, table))
    labels = []
    for part in model.estimators_:
        check_classes(part, classes)
        labels.append(require_block(index.estimate(part, program, table).best, "predict", part))
    weights = np.asarray(model.estimator_weights_, np.float64)[: len(labels)]
    others = (-1 / (classes - 1) * weights).tolist()
    votes = count_votes(program, labels, classes, weights.tolist(), others)
    return _finish_boosted(model, program, votes)


def _sum_logarithms(model: Fitted, program: Program, table: Table) -> Block:
    """Each part's logarithms of probabilities, less their mean (SAMME.R)."""
    classes = len(model.classes_)
    total: Block | None = None
    ends = np.array([np.finfo(np.float64).eps, np.inf])
    for part in model.estimators_:
        check_classes(part, classes)
        shares = require_block(index.estimate(part, program, table).numbers, "predict_proba", part)
        wide = gather(program, table_of(shares), "double")
        held = program.add("clip", [wide], "double", classes, ends=ends)
        logarithms = program.add("log", [held], "double", classes)
        whole = program.add("norm", [logarithms], "double", 1, how="sum", least=np.zeros(1))
        middle = compute(program, whole, "*", np.float64(1.0 / classes))
        moved = combine(program, logarithms, "-", middle)
        scaled = compute(program, moved, "*", np.float64(classes - 1))
        total = scaled if total is None else combine(program, total, "+", scaled)
    if total is None:
        raise UnsupportedError("boosting of nothing")
    return total


def _finish_boosted(model: Fitted, program: Program, votes: Block) -> Answer:
    classes = len(model.classes_)
    shares = compute(program, votes, "/", np.float64(model.estimator_weights_.sum()))
    if classes > 2:
        scores = compute(program, shares, "/", np.float64(classes - 1))
        best = program.add("argmax", [shares], "int64", 1)
        return Answer(apply(program, "softmax", scores), best, shares)
    score = combine(program, take(program, shares, [1]), "-", take(program, shares, [0]))
    turned = program.add("negative", [score], "double", 1)
    both = compute(program, stack(program, [turned, score]), "/", np.float64(2.0))
    return Answer(apply(program, "softmax", both), above_zero(program, score), score)

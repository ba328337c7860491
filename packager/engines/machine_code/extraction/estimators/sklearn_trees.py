"""scikit-learn's trees: single ones, forests, gradient boosting, histogram boosting.

The first three round their inputs to float and compare them with thresholds in double
(https://github.com/scikit-learn/scikit-learn, sklearn/tree/_tree.pyx, `_apply_dense`).
"""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.estimators.linear import (
    apply,
    both_sides,
    name_labels,
)
from packager.engines.machine_code.extraction.index import ESTIMATORS, TRANSFORMERS, Answer, Fitted
from packager.engines.machine_code.extraction.program import (
    Array,
    Block,
    Program,
    UnsupportedError,
)
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    compute,
    narrow_columns,
    stack,
    table_of,
    version_of,
)
from packager.engines.machine_code.extraction.tree_tables import (
    MISSING_LEFT,
    Tree,
    add_trees,
    number_apart,
)


def read_tree(tree: Fitted, values: Array) -> Tree:
    """`values` has a row for each node."""
    split, leaf, lefts, rights = number_apart(tree.children_left, tree.children_right)
    missing = getattr(tree, "missing_go_to_left", None)
    flags = np.zeros(len(split), np.uint8) if missing is None else np.asarray(missing)[split]
    return Tree(
        lefts,
        rights,
        tree.feature[split],
        tree.threshold[split],
        flags.astype(np.uint8) * MISSING_LEFT,
        values[leaf],
    )


@index.reads(ESTIMATORS, "sklearn.DecisionTreeRegressor", "sklearn.ExtraTreeRegressor")
@index.reads(ESTIMATORS, "sklearn.RandomForestRegressor", "sklearn.ExtraTreesRegressor")
def estimate_means(model: Fitted, program: Program, table: Table) -> Answer:
    parts = list(getattr(model, "estimators_", [model]))
    trees = [read_tree(part.tree_, part.tree_.value[:, :, 0]) for part in parts]
    base = np.zeros(parts[0].n_outputs_)
    block = narrow_columns(program, table)
    sums = add_trees(program, block, trees, [0] * len(trees), base, "<=", "double")
    if len(parts) > 1 or hasattr(model, "estimators_"):
        sums = compute(program, sums, "/", np.float64(len(parts)))
    return Answer(sums)


@index.reads(ESTIMATORS, "sklearn.DecisionTreeClassifier", "sklearn.ExtraTreeClassifier")
@index.reads(ESTIMATORS, "sklearn.RandomForestClassifier", "sklearn.ExtraTreesClassifier")
def estimate_shares(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for a tree that lacks a class."""
    parts = list(getattr(model, "estimators_", [model]))
    block = narrow_columns(program, table)
    if parts[0].n_outputs_ == 1:
        if any(len(part.classes_) != len(model.classes_) for part in parts):
            raise UnsupportedError("a tree that has not seen every class")
        sums = _sum_shares(model, program, block, 0, len(model.classes_))
        return Answer(sums, program.add("argmax", [sums], "int64", 1))
    labels = []
    for output, classes in enumerate(model.classes_):
        sums = _sum_shares(model, program, block, output, len(classes))
        best = program.add("argmax", [sums], "int64", 1)
        labels.append(name_labels(program, best, classes))
    return Answer(stack(program, labels))


def _sum_shares(model: Fitted, program: Program, block: Block, output: int, classes: int) -> Block:
    """Mean of the trees' shares of each class of one output."""
    parts = list(getattr(model, "estimators_", [model]))
    trees = []
    for part in parts:
        values = part.tree_.value[:, output, :classes]
        # weighted counts before scikit-learn 1.4, shares since, which are answered as they are
        if version_of("sklearn") < (1, 4):
            sums = values.sum(axis=1, keepdims=True)
            values = values / np.where(sums == 0.0, 1.0, sums)
        trees.append(read_tree(part.tree_, values))
    total = add_trees(program, block, trees, [0] * len(trees), np.zeros(classes), "<=", "double")
    if hasattr(model, "estimators_"):
        total = compute(program, total, "/", np.float64(len(parts)))
    return total


@index.reads(TRANSFORMERS, "sklearn.RandomTreesEmbedding")
def embed_leaves(model: Fitted, program: Program, table: Table) -> Table:
    """Each tree's leaf by its number, as the forest's own encoder writes it."""
    trees = [
        read_tree(part.tree_, np.arange(part.tree_.node_count, dtype=np.float64).reshape(-1, 1))
        for part in model.estimators_
    ]
    block = narrow_columns(program, table)
    base = np.zeros(len(trees))
    leaves = add_trees(program, block, trees, list(range(len(trees))), base, "<=", "double")
    return index.transform(model.one_hot_encoder_, program, table_of(leaves))


@index.reads(ESTIMATORS, "sklearn.GradientBoostingRegressor", "sklearn.GradientBoostingClassifier")
def estimate_boosting(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for boosting that starts from another model."""
    if model.init is not None and model.init != "zero":
        raise UnsupportedError("boosting that starts from another model")
    row = np.zeros((1, model.estimators_[0, 0].n_features_in_), np.float32)
    base = np.asarray(model._raw_predict_init(row), np.float64).ravel()
    trees, targets = [], []
    for stage in model.estimators_:
        for margin, part in enumerate(stage):
            values = model.learning_rate * part.tree_.value[:, :, 0]
            trees.append(read_tree(part.tree_, values))
            targets.append(margin)
    sums = add_trees(program, narrow_columns(program, table), trees, targets, base, "<=", "double")
    classes = getattr(model, "classes_", None)
    if classes is None:
        return Answer(sums)
    if len(classes) > 2:
        best = program.add("argmax", [sums], "int64", 1)
        return Answer(apply(program, "softmax", sums), best, sums)
    doubled = compute(program, sums, "*", np.float64(2.0 if model.loss == "exponential" else 1.0))
    positive = apply(program, "expit", doubled)
    return Answer(both_sides(program, positive), _at_least_zero(program, sums), sums)


def _at_least_zero(program: Program, scores: Block) -> Block:
    """The second class from zero on, as gradient boosting decides it."""
    return program.add("above", [scores], "int64", 1, constants=np.array([-np.nextafter(0, 1)]))


@index.reads(ESTIMATORS, "sklearn.HistGradientBoostingRegressor")
@index.reads(ESTIMATORS, "sklearn.HistGradientBoostingClassifier")
def estimate_histograms(model: Fitted, program: Program, table: Table) -> Answer:
    """Raises UnsupportedError for splits by categories and for unknown links."""
    if getattr(model, "is_categorical_", None) is not None:
        raise UnsupportedError("histogram boosting with splits by categories")
    trees: list[Tree] = []
    targets: list[int] = []
    for predictors in model._predictors:
        for target, predictor in enumerate(predictors):
            trees.append(_read_histogram_tree(predictor.nodes))
            targets.append(target)
    base = np.asarray(model._baseline_prediction, np.float64).ravel()
    block = as_numbers(program, table, ("double",))
    sums = add_trees(program, block, trees, targets, base, "<=", "double")
    if not hasattr(model, "classes_"):
        name = type(getattr(model._loss, "link", None)).__name__
        loss = str(getattr(model, "loss", ""))
        if name == "LogLink" or (name == "NoneType" and loss == "poisson"):
            return Answer(apply(program, "exp", sums))
        return Answer(sums)
    if len(base) == 1:
        numbers = both_sides(program, apply(program, "expit", sums))
        # labels are those of the larger probability: the first where both are alike
        return Answer(numbers, program.add("argmax", [numbers], "int64", 1), sums)
    numbers = apply(program, "softmax", sums)
    return Answer(numbers, program.add("argmax", [numbers], "int64", 1), sums)


def _read_histogram_tree(nodes: Array) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    children = [np.where(is_leaf, -1, nodes[each].astype(np.int64)) for each in ("left", "right")]
    split, leaf, lefts, rights = number_apart(*children)
    name = "num_threshold" if "num_threshold" in (nodes.dtype.names or ()) else "threshold"
    return Tree(
        lefts,
        rights,
        nodes["feature_idx"][split].astype(np.int64),
        nodes[name][split].astype(np.float64),
        nodes["missing_go_to_left"][split].astype(np.uint8) * MISSING_LEFT,
        nodes["value"][leaf].astype(np.float64).reshape(-1, 1),
    )

"""Tree ensembles as ONNX: one node in the model's own precision, and what makes it an answer.

The node is TreeEnsemble of ai.onnx.ml, version 5, which compares and adds in double where it is
given doubles (https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html). The sum of a
classifier's trees is a margin, which common operators turn into probabilities and labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from packager.engines.onnx import categories
from packager.engines.onnx.candidates import Candidate
from packager.engines.onnx.compilers.ensembles import Ensemble, Node, Tree, variants
from packager.engines.proof.inputs import Inputs

OPSET: Final = 21
ML_OPSET: Final = 5
IR_VERSION: Final = 10
INPUT: Final = "X"
LINKS: Final = {"identity": None, "exp": "Exp", "sigmoid": "Sigmoid", "softmax": "Softmax"}


def candidates(ensemble: Ensemble, inputs: Inputs, method: str) -> Iterator[Candidate]:
    """Graphs of a model that is trees and nothing else, in the order in which they are tried."""
    for name, precision, each in variants(ensemble):
        yield Candidate(
            name=name,
            graph=partial(graph, each),
            feeds=inputs.matrix(np.dtype(each.dtype).name),
            output=int(bool(each.classes) and method == "predict_proba"),
            precision=precision,
            exact=each.exact,
        )


def graph(ensemble: Ensemble) -> onnx.ModelProto:
    """Outputs: `label` (classifiers alone) and `values`: linked margins, or probabilities."""
    kind = TensorProto.DOUBLE if ensemble.dtype == np.float64 else TensorProto.FLOAT
    constants: list[Any] = []
    plain, looked_up = categories.looked_up(ensemble, constants)
    nodes = [*_round_inputs(ensemble), *looked_up, _ensemble_node(plain)]
    nodes += _scale_margins(ensemble, constants)
    binary = ensemble.link == "sigmoid" and len(ensemble.classes) == 2
    linked = LINKS[ensemble.link]
    name = "positive" if binary else "values"
    if linked is None:
        nodes.append(helper.make_node("Identity", ["scaled"], [name]))
    else:
        more = {"axis": 1} if linked == "Softmax" else {}
        nodes.append(helper.make_node(linked, ["scaled"], [name], **more))
    if binary:
        constants.append(_constant("one", np.ones(1, ensemble.dtype)))
        nodes += [
            helper.make_node("Sub", ["one", "positive"], ["negative"]),
            helper.make_node("Concat", ["negative", "positive"], ["values"], axis=1),
        ]
    outputs = [helper.make_tensor_value_info("values", kind, [None, None])]
    if ensemble.classes:
        classes = class_names(ensemble.classes)
        constants.append(classes)
        nodes += [
            helper.make_node("ArgMax", ["values"], ["best"], axis=1, keepdims=0),
            helper.make_node("Gather", ["classes", "best"], ["label"]),
        ]
        outputs.insert(0, helper.make_tensor_value_info("label", classes.data_type, [None]))
    made = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info(INPUT, kind, [None, ensemble.features])],
        outputs,
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION)


def class_names(classes: Sequence[object]) -> TensorProto:
    """The constant `classes`, of words or of whole numbers."""
    named = np.array(classes)
    text = named.dtype.kind in "UO"
    return helper.make_tensor(
        "classes",
        TensorProto.STRING if text else TensorProto.INT64,
        [len(named)],
        [str(each).encode() for each in named] if text else [int(each) for each in named],
    )


def _round_inputs(ensemble: Ensemble) -> list[object]:
    if not ensemble.narrow:
        return [helper.make_node("Identity", [INPUT], [categories.TAKEN])]
    return [
        helper.make_node("Cast", [INPUT], ["rounded"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["rounded"], [categories.TAKEN], to=TensorProto.DOUBLE),
    ]


def after(first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    """The graph of a pipeline: what `first` answers goes into the last step."""
    compose.add_prefix_graph(second.graph, "last_", inplace=True)
    kind = second.graph.input[0].type.tensor_type.elem_type
    handed = helper.make_node(
        "Cast", [first.graph.output[0].name], [second.graph.input[0].name], to=kind
    )
    made = helper.make_graph(
        [*first.graph.node, handed, *second.graph.node],
        "pipeline",
        list(first.graph.input),
        list(second.graph.output),
        [*first.graph.initializer, *second.graph.initializer],
    )
    versions = {each.domain: each.version for each in first.opset_import}
    opsets = [helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    # what the last step needs of the common operators is the same in every version since 13
    opsets.append(helper.make_opsetid("", max(13, versions.get("", OPSET))))
    return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION)


def _scale_margins(ensemble: Ensemble, constants: list[object]) -> list[object]:
    """A mean is divided and not multiplied, as the models do it: to the last bit."""
    kind, by = ("Div", ensemble.divisor) if ensemble.divisor != 1.0 else ("Mul", ensemble.scale)
    if by == 1.0:
        return [helper.make_node("Identity", ["margins"], ["scaled"])]
    constants.append(_constant("scale", np.array([by], ensemble.dtype)))
    return [helper.make_node(kind, ["margins", "scale"], ["scaled"])]


def _constant(name: str, value: npt.NDArray[np.generic]) -> object:
    return numpy_helper.from_array(value, name)


def _ensemble_node(ensemble: Ensemble) -> object:
    """Splits and leaves are counted apart; a tree that is one leaf gets a split to two of it.

    What margins start with comes as such trees, the first: sums then have the model's own order.
    """
    made = _Rows()
    starts = [Tree(at, (Node(value),)) for at, value in enumerate(ensemble.base) if value != 0.0]
    for tree in (*starts, *ensemble.trees):
        made.add(tree)
    splits = np.array(made.values, dtype=ensemble.dtype)
    weights = np.array(made.weights, dtype=ensemble.dtype)
    mode = _MODES[ensemble.less]
    modes = np.full(len(splits), mode, dtype=np.uint8)
    return helper.make_node(
        "TreeEnsemble",
        [categories.GIVEN],
        ["margins"],
        domain="ai.onnx.ml",
        n_targets=len(ensemble.base),
        aggregate_function=_SUM,
        post_transform=_NONE,
        tree_roots=made.roots,
        nodes_featureids=made.features,
        nodes_splits=_constant("splits", splits),
        nodes_modes=_constant("modes", modes),
        nodes_truenodeids=made.lefts,
        nodes_falsenodeids=made.rights,
        nodes_trueleafs=made.left_leaves,
        nodes_falseleafs=made.right_leaves,
        nodes_missing_value_tracks_true=made.missing,
        leaf_targetids=made.targets,
        leaf_weights=_constant("weights", weights),
    )


_MODES: Final = {"BRANCH_LEQ": 0, "BRANCH_LT": 1}
_SUM: Final = 1
_NONE: Final = 0


@dataclass(slots=True)
class _Rows:
    """The attributes of one node that holds every tree."""

    roots: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lefts: list[int] = field(default_factory=list)
    rights: list[int] = field(default_factory=list)
    left_leaves: list[int] = field(default_factory=list)
    right_leaves: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, tree: Tree) -> None:
        self.roots.append(len(self.values))
        splits = [at for at, node in enumerate(tree.nodes) if node.left is not None]
        places = {at: len(self.values) + number for number, at in enumerate(splits)}
        self._part_ids(tree.nodes[0], places)
        if not splits:
            self._split(Node(0.0), (self._leaf(tree, 0), 1), (self._leaf(tree, 0), 1))
        for at in splits:
            node = tree.nodes[at]
            self._split(
                node, self._child(tree, node.left, places), self._child(tree, node.right, places)
            )

    def _part_ids(self, root: Node, places: dict[int, int]) -> None:
        """Leave out a leaf's number where a root's leaf would have that of its other child.

        onnxruntime takes a root whose two numbers are equal for a lone leaf, whatever each counts,
        and the root's own number for that of the leaf; so a lone leaf is written twice
        (onnxruntime/core/providers/cpu/ml/tree_ensemble_attribute.h, `transformInputAllTrees`).
        """
        inner = [places[at] for at in (root.left, root.right) if at in places]
        if len(inner) == 1 and inner[0] == len(self.weights):
            self.targets.append(0)
            self.weights.append(0.0)

    def _child(self, tree: Tree, at: int | None, places: dict[int, int]) -> tuple[int, int]:
        assert at is not None  # noqa: S101 - a split has both children
        return (places[at], 0) if at in places else (self._leaf(tree, at), 1)

    def _leaf(self, tree: Tree, at: int) -> int:
        self.targets.append(tree.target)
        self.weights.append(tree.nodes[at].value)
        return len(self.weights) - 1

    def _split(self, node: Node, left: tuple[int, int], right: tuple[int, int]) -> None:
        self.features.append(node.feature)
        self.values.append(node.value)
        self.missing.append(int(node.missing_left))
        self.lefts.append(left[0])
        self.left_leaves.append(left[1])
        self.rights.append(right[0])
        self.right_leaves.append(right[1])

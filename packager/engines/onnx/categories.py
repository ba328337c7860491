"""Splits by categories, as splits by numbers: each row's category is looked up in a table.

TreeEnsemble of ai.onnx.ml 5 has a mode for sets, but onnxruntime unrolls it: one copy of all that
is below the split for each member (onnxruntime/core/providers/cpu/ml/tree_ensemble_attribute.h,
`transformInputOneTree`); docs/adr/0014 has what was measured. So a feature of categories is turned
into one more feature for each set that is asked for, 0 where a row goes to the left.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from packager.engines.onnx.compilers.ensembles import Ensemble, Node, Tree
from packager.engines.proof.inputs import RefusedError

TAKEN: Final = "taken"
GIVEN: Final = "features"
"""The trees' inputs before and after the new features are added to them."""
LARGEST_CELLS: Final = 50_000_000
"""Of the tables together: they are in the graph as single bytes."""
_Sides = tuple[tuple[float, ...], bool]


def looked_up(ensemble: Ensemble, constants: list[object]) -> tuple[Ensemble, list[object]]:
    """The ensemble with splits by numbers alone, and the operators that make its features.

    Raises RefusedError where the tables would be out of all proportion.
    """
    sets = _Sets(ensemble.features)
    found = tuple(
        Tree(tree.target, tuple(sets.plain(node) for node in tree.nodes)) for tree in ensemble.trees
    )
    if not sets.places:
        return ensemble, [helper.make_node("Identity", [TAKEN], [GIVEN])]
    by_feature: dict[int, list[_Sides]] = {}
    for feature, sides in sets.places:
        by_feature.setdefault(feature, []).append(sides)
    kinds = {f: sorted({m for each, _ in asked for m in each}) for f, asked in by_feature.items()}
    if (cells := sum(len(kinds[f]) * len(by_feature[f]) for f in kinds)) > LARGEST_CELLS:
        raise RefusedError(f"splits by categories whose table would have {cells} cells")
    maker = _Maker(ensemble, constants)
    for feature, asked in by_feature.items():
        maker.add(feature, np.array(kinds[feature], dtype=np.float64), asked)
    # new features stand in the order in which the tables are, and not in that of their first split
    order = {key: at for at, key in enumerate((f, s) for f in by_feature for s in by_feature[f])}
    moved = [order[key] for key in sets.places]
    return replace(ensemble, trees=_move_features(found, ensemble.features, moved)), maker.done()


@dataclass(slots=True)
class _Sets:
    features: int
    places: dict[tuple[int, _Sides], int] = field(default_factory=dict)

    def plain(self, node: Node) -> Node:
        if node.members is None:
            return node
        key = (node.feature, (node.members, node.missing_left))
        at = self.places.setdefault(key, len(self.places))
        return replace(node, value=0.5, feature=self.features + at, members=None)


def _move_features(trees: tuple[Tree, ...], features: int, moved: list[int]) -> tuple[Tree, ...]:
    def place_node(node: Node) -> Node:
        if node.left is None or node.feature < features:
            return node
        return replace(node, feature=features + moved[node.feature - features])

    return tuple(replace(tree, nodes=tuple(map(place_node, tree.nodes))) for tree in trees)


class _Maker:
    """Operators for one feature after the other; each makes as many columns as it has sets."""

    def __init__(self, ensemble: Ensemble, constants: list[object]) -> None:
        self._dtype, self._whole = ensemble.dtype, ensemble.whole
        self._constants = constants
        self._nodes: list[Any] = []
        self._made: list[str] = []

    def add(self, feature: int, kinds: npt.NDArray[np.generic], asked: list[_Sides]) -> None:
        """Rows of the table: each category, a missing value, and whatever else."""
        table = np.ones((len(kinds) + 2, len(asked)), dtype=np.bool_)
        for at, (members, missing_left) in enumerate(asked):
            table[: len(kinds), at] = ~np.isin(kinds, members)
            table[len(kinds), at] = not missing_left
        name = f"category_{feature}"
        self._constant(f"{name}_at", np.array([feature], dtype=np.int64))
        self._constant(f"{name}_kinds", kinds.astype(self._dtype)[None, :])
        self._constant(f"{name}_table", table)
        self._node("Gather", [TAKEN, f"{name}_at"], f"{name}_read", axis=1)
        self._node("Equal", [self._round_to_whole(name), f"{name}_kinds"], f"{name}_same")
        self._node("IsNaN", [f"{name}_read"], f"{name}_nan")
        self._node("Not", [f"{name}_nan"], f"{name}_some")
        flags = [f"{name}_same", f"{name}_nan", f"{name}_some"]
        self._node("Concat", flags, f"{name}_flags", axis=1)
        self._node("Cast", [f"{name}_flags"], f"{name}_counts", to=TensorProto.FLOAT)
        # the first that holds: the last holds for all that have a value
        self._node("ArgMax", [f"{name}_counts"], f"{name}_row", axis=1, keepdims=0)
        self._node("Gather", [f"{name}_table", f"{name}_row"], f"{name}_sides", axis=0)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self._dtype))
        self._node("Cast", [f"{name}_sides"], f"{name}_columns", to=kind)
        self._made.append(f"{name}_columns")

    def done(self) -> list[Any]:
        self._node("Concat", [TAKEN, *self._made], GIVEN, axis=1)
        return self._nodes

    def _round_to_whole(self, name: str) -> str:
        read = f"{name}_read"
        if self._whole == "Floor":
            self._node("Floor", [read], f"{name}_whole")
        elif self._whole == "Truncate":
            self._node("Abs", [read], f"{name}_size")
            self._node("Floor", [f"{name}_size"], f"{name}_floor")
            self._node("Sign", [read], f"{name}_sign")
            self._node("Mul", [f"{name}_sign", f"{name}_floor"], f"{name}_whole")
        else:
            return read
        return f"{name}_whole"

    def _constant(self, name: str, value: npt.NDArray[np.generic]) -> None:
        self._constants.append(numpy_helper.from_array(value, name))

    def _node(self, kind: str, inputs: list[str], output: str, **more: object) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [output], **more))

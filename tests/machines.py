"""The state machine of a batch, in what moto's interpreter of the language has.

What that has not (item batches, express executions, JSON Lines and Parquet, a tolerated percentage,
a writer's parameters from the map's input) is put otherwise: a batch of one item, made by a
selector, in a standard execution, with values in the place of paths. Its writer names no results in
the manifest, so that the rows' results are looked at without it.
"""

from __future__ import annotations

import copy
from typing import Any, Final

REFUSED_BY_MOTO: Final = ("ScoreJsonl", "ScoreParquet")


def equivalent(machine: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """The same, in what moto's interpreter has."""
    made = copy.deepcopy(machine)
    states = made["States"]
    for name in REFUSED_BY_MOTO:
        del states[name]
    states["Choose"]["Choices"] = [
        choice for choice in states["Choose"]["Choices"] if choice["Next"] in states
    ]
    for state in states.values():
        if state["Type"] != "Map":
            continue
        state["ItemProcessor"]["ProcessorConfig"]["ExecutionType"] = "STANDARD"
        del state["ToleratedFailurePercentagePath"]
        state["ToleratedFailurePercentage"] = sent["tolerated_percentage"]
        to = sent["output"]
        state["ResultWriter"]["Parameters"] = {"Bucket": to["bucket"], "Prefix": to["prefix"]}
        if "ItemBatcher" in state:
            del state["ResultWriter"]
            batch = state.pop("ItemBatcher")["BatchInput"]
            state["ItemSelector"] = {
                "Items.$": "States.Array($$.Map.Item.Value)",
                "BatchInput": batch,
            }
    return made

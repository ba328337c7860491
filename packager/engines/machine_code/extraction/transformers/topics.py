"""Topics of a row of counts."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.checks import refuse_below
from packager.engines.machine_code.extraction.index import TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    common_kind,
    table_of,
)

_MOST_TURNS = 100_000


@index.reads(TRANSFORMERS, "sklearn.LatentDirichletAllocation")
def estimate_topics(model: Fitted, program: Program, table: Table) -> Table:
    """Shares of the topics; what is below zero is refused.

    Raises UnsupportedError for floats, which the model computes with as they are.
    """
    if common_kind(table) == "float":
        raise UnsupportedError("a LatentDirichletAllocation over floats")
    turns = int(model.max_doc_update_iter)
    if turns > _MOST_TURNS:
        raise UnsupportedError(f"a LatentDirichletAllocation of {turns} turns for a row")
    words = np.ascontiguousarray(model.exp_dirichlet_component_, np.float64)
    block = refuse_below(program, as_numbers(program, table), 0.0, equal=False)
    settings = np.array([model.doc_topic_prior_, model.mean_change_tol], np.float64)
    return table_of(
        program.add(
            "settle",
            [block],
            "double",
            len(words),
            turns=turns,
            words=words.ravel(),
            settings=settings,
        )
    )

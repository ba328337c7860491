"""Categories as means of what was answered for them."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Program
from packager.engines.machine_code.extraction.tables import Table, join_tables, table_of
from packager.engines.machine_code.extraction.transformers.encoders import find_positions


@index.reads(TRANSFORMERS, "sklearn.TargetEncoder")
def encode_by_target(model: Fitted, program: Program, table: Table) -> Table:
    """Each category's mean, for each class where there are several; the mean of all elsewhere."""
    positions = find_positions(program, table, model.categories_, refuses=False)
    several = model.target_type_ == "multiclass"
    classes = len(model.classes_) if several else 1
    means = np.ravel(model.target_mean_)
    parts = []
    for at, encoding in enumerate(model.encodings_):
        codes = np.append(np.asarray(encoding, np.float64), means[at % classes])
        block = positions[at // classes]
        parts.append(program.add("look_up", [block], "double", 1, at=0, constants=codes))
    return join_tables([table_of(part) for part in parts])

"""A model's signature, and what MLflow makes of a request by it.

The arrays that requests become are numpy's, or where it is not installed our own (frame `plain`).
Everything that reads, casts and enforces columns takes `np` from here, so that the rules are
written once. Ours has what a table of scalar columns needs, and nothing else. It is here and in no
file of its own because a start pays for each module.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np

    PLAIN: bool
else:
    try:
        import numpy as np
    except ModuleNotFoundError:
        from handlers.scoring import plain as np

    PLAIN = np.__name__ != "numpy"

__all__ = ["PLAIN", "np"]

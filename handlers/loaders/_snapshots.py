"""State that copies of one snapshot (SnapStart) must not share: where numbers are drawn from.

A model that draws at random would draw the same in every copy, as each goes on where the snapshot
was taken. Only a model that the proof saw draw is given new seeds: one that sets its seed as it is
loaded answers as it was proven. Nothing else that a function keeps has to be renewed: botocore
asks for credentials again once they have expired and opens its connections at the first call, and
every time is read in the invocation that needs it.
"""

from __future__ import annotations

import sys

_SEEDS = (("random", "seed"), ("numpy.random", "seed"), ("torch", "seed"))
"""Functions that take new entropy of the system where they are called without arguments."""


def register() -> None:
    """Have the runtime draw new seeds in each copy, before its first invocation."""
    # AWS's runtimes have it, and so has AWS's runtime client for Python 3.9 and later: an image of
    # an older one is not built to start from a snapshot
    __import__("snapshot_restore_py").register_after_restore(draw_seeds)


def draw_seeds() -> None:
    """Draw new seeds for what is imported."""
    for module, name in _SEEDS:
        if module in sys.modules:
            getattr(sys.modules[module], name)()

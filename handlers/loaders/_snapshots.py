"""State that copies of one snapshot (SnapStart) must not share: where numbers are drawn from.

A model that draws at random would draw the same in every copy, as each goes on where the snapshot
was taken. Only a model that the proof saw draw is given new seeds: one that sets its seed as it is
loaded answers as it was proven. A generator of numpy's that the model holds is given new entropy
where it was made of the system's, and keeps a seed of its own. Nothing else that a function keeps
has to be renewed: botocore asks for credentials again once they have expired and opens its
connections at the first call, and every time is read in the invocation that needs it.
"""

from __future__ import annotations

import gc
import os
import sys
from types import ModuleType

_SEEDS = (("random", "seed"), ("numpy.random", "seed"), ("torch", "seed"))
"""Functions that take new entropy of the system where they are called without arguments."""


_SYSTEM_BITS = 64
"""Entropy of the system has twice as many, and a seed that somebody wrote has fewer."""


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
    if "numpy.random" in sys.modules:
        _draw_held(sys.modules["numpy.random"])
    if "tensorflow" in sys.modules:
        seed = int.from_bytes(os.urandom(7), "big")
        sys.modules["tensorflow"].random.set_seed(seed)


def _draw_held(numpy_random: ModuleType) -> None:
    """Draw new states for generators that a model holds, where no seed was given for them."""
    kind = getattr(numpy_random, "BitGenerator", None)
    if kind is None:  # before numpy 1.19
        return
    gc.unfreeze()  # what is frozen is not listed
    found = [each for each in gc.get_objects() if isinstance(each, kind)]
    gc.freeze()
    for each in found:
        entropy = getattr(getattr(each, "seed_seq", None), "entropy", None)
        if isinstance(entropy, int) and entropy.bit_length() > _SYSTEM_BITS:
            each.state = type(each)().state

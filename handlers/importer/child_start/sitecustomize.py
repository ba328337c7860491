# noqa: INP001 - a folder of sys.path, and no package
"""The first that a child interpreter runs: it imports from now on as its parent does.

Another `sitecustomize` that the path leads to is run next, as it would have been.
"""

import sys
from pathlib import Path


def _start() -> None:
    here = str(Path(__file__).parent.absolute())
    sys.path[:] = [entry for entry in sys.path if entry != here]
    __import__("handlers")
    own = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    if own is not None:
        sys.modules.setdefault("sitecustomize", own)


_start()

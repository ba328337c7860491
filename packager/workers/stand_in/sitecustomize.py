"""The first that a booted function's Python runs: AWS is recorded and not asked.

PACKAGER_STAND_IN is the name of the function's module that makes AWS's clients; what is in
recorded_clients.py beside this file takes its place.
"""

import os
import sys


def _start() -> None:
    name = os.environ.get("PACKAGER_STAND_IN")
    if name:
        sys.modules[name] = __import__("recorded_clients")


_start()

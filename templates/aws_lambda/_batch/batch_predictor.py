"""The function's own predictor, in a process of its own: rows in, one answer a row out.

The process gets the function's folder alone on its path, so that the model meets the very packages
that it was proven with, whatever Ray or Spark have loaded beside it. Its Python must be of the
function's minor version: the one that runs this, or the one that PACKAGER_PYTHON names.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

_CHILD = r"""
import json, os, struct, sys
from pathlib import Path
folder = Path(sys.argv[1]).absolute()
sys.path.insert(0, str(folder))
out = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever the model prints is no answer
from handlers.files.chunks import Items
from handlers.files.scoring import Fault, Rows, texts
from handlers.manifest import Manifest
from handlers.scoring import predictor
from handlers.scoring.scorer import Scorer
manifest = Manifest.read(folder)
ours = "%d.%d" % sys.version_info[:2]
if ours != manifest.python:
    sys.exit(f"the function is for Python {manifest.python}, not {ours}: set PACKAGER_PYTHON")
scorer = Scorer(manifest, predictor.load(manifest, folder))
while head := sys.stdin.buffer.read(4):
    lines = sys.stdin.buffer.read(struct.unpack(">I", head)[0]).split(b"\n")
    found = Rows(scorer, len(lines)).answers(Items(lines))
    told = texts([[None, f"{a.error_code}: {a.message}"] if isinstance(a, Fault) else [a, None]
                  for a in found])
    body = "\n".join(told).encode()
    out.write(struct.pack(">I", len(body)) + body)
    out.flush()
"""


class Predictor:
    """Safe to make in any worker; one process, which ends with this object."""

    def __init__(self, folder: str) -> None:
        """`folder` is the function's, with model-manifest.json. Raises OSError."""
        self._child = subprocess.Popen(
            [os.environ.get("PACKAGER_PYTHON") or sys.executable, "-s", "-c", _CHILD, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "", "LD_LIBRARY_PATH": f"{folder}/lib"},
        )

    def __call__(self, rows: list[dict]) -> list[tuple]:
        """For each row `(answer, None)`, or `(None, why)` where it cannot be scored."""
        if not rows:
            return []
        body = "\n".join(json.dumps(row) for row in rows).encode()
        self._child.stdin.write(struct.pack(">I", len(body)) + body)
        self._child.stdin.flush()
        head = self._child.stdout.read(4)
        if len(head) < 4:
            msg = f"the predictor ended with {self._child.wait()}; its words are above"
            raise RuntimeError(msg)
        answered = self._child.stdout.read(struct.unpack(">I", head)[0])
        return [tuple(json.loads(line)) for line in answered.split(b"\n")]

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.wait()
        self._child.stdout.close()

    def __del__(self) -> None:
        if hasattr(self, "_child"):
            self.close()


def scored(predictor: Predictor, frame):
    """The DataFrame with two columns more: `prediction`, as JSON, and `error`."""
    answers = predictor(_rows(frame))
    frame = frame.copy()
    frame["prediction"] = [None if why else json.dumps(answer) for answer, why in answers]
    frame["error"] = [why for _, why in answers]
    return frame


def _rows(frame) -> list[dict]:
    """Missing values as null; every digit of a number; times as ISO 8601."""
    return [{n: _plain(v) for n, v in row.items()} for row in frame.to_dict(orient="records")]


def _plain(value: object) -> object:
    if value is None or value != value:  # noqa: PLR0124  NaN, NaT
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


FUNCTION = str(Path(__file__).parent / "function")

"""Hold a loader to mlflow.pyfunc: `python in_process.py MODEL_FOLDER FUNCTION_FOLDER`.

Run where the model's framework and mlflow are installed. Prints what was compared; exits with an
AssertionError where an answer differs in a bit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import mlflow.pyfunc
import numpy as np
import pandas as pd

from handlers.manifest import Manifest
from handlers.scoring import predictor
from handlers.scoring.responses import encode

model, function = map(Path, sys.argv[1:])
manifest = Manifest.read(function)
# ours first: it chooses Keras's backend, which MLflow leaves to the environment
ours = predictor.load(manifest, function)
theirs = mlflow.pyfunc.load_model(str(model), suppress_warnings=True)
inputs = (manifest.signature or {}).get("inputs") or []
rng = np.random.default_rng(0)
WORDS = ("good", "fine", "awful", "day", "a", "Zürich")
compared = 0
for rows in (1, 2, 100, 900):
    table = rng.normal(size=(rows, 4))
    asked: Any = table.astype("float32")
    handed = asked
    if inputs[0]["type"] == "string":
        texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(rows)]
        asked = handed = pd.DataFrame({inputs[0].get("name", 0): texts})
    elif inputs[0]["type"] != "tensor":
        asked = handed = pd.DataFrame(table, columns=[spec["name"] for spec in inputs])
        if manifest.frame == "numpy":
            handed = {name: asked[name].to_numpy() for name in asked.columns}
    expected = encode(theirs.predict(asked))
    assert json.loads(encode(ours.predict(handed, None))) == json.loads(expected), rows
    assert encode(ours.predict(handed, None)) == expected, rows
    compared += rows
sys.stdout.write(f"{compared}\n")

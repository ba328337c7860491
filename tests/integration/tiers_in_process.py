"""Run a torch model each way that its server offers: `python tiers_in_process.py FUNCTION_FOLDER`.

Run where torch is installed. Prints a JSON object of way to whether it was proven, and why.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from handlers.container_server import replicas
from handlers.container_server.settings import ServiceSettings
from handlers.manifest import Manifest
from handlers.scoring import predictor
from handlers.scoring.request_parsing import JSON

WAYS = (
    ("bfloat16", "eager"),
    ("float16", "eager"),
    ("float32", "compile"),
    ("float32", "graphs"),
)

folder = Path(sys.argv[1])
copy = replicas.load(Manifest.read(folder), folder, "cpu", predictor.load)
body = (folder / "model" / "serving_input_example.json").read_bytes()
example = copy.scorer.read(body, JSON)
found = {}
for precision, tier in WAYS:
    settings = ServiceSettings(batch_rows=4, precision=precision, tier=tier)
    made = replicas.warm(copy, example, settings)
    found[f"{precision}, {tier}"] = [made.proof.used, made.proof.why]
    assert made.warm is not None
    assert made.warm.batch_rows == 4
sys.stdout.write(json.dumps(found) + "\n")

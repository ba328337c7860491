"""A comparison with something in every part."""

from __future__ import annotations

from typing import Any


def make() -> Any:
    def side(version: str) -> dict[str, str]:
        return {
            "given": f"dist/churn-{version}",
            "made": "artifact",
            "name": "churn",
            "version": version,
            "target": "aws-lambda",
            "engine": "native",
            "model_digest": version * 64,
        }

    def amounts(a: float, b: float) -> dict[str, float]:
        return {"a": a, "b": b, "growth": b / a - 1}

    label = {
        "place": "predictions, 'label'",
        "kind": "label",
        "values": 8,
        "changed": 2,
        "share": 0.25,
        "unlike": 0,
        "moves": [{"a": "no", "b": "yes", "values": 2}],
    }
    number = {
        "place": "predictions, 'score'",
        "kind": "number",
        "values": 8,
        "changed": 5,
        "share": 0.625,
        "unlike": 0,
        "mean_change": 0.0125,
        "mean": 0.0375,
        "p50": 0.002,
        "p90": 0.25,
        "p99": 0.25,
        "max": 0.28125,
        "by_power": {"-3": 4, "-1": 1},
    }
    return {
        "a": side("3"),
        "b": side("4"),
        "same_model": False,
        "sizes": {"zipped_bytes": amounts(1000, 1200), "unzipped_bytes": amounts(2000, 2600)},
        "package_sizes": [
            {"name": "numpy", "a": 500, "b": 600},
            {"name": "scipy", "a": 0, "b": 400},
        ],
        "packages": [{"name": "scipy", "a": None, "b": "1.18.1"}],
        "facts": [{"name": "threads", "a": None, "b": "1"}],
        "signature": [
            {"part": "inputs", "change": "added", "name": "age", "a": None, "b": "double"}
        ],
        "files": [{"name": "code/features.py", "change": "changed", "is_code": True}],
        "start": {"cpu_ms": amounts(400, 420), "peak_rss_bytes": amounts(1e8, 1.1e8)},
        "answers": {
            "requests": 3,
            "rows": {"a": 2, "b": 1, "generated": 5},
            "seed": 0,
            "rows_compared": 8,
            "refused": {"a": 0, "b": 1, "both": 0},
            "refusals": ["B: age is missing"],
            "rows_changed": 2,
            "rows_reshaped": 0,
            "outputs": [label, number],
            "measure": "changed labels",
            "overall": 0.25,
            "columns": [
                {
                    "name": "age",
                    "explains": 0.5,
                    "groups": [
                        {"values": "to 30", "rows": 4, "measure": 0.5},
                        {"values": "above 30", "rows": 4, "measure": 0.0},
                    ],
                }
            ],
        },
        "limits": [
            {
                "name": "labels",
                "limit": 0.005,
                "value": 0.25,
                "passed": False,
                "words": "labels: 25%, at most 0.5%",
            }
        ],
        "passed": False,
        "notes": ["B draws at random."],
    }

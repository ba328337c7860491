"""The CloudWatch dashboard of a function: what comes in, how it goes, how far it has moved.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from packager.types import Json

_WIDTH: Final = 8
_HEIGHT: Final = 6
_ACROSS: Final = 3


def body(
    namespace: str, dimensions: Mapping[str, str], *, events: Sequence[str], drift: bool
) -> str:
    """JSON for `Fn::Sub`: the function and the region are the template's own."""
    # what looks like a variable is none
    own = [part.replace("${", "${!") for pair in dimensions.items() for part in pair]
    graphs: list[tuple[str, list[list[Json]]]] = [
        ("Invocations and errors", _function("Invocations", "Errors", "Throttles", stat="Sum")),
        ("Duration (ms)", _graph_durations()),
        ("Concurrent executions", _function("ConcurrentExecutions", stat="Maximum")),
        ("Rows", _own(namespace, own, "Sum", "Rows", "RowErrors")),
        ("Latency (ms)", _own(namespace, own, "p99", "Latency", "ModelLatency")),
        ("Starts", _own(namespace, own, "Sum", "ColdStart", "ColdStoreMisses")),
        ("Requests refused", _own(namespace, own, "Sum", "BadRequests", "Errors")),
        ("Model age (days)", _own(namespace, own, "Maximum", "ModelAgeDays")),
    ]
    if events:
        names = ("Records", "RecordsRefused", "RecordsAgain", "RecordsKnown")
        graphs.append(("Records", _own(namespace, own, "Sum", *names)))
        graphs.append(("Failures queue", [_queue("ApproximateNumberOfMessagesVisible")]))
    if drift:
        lines = _own(namespace, own, "Average", "DriftMostPsi", "PredictionPsi")
        graphs.append(("Drift (population stability index)", lines))
    widgets = [_make_widget(place, title, lines) for place, (title, lines) in enumerate(graphs)]
    return json.dumps({"widgets": widgets}, indent=1, ensure_ascii=True)


def _function(*names: str, stat: str) -> list[list[object]]:
    where = ["FunctionName", "${Function}"]
    return [["AWS/Lambda", name, *where, {"stat": stat}] for name in names]


def _graph_durations() -> list[list[object]]:
    where = ["FunctionName", "${Function}"]
    return [["AWS/Lambda", "Duration", *where, {"stat": stat}] for stat in ("p50", "p99")]


def _own(namespace: str, own: list[str], stat: str, *names: str) -> list[list[object]]:
    return [[namespace, name, *own, {"stat": stat}] for name in names]


def _queue(name: str) -> list[object]:
    return ["AWS/SQS", name, "QueueName", "${FailuresQueue.QueueName}", {"stat": "Maximum"}]


def _make_widget(place: int, title: str, lines: list[list[object]]) -> object:
    return {
        "type": "metric",
        "x": place % _ACROSS * _WIDTH,
        "y": place // _ACROSS * _HEIGHT,
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": {
            "title": title,
            "view": "timeSeries",
            "region": "${AWS::Region}",
            "period": 300,
            "metrics": lines,
        },
    }

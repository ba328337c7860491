"""Large batches: a request is cut by rows, its parts are scored on many instances, put together.

Durable Functions keeps what is done while instances come and go. `POST /batches` takes MLflow's
JSON as /invocations does and answers 202 with the address that tells of the batch; its output is
`{"predictions": ...}`, in the order of the rows, or MLflow's error body. `?rows=` is how many rows
a part has. A model whose answer for a row hangs on the other rows is not for this door.

https://learn.microsoft.com/en-us/azure/azure-functions/durable/durable-functions-overview
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from handlers.events.azure_triggers import BATCHES, PART
from handlers.scoring.errors import INTERNAL_ERROR, InvalidInputError, ScoringError
from handlers.scoring.responses import row_count
from handlers.scoring.scorer import Scorer

ROUTE = "batches"
START, FAN_OUT, SCORE = BATCHES, "batches_fan_out", PART
_ROWS = 1000
_DIGITS = 9
"""Of a number of rows."""
_TABLES = ("dataframe_split", "dataframe_records", "instances", "inputs")
_TRANSIENT = (MemoryError, OSError)
_RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=2000, max_number_of_attempts=5)


class NotThisTimeError(Exception):
    """A part that may be answered when it is tried again."""


def add(app: df.DFApp, scorer: Scorer, record: Callable[[str, dict[str, object]], None]) -> None:
    """The three functions: what starts a batch, what cuts it up, and what scores a part.

    `record` writes the log's line of a part, as of any invocation.
    """

    async def start(req: func.HttpRequest, client: Any) -> func.HttpResponse:
        try:
            parts = cut(_read_request(req.get_body()), _read_rows(req.params.get("rows")))
        except ScoringError as error:
            refused = scorer.refusal(error)
            return func.HttpResponse(
                refused.body, status_code=refused.status, mimetype="application/json"
            )
        instance = await client.start_new(FAN_OUT, client_input=parts)
        answer: func.HttpResponse = client.create_check_status_response(req, instance)
        return answer

    def score(part: dict[str, object]) -> dict[str, object]:
        begun, told = time.perf_counter(), {"status": 500, "rows": 0}
        try:
            answer = score_part(scorer, part)
            told = {"status": 400, "rows": 0}
            if "predictions" in answer:
                told = {"status": 200, "rows": row_count(answer["predictions"])}
        finally:
            latency_ms = round((time.perf_counter() - begun) * 1000, 3)
            record(SCORE, {**told, "latency_ms": latency_ms})
        return answer

    score.__annotations__ = {"part": dict}  # the worker knows no dict[...]
    client = app.durable_client_input(client_name="client")
    app.function_name(START)(app.route(route=ROUTE, methods=["POST"])(client(start)))
    app.function_name(FAN_OUT)(app.orchestration_trigger(context_name="context")(fan_out))
    app.function_name(SCORE)(app.activity_trigger(input_name="part")(score))


def fan_out(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Every part at once; what could not be asked this time is tried again."""
    parts = context.get_input(expected_type=list)
    tasks = [context.call_activity_with_retry(SCORE, _RETRY, part) for part in parts]
    answers = yield context.task_all(tasks)
    return join_answers(answers)


def score_part(scorer: Scorer, part: dict[str, object]) -> dict[str, object]:
    """MLflow's answer, or its error body; raises what may go well at another time."""
    try:
        return scorer.invoke(part)
    except ScoringError as error:
        if isinstance(error.__cause__, _TRANSIENT):
            raise NotThisTimeError("the model could not be asked") from None
        told: dict[str, Any] = json.loads(scorer.refusal(error).body)
        return told


def _join_columns(found: Sequence[object]) -> dict[str, list[object]] | None:
    """The parts' columns, each in one list; None where they are no columns of the same names."""
    parts = [each for each in found if isinstance(each, dict)]
    if len(parts) < len(found) or any(each.keys() != parts[0].keys() for each in parts):
        return None
    columns = {name: [each[name] for each in parts] for name in parts[0]}
    if not all(isinstance(part, list) for cells in columns.values() for part in cells):
        return None
    return {name: _join_parts(cells) for name, cells in columns.items()}


def join_answers(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The predictions of all parts; the first part's error where there is one."""
    for number, answer in enumerate(answers):
        if "predictions" not in answer:
            return {**answer, "part": number}
    found = [answer["predictions"] for answer in answers]
    if len(found) == 1:
        return {"predictions": found[0]}
    if all(isinstance(each, list) for each in found):
        return {"predictions": _join_parts(found)}
    if (columns := _join_columns(found)) is not None:
        return {"predictions": columns}
    message = (
        "The model's answers to parts of the request cannot be joined. Send the request to the "
        "scoring route, or with `rows` as many as it has."
    )
    return {"error_code": INTERNAL_ERROR, "message": message}


def _join_parts(parts: Sequence[list[object]]) -> list[object]:
    return [row for part in parts for row in part]


def cut(request: dict[str, Any], rows: int) -> list[dict[str, Any]]:
    """Requests of at most `rows` rows each; the whole where it is not a table of rows."""
    name = next((each for each in _TABLES if each in request), "")
    table, rest = request.get(name), {k: v for k, v in request.items() if k != name}
    pieces = list(_cut_pieces(table, rows))
    return [{**rest, name: piece} for piece in pieces] if len(pieces) > 1 else [request]


def _cut_pieces(table: object, rows: int) -> Iterator[object]:
    if isinstance(table, list):
        yield from (table[at : at + rows] for at in range(0, len(table), rows))
    elif isinstance(table, dict) and isinstance(table.get("data"), list) and "columns" in table:
        index = table.get("index")
        for at in range(0, len(table["data"]), rows):
            piece = {**table, "data": table["data"][at : at + rows]}
            if isinstance(index, list):
                piece["index"] = index[at : at + rows]
            yield piece
    elif isinstance(table, dict) and table and _holds_columns(table):
        length = len(next(iter(table.values())))
        for at in range(0, length, rows):
            yield {key: column[at : at + rows] for key, column in table.items()}


def _holds_columns(table: dict[str, Any]) -> bool:
    columns = list(table.values())
    return all(isinstance(each, list) for each in columns) and len({*map(len, columns)}) == 1


def _read_request(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInputError(
            "The body is not JSON. Send what the scoring route takes."
        ) from None
    if not isinstance(found, dict):
        raise InvalidInputError("The body is no JSON object. Send what the scoring route takes.")
    return found


def _read_rows(text: str | None) -> int:
    if text is None:
        return _ROWS
    if not text.isdecimal() or len(text) > _DIGITS or int(text) < 1:
        raise InvalidInputError("`rows` must be a whole number above 0.")
    return int(text)

"""Azure's triggers: how they are bound, what they answer, and what comes again or is put aside."""

from __future__ import annotations

import base64
import inspect
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from azure.functions._eventgrid import EventGridEvent
from azure.functions.queue import QueueMessage
from azure.functions.servicebus import ServiceBusMessage

from handlers.events import azure_trigger_functions, azure_triggers
from handlers.events.azure_trigger_functions import InternalError, TriggerFunctions
from handlers.events.destinations import Message
from handlers.events.records import RecordsFailedError, read_records
from tests.handlers.scorers import Recording, scorer

ROW = {"x": 1.5, "kind": "secret"}
GOOD = json.dumps(ROW).encode()
BAD = b'{"x": "secret", "kind": 1}'
ONE_BY_ONE = ("queue", "blob", "servicebus", "topic")


class Out:
    """As azure.functions.Out."""

    def __init__(self) -> None:
        self.value: Any = None

    def set(self, value: Any) -> None:
        self.value = value


class Raising:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        raise self._error


def messages(name: str, *bodies: bytes) -> dict[str, Any]:
    """The arguments of a trigger, of the classes that the worker makes where they can be made."""
    (body, *_) = bodies
    if name == "queue":
        return {"event": QueueMessage(id="m1", body=body)}
    if name in {"servicebus", "topic"}:
        message = ServiceBusMessage(
            body=body, message_id="m1", user_properties={}, application_properties={}
        )
        return {"event": message}
    if name == "eventgrid":
        event = EventGridEvent(
            id="m1",
            data=json.loads(body),
            topic="",
            subject="",
            event_type="",
            event_time=None,
            data_version="1",
        )
        return {"event": event}
    if name == "eventhubs":
        metadata = {"PartitionContext": '{"PartitionId": "3"}'}
        events = [
            SimpleNamespace(sequence_number=i, metadata=metadata, get_body=lambda b=b: b)
            for i, b in enumerate(bodies)
        ]
        return {"event": events}
    blob = SimpleNamespace(name="requests/m1", read=lambda: body)
    return {"event": blob} if name == "blob" else {"event": None, "request": blob}


class Asked:
    """One app with the doors of a model, and what a call of one of them sent."""

    def __init__(self, *names: str, output: str = "queue", model: Any = None, **env: str) -> None:
        doors, app = func.Blueprint(), func.FunctionApp()
        self.told: list[tuple[str, dict[str, Any]]] = []
        made = scorer(model, events=list(names), output=output)
        TriggerFunctions(made, lambda name, values, _: self.told.append((name, values)), env).open(
            doors
        )
        app.register_functions(doors)
        self.functions = {f.get_function_name(): f for f in app.get_functions()}
        self.out, self.failed = Out(), Out()

    def __call__(self, name: str, *bodies: bytes) -> None:
        function = self.functions[name].get_user_function()
        given = {
            **messages(name, *bodies),
            "context": SimpleNamespace(invocation_id="m1"),
            "out": self.out,
            "failed": self.failed,
        }
        function(**{n: given[n] for n in inspect.signature(function).parameters})


NAMES = {
    "queue": ("m1", None),
    "servicebus": ("m1", None),
    "topic": ("m1", None),
    "eventgrid": ("m1", None),
    "blob": ("requests/m1", None),
    "eventhubs": ("3/0", "3"),
    "timer": ("m1", None),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_read_keeps_its_name(name: str) -> None:
    """By which its dead letter is found."""
    (trigger,) = azure_triggers.load([name])
    given = {**messages(name, GOOD), "context": SimpleNamespace(invocation_id="m1")}

    (entry,) = trigger.list_entries(given)
    (record,) = read_records(trigger, given)

    assert trigger.identify_entry(entry) == NAMES[name]
    assert (record.id, record.item, record.group) == (NAMES[name][0], *NAMES[name])
    assert record.fault is None


def test_an_event_hub_that_tells_no_partition_has_one_without_a_name() -> None:
    (trigger,) = azure_triggers.load(["eventhubs"])
    event = SimpleNamespace(sequence_number=7, metadata=None, get_body=lambda: GOOD)

    assert trigger.list_entries({"event": event}) == [event]
    assert trigger.identify_entry(event) == ("/7", "")


def test_a_timer_does_not_ring_when_the_function_starts() -> None:
    """Each instance that is added would score the request once more."""
    (binding,) = (
        each
        for each in Asked("timer").functions["timer"].get_bindings()
        if each.type == "timerTrigger"
    )

    assert binding.get_dict_repr()["runOnStartup"] is False


@pytest.mark.parametrize(
    ("output", "kind"), [("blob", "blob"), ("queue", "queue"), ("servicebus", "serviceBus")]
)
def test_answers_go_out_by_the_binding_that_was_chosen(output: str, kind: str) -> None:
    bindings = Asked("queue", output=output).functions["queue"].get_bindings()

    assert [each.type for each in bindings if each.name == "out"] == [kind]


def test_files_and_names_are_those_that_are_listed() -> None:
    assert azure_triggers.__file__ is not None
    files = {path.stem for path in Path(azure_triggers.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {*azure_triggers.TRIGGERS, azure_triggers.BATCHES}
    assert [each.NAME for each in azure_triggers.load(azure_triggers.TRIGGERS)] == list(
        azure_triggers.TRIGGERS
    )


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="no trigger sqs; there are queue"):
        azure_triggers.load(["sqs"])
    with pytest.raises(ValueError, match=r"Did you mean 'servicebus'\?$"):
        azure_triggers.load(["service-bus"])


def test_answers_that_cannot_go_anywhere_are_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="s3"):
        Asked("queue", output="s3")


@pytest.mark.parametrize("output", azure_triggers.OUTPUTS)
@pytest.mark.parametrize("name", azure_triggers.TRIGGERS)
def test_every_binding_is_an_argument_and_the_other_way_round(name: str, output: str) -> None:
    function = Asked(name, output=output).functions[name]
    bound = {binding.name for binding in function.get_bindings()}
    given = set(inspect.signature(function.get_user_function()).parameters)
    assert given - {"context"} == bound


@pytest.mark.parametrize("name", azure_triggers.TRIGGERS)
def test_names_of_the_platform_s_resources_are_settings(name: str) -> None:
    for binding in Asked(name, output="blob").functions[name].get_bindings():
        told = binding.get_dict_repr()
        named = [told[key] for key in ("queueName", "topicName", "eventHubName") if key in told]
        assert all(each.startswith("%PACKAGER_") and each.endswith("%") for each in named)
        assert told.get("path", "%PACKAGER_").startswith("%PACKAGER_")
        assert told.get("connection", azure_triggers.STORAGE) in {
            azure_triggers.STORAGE,
            azure_triggers.SERVICE_BUS,
            azure_triggers.EVENT_HUBS,
        }


def test_blobs_are_told_of_by_event_grid() -> None:
    bindings = Asked("blob").functions["blob"].get_bindings()
    (trigger,) = (each for each in bindings if each.type == "blobTrigger")
    assert trigger.get_dict_repr()["source"] == "EventGrid"


def test_a_batch_of_events_that_failed_is_tried_again() -> None:
    settings = Asked("eventhubs").functions["eventhubs"].get_settings_dict("retry_policy")
    assert settings is not None
    assert settings["max_retry_count"] == "5"


@pytest.mark.parametrize("name", azure_triggers.TRIGGERS)
def test_a_message_is_answered(name: str) -> None:
    asked = Asked(name)
    asked(name, GOOD)

    (answer,) = (json.loads(text) for text in asked.out.value)
    assert (answer["source"], answer["predictions"]) == (name, [1.5])
    assert asked.failed.value is None
    ((function, told),) = asked.told
    assert told.pop("latency_ms") >= 0
    # Event Grid's data comes read, so that its bytes are not known
    assert ("payload_bytes" in told) == (name != "eventgrid")
    assert told.pop("payload_bytes", 1) > 0
    counts = {"records": 1, "rows": 1, "refused": 0, "row_errors": 0}
    assert (function, told) == (name, {"status": 200, **counts})


def test_a_batch_is_scored_together_and_answered_one_by_one() -> None:
    model = Recording()
    asked = Asked("eventhubs", output="blob", model=model)
    asked("eventhubs", GOOD, GOOD, GOOD)

    assert len(model.data["x"]) == 3
    answers = [json.loads(line) for line in asked.out.value.splitlines()]
    assert [answer["id"] for answer in answers] == ["3/0", "3/1", "3/2"]


def test_a_service_bus_takes_one_message() -> None:
    asked = Asked("queue", output="servicebus")
    asked("queue", GOOD)
    assert json.loads(asked.out.value)["predictions"] == [1.5]


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_what_can_never_be_answered_is_left_to_the_platform(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Asked(name)
    with caplog.at_level(logging.INFO), pytest.raises(RecordsFailedError):
        asked(name, BAD)

    assert asked.out.value is None
    assert "BAD_REQUEST" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("name", sorted(set(azure_triggers.TRIGGERS) - set(ONE_BY_ONE)))
def test_what_has_no_dead_letter_is_put_aside_with_the_reason(name: str) -> None:
    asked = Asked(name)
    asked(name, BAD)

    assert asked.out.value is None
    (told,) = (json.loads(text) for text in asked.failed.value)
    assert (told["source"], told["error_code"]) == (name, "BAD_REQUEST")
    assert json.loads(told["body"]) == json.loads(BAD)
    assert asked.told[0][1]["refused"] == 1


def test_the_good_of_a_batch_are_answered_and_the_bad_put_aside() -> None:
    asked = Asked("eventhubs")
    asked("eventhubs", GOOD, BAD, b"\xff", GOOD)

    assert [json.loads(text)["id"] for text in asked.out.value] == ["3/0", "3/3"]
    assert [json.loads(text)["record"] for text in asked.failed.value] == ["3/1", "3/2"]


def test_a_record_too_large_for_the_queue_of_failures_is_named_there() -> None:
    asked = Asked("eventhubs")
    asked("eventhubs", b'"' + b"a" * 60_000 + b'"')

    (told,) = (json.loads(text) for text in asked.failed.value)
    assert (told["record"], told["body"]) == ("3/0", "")
    assert told["encoding"].startswith("left out")


@pytest.mark.parametrize("name", azure_triggers.TRIGGERS)
def test_nothing_is_sent_for_what_must_come_again(name: str) -> None:
    asked = Asked(name, model=Raising(MemoryError()))
    with pytest.raises(RecordsFailedError):
        asked(name, GOOD)
    assert (asked.out.value, asked.failed.value) == (None, None)
    assert asked.told[0][1]["status"] == 500


def test_an_answer_that_no_queue_holds_comes_again_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = Asked("queue")
    rows = [[1.0, "a"]] * 20_000
    body = json.dumps({"dataframe_split": {"columns": ["x", "kind"], "data": rows}}).encode()
    with pytest.raises(RecordsFailedError):
        asked("queue", body)
    assert "too large" in caplog.text

    other = Asked("queue", output="blob")
    other("queue", body)
    assert len(json.loads(other.out.value)["predictions"]) == 20_000


def test_a_fault_of_ours_says_nothing_of_the_data(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    asked = Asked("queue")
    monkeypatch.setattr(azure_triggers.load(["queue"])[0], "list_entries", broken)
    with pytest.raises(InternalError, match="ZeroDivisionError in the function") as raised:
        asked("queue", GOOD)
    assert "secret" not in f"{raised.value}{caplog.text}"


BROKEN: tuple[dict[str, Any], ...] = (
    {"metadata": 7},
    {"metadata": {"PartitionContext": "{"}},
    {"metadata": {"PartitionContext": [7]}},
    {"metadata": {"PartitionContext": {"PartitionId": "\ud800"}}},
    {"get_body": None},
    {"get_body": lambda: b"[" * 100_000},
    {"get_body": lambda: b"\xff"},
    {"get_body": lambda: None},
    {"get_body": lambda: 7},
)


@pytest.mark.parametrize("fields", BROKEN, ids=range(len(BROKEN)))
def test_an_event_that_is_broken_costs_no_other_of_its_batch(fields: dict[str, Any]) -> None:
    asked = Asked("eventhubs")
    events = messages("eventhubs", GOOD, GOOD, GOOD)["event"]
    events[1].__dict__.update(fields)
    context = SimpleNamespace(invocation_id="m1")
    function = asked.functions["eventhubs"].get_user_function()

    function(event=[*events, None], context=context, out=asked.out, failed=asked.failed)

    told = [json.loads(text)["predictions"] for text in asked.out.value]
    assert told in ([[1.5]] * 2, [[1.5]] * 3)  # one may be read without its partition
    assert len(told) + len(asked.failed.value) == 4


@pytest.mark.parametrize("name", [*ONE_BY_ONE, "eventgrid"])
@pytest.mark.parametrize("wrong", [None, 7, "\ud800", ""])
def test_a_message_without_a_name_is_put_aside(name: str, wrong: Any) -> None:
    asked = Asked(name)
    fields = dict.fromkeys(("id", "message_id", "name"), wrong)
    body = {"get_body": lambda: GOOD, "get_json": lambda: ROW, "read": lambda: GOOD}
    given = {"event": SimpleNamespace(**fields, **body), "failed": asked.failed, "out": asked.out}
    given["context"] = SimpleNamespace(invocation_id="m1")
    function = asked.functions[name].get_user_function()
    wanted = {n: given[n] for n in inspect.signature(function).parameters}

    if name == "eventgrid":
        function(**wanted)
        assert len(asked.failed.value) == 1
    else:
        with pytest.raises(RecordsFailedError):
            function(**wanted)
    assert asked.out.value is None


def test_the_request_may_lie_deeper_in_a_message() -> None:
    asked = Asked("queue", PACKAGER_PAYLOAD_PATH="order.features")
    asked("queue", json.dumps({"order": {"features": ROW}}).encode())
    assert json.loads(asked.out.value[0])["predictions"] == [1.5]


def test_a_timer_whose_request_is_not_there_says_so() -> None:
    asked = Asked("timer")
    function = asked.functions["timer"].get_user_function()
    context = SimpleNamespace(invocation_id="m1")
    function(event=None, request=None, context=context, out=asked.out, failed=asked.failed)
    assert json.loads(asked.failed.value[0])["error_message"].startswith(
        "Invalid input. The record is not JSON."
    )


def test_a_storage_queue_takes_answers_whose_base64_is_64_kib() -> None:
    most = azure_trigger_functions.Collected(azure_trigger_functions._BYTES["queue"])
    body = b"x" * (48 * 1024)
    assert len(base64.b64encode(body)) == 64 * 1024
    assert most.send([Message(id="a", body=body, attributes={})]) == frozenset()
    assert most.send([Message(id="b", body=body + b"x", attributes={})]) == {0}
    assert [message.id for message in most.messages] == ["a"]

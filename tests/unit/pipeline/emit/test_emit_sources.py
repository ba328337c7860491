"""The template for event sources: valid in both forms, and just the rights that these need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from handlers.events import aws_sources, destinations
from handlers.events.records import read_records
from packager.errors import ConfigurationError
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.pipeline.plan import check
from packager.probes.aws_source_events import source_event
from packager.system import destination_uri
from packager.types import BATCH_SOURCES, Front, SavedExample, make_request
from tests import fake_plan, sam

MUTE = tuple(source.NAME for source in aws_sources.load(aws_sources.SOURCES) if not source.RETURNS)
NEEDED = {
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:t",
    "StreamArn": "arn:aws:kinesis:us-east-1:123456789012:stream/s",
    "TableStreamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026",
    "EventSource": "shop",
    "EventDetailType": "Order",
    "KafkaClusterArn": "arn:aws:kafka:us-east-1:123456789012:cluster/c/1-2",
    "KafkaTopic": "t",
    "InputBucket": "data",
}
TO = {
    "s3": "s3://answers/churn/v1",
    "sqs": "sqs://answers.fifo",
    "eventbridge": "eventbridge://answers",
    "dynamodb": "dynamodb://answers",
    "firehose": "firehose://answers",
}
RIGHTS = {
    "s3": ("s3:PutObject", "arn:${AWS::Partition}:s3:::${OutputBucket}/${OutputPrefix}*"),
    "sqs": ("sqs:SendMessage", ":sqs:${AWS::Region}:${AWS::AccountId}:${OutputName}"),
    "eventbridge": ("events:PutEvents", ":event-bus/${OutputName}"),
    "dynamodb": ("dynamodb:BatchWriteItem", ":table/${OutputName}"),
    "firehose": ("firehose:PutRecordBatch", ":deliverystream/${OutputName}"),
}


def emitted(base: Path, *names: str, to: str | None = TO["s3"], **more: Any) -> Path:
    told = {"front": Front.NONE, **more}
    request = fake_plan.request(events=names, output_to=to, **told)
    plan = fake_plan.plan(request=request)
    root = fake_plan.tree(base / "tree", plan)
    out = base / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    emit(package(verified, plan, out), verified, plan, out)
    return out


def template(base: Path, *names: str, **more: Any) -> str:
    return (emitted(base, *names, **more) / "template.yaml").read_text(encoding="utf-8")


def plain(text: str, **parameters: Any) -> dict[str, Any]:
    return sam.transformed(sam.uploaded(text), {**NEEDED, **parameters})


def granted(text: str) -> dict[str, list[dict[str, Any]]]:
    """The role's statements by policy, those under a condition apart."""
    policies = plain(text)["Resources"]["Role"]["Properties"]["Policies"]
    return {
        policy["PolicyName"]: policy["PolicyDocument"]["Statement"]
        for policy in policies
        if "PolicyName" in policy
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", aws_sources.SOURCES)
def test_cfn_lint_finds_nothing_for_one_source(tmp_path: Path, name: str) -> None:
    to = TO["s3"] if name in (*MUTE, "files") else None
    text = template(tmp_path, name, to=to, once=name in MUTE)

    assert sam.lint(json.dumps(plain(text))) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", destinations.KINDS)
def test_cfn_lint_finds_nothing_for_all_sources(tmp_path: Path, kind: str) -> None:
    wanted = (
        aws_sources.SOURCES if kind == "s3" else set(aws_sources.SOURCES) - {*aws_sources.OF_FILES}
    )
    text = template(tmp_path, *wanted, to=TO[kind], once=True, batch=kind == "s3")

    assert sam.lint(json.dumps(plain(text, QueueArn="arn:aws:sqs:us-east-1:123456789012:q"))) == []


def test_the_template_is_as_before(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    assert template(tmp_path, *aws_sources.SOURCES, once=True, batch=True) == snapshot


def test_each_source_brings_its_own_trigger_and_no_other(tmp_path: Path) -> None:
    base = {"Function", "FailuresQueue", "FailuresAlarm", "Role", "LogGroup"}
    base |= {"ErrorsAlarm", "DurationAlarm", "Dashboard", "WarmTarget", "WarmScaling"}
    own = {
        "sqs": {"Queue", "QueueTrigger"},
        "sns": {"TopicTrigger", "TopicPermission", "FailuresPolicy", "AsynchronousInvokes"},
        "kinesis": {"StreamTrigger"},
        "dynamodb": {"TableTrigger"},
        "eventbridge": {"EventRule", "EventPermission", "FailuresPolicy", "AsynchronousInvokes"},
        "kafka": {"TopicPartitionsTrigger"},
        "schedule": {"Schedule", "ScheduleRole", "AsynchronousInvokes"},
        "s3": {
            "ObjectsRule",
            "ObjectsRulePermission",
            "FailuresPolicy",
            "BucketPermission",
            "ObjectsQueue",
            "ObjectsQueuePolicy",
            "ObjectsQueueTrigger",
            "AsynchronousInvokes",
        },
    }
    assert set(own) == set(MUTE)
    for name, resources in own.items():
        (tmp_path / name).mkdir()
        made = sam.parse(template(tmp_path / name, name))["Resources"]
        assert set(made) == base | resources, name


@pytest.mark.parametrize(
    "names",
    [("s3",), ("s3", "sns"), ("eventbridge", "s3"), aws_sources.SOURCES],
    ids="+".join,
)
def test_a_queue_has_one_policy_with_a_statement_for_each_sender(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """A second resource's policy would take the place of the first one's."""
    made = sam.parse(template(tmp_path, *names))["Resources"]
    policies = [each for each in made.values() if each["Type"] == "AWS::SQS::QueuePolicy"]
    queues = [queue["Ref"] for each in policies for queue in each["Properties"]["Queues"]]
    text = json.dumps(made["FailuresPolicy"])

    assert len(queues) == len(set(queues))
    senders = {"s3": "ObjectsRule", "eventbridge": "EventRule", "sns": "TopicArn"}
    assert [name for name, of in senders.items() if f'"{of}"' in text or f"{of}.Arn" in text] == [
        name for name in senders if name in names
    ]


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", destinations.KINDS)
def test_a_destination_gets_one_right(tmp_path: Path, kind: str) -> None:
    action, resource = RIGHTS[kind]

    (statement,) = granted(template(tmp_path, "sqs", to=TO[kind]))["deliver-answers"]

    assert statement["Action"] == action
    assert statement["Resource"]["Fn::Sub"].endswith(resource)


def test_rights_are_for_what_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "all").mkdir()
    own = {"write-own-log", "bury-poison", "deliver-answers"}

    assert set(granted(template(tmp_path / "one", "sqs"))) == own | {"read-queue"}
    assert set(granted(template(tmp_path / "all", *aws_sources.SOURCES, once=True))) == own | {
        "read-queue",
        "read-stream",
        "read-table-stream",
        "read-topic",
        "remember-answers",
        "read-files",
        "replace-answers",
    }


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", destinations.KINDS)
def test_the_function_is_told_where_answers_go(tmp_path: Path, kind: str) -> None:
    made = plain(template(tmp_path, "sqs", to=TO[kind], once=True))
    variables = made["Resources"]["Function"]["Properties"]["Environment"]["Variables"]

    address = variables["PACKAGER_OUTPUT"]["Fn::Sub"]
    assert address.partition(":")[0] == kind
    assert variables["PACKAGER_FAILURES"] == {"Ref": "FailuresQueue"}
    assert variables["PACKAGER_ONCE_TABLE"] == {"Ref": "AnsweredTable"}


def test_a_batch_brings_scripts_for_other_engines(tmp_path: Path) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    names = {"batch_predictor.py", "batch_ray.py", "batch_spark.py"}

    made = emitted(tmp_path / "with", *BATCH_SOURCES, batch=True)
    none = emitted(tmp_path / "without", *BATCH_SOURCES)

    assert {path.name for path in made.glob("*.py")} == names
    assert [*none.glob("*.py")] == []


def test_partial_answers_are_asked_for(tmp_path: Path) -> None:
    resources = plain(template(tmp_path, *aws_sources.SOURCES))["Resources"]
    for name in ("QueueTrigger", "StreamTrigger", "TableTrigger"):
        assert resources[name]["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.few(2)
@pytest.mark.parametrize("name", [s for s in aws_sources.SOURCES if s not in aws_sources.OF_FILES])
def test_each_sample_event_is_its_source_s(tmp_path: Path, name: str) -> None:
    out = emitted(tmp_path, name, to=TO["s3"] if name in MUTE else None)
    sent = json.loads((out / "events" / f"{name}.json").read_text(encoding="utf-8"))

    claiming = [
        source for source in aws_sources.load(aws_sources.SOURCES) if source.claims_event(sent)
    ]

    assert [source.NAME for source in claiming] == [name]
    (record,) = read_records(claiming[0], sent)
    body = json.loads(record.body) if isinstance(record.body, str | bytes) else record.body
    assert body == json.loads(fake_plan.BODY)


def test_any_json_survives_dynamodb() -> None:
    request = {"inputs": {"a": [1, 2.5, None, True, "x"], "b": {"c": []}}}
    (source,) = aws_sources.load(["dynamodb"])
    assert read_records(source, source_event("dynamodb", request))[0].body == request


def test_a_request_too_long_for_a_parameter_is_left_to_the_user(tmp_path: Path) -> None:
    example = json.dumps({"inputs": ["x" * 5000]}).encode()
    saved = SavedExample(body=example, content_type="application/json", source="--example")
    model = fake_plan.model(example=saved)
    plan = fake_plan.plan(
        model=model,
        request=fake_plan.request(front=Front.NONE, events=("schedule",), output_to=TO["s3"]),
    )
    root, out = fake_plan.tree(tmp_path / "tree", plan), tmp_path / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    emit(package(verified, plan, out), verified, plan, out)

    parameters = sam.parse((out / "template.yaml").read_text())["Parameters"]

    assert parameters["ScheduledRequest"]["Default"] == "{}"


def test_an_example_is_no_secret_of_whoever_deploys(tmp_path: Path) -> None:
    """CloudFormation would put in what `{{resolve:...}}` names, and the model be asked it."""
    text = "{{resolve:secretsmanager:prod}} \\{{{{ <aws.scheduler.execution-id> ${AWS::Region}"
    saved = SavedExample(
        body=json.dumps({"inputs": [text]}).encode(),
        content_type="application/json",
        source="--example",
    )
    plan = fake_plan.plan(
        model=fake_plan.model(example=saved),
        request=fake_plan.request(front=Front.NONE, events=("schedule",), output_to=TO["s3"]),
    )
    root, out = fake_plan.tree(tmp_path / "tree", plan), tmp_path / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    emit(package(verified, plan, out), verified, plan, out)

    template = (out / "template.yaml").read_text()
    default = sam.parse(template)["Parameters"]["ScheduledRequest"]["Default"]

    assert "{{" not in template
    assert "<aws." not in default
    assert json.loads(default) == {"inputs": [text]}


# what is asked for, words of what is said
REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"events": ("ftp",)}, "no event source ftp. There are: files, s3, sqs"),
    ({"events": ("sqs", "kinesis")}, "--event sqs, kinesis is asynchronous: set --output-to"),
    ({"output_to": "s3://answers"}, "--output-to is for asynchronous events"),
    ({"events": ("stepfunctions",), "once": True}, "--once is for events"),
    ({"events": ("s3",), "output_to": "sqs://q"}, "predictions are written to files"),
    ({"events": ("files",)}, "predictions are written to files"),
    ({"batch": True}, "--batch needs --event files --event stepfunctions"),
    ({"events": ("sqs",), "output_to": "ftp://x"}, "it must start with one of s3://, sqs://"),
    (
        {"events": ("sqs",), "output_to": "s3://No_Bucket"},
        "'No_Bucket' is not a name that s3 takes",
    ),
    ({"events": ("sqs",), "output_to": "sqs://q/prefix"}, "sqs:// takes no prefix 'prefix'"),
    ({"events": ("sqs",), "output_to": "s3://answers/{{resolve:x}}"}, "takes no prefix"),
)


@pytest.mark.parametrize(("asked", "said"), REFUSED)
def test_what_cannot_be_built_is_refused_before_anything_is_fetched(
    asked: dict[str, Any], said: str
) -> None:
    request = make_request(model_uri="models:/m/1", out_dir=Path("dist"), **asked)

    with pytest.raises(ConfigurationError, match=r".") as refused:
        check(request)

    assert said in str(refused.value)


def test_an_address_is_read() -> None:
    assert destination_uri.read("s3://answers/a/b/", destinations.KINDS) == destination_uri.Output(
        kind="s3", name="answers", prefix="a/b"
    )

"""Names from a registry may hold anything; none of it may become syntax."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from packager.pipeline.emit import _render_templates, _text
from packager.pipeline.emit._context import context
from packager.pipeline.emit._sizing import size
from packager.system import resources
from packager.types import Artifact, Front
from tests import examples, fake_plan, sam

_NASTY = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            'a"\n  Evil:\n    Type: AWS::IAM::User\n#',
            "{{resolve:secretsmanager:prod/password}}",
            "${AWS::AccountId}",
            "!Ref AWS::Region",
            "a: b # c",
            "\\",
            "\x00\x85\u2028\ufeff",
            "\ud800",
            "😀" * 200,
            "日本語",
            "{{ 7 * 7 }}{% raw %}",
            "-",
            "7",
            "yes",
            "",
        ]
    ),
)


def _template(name: str) -> dict[str, Any]:
    plan = fake_plan.plan(
        model=fake_plan.model(name, version=name or None, run_id=name, model_id=name)
    )
    folder = Path("/build/out/function")
    artifact = Artifact(
        path=folder.with_suffix(".zip"),
        folder=folder,
        sha256=fake_plan.DIGEST,
        size_bytes=1,
        unzipped_bytes=1,
    )
    verified = fake_plan.verified(Path("/nonexistent"))
    texts = _render_templates(
        plan, context(artifact, verified, plan, size(plan, verified.evidence))
    )
    tomllib.loads(texts["samconfig.toml"])
    assert texts["README.md"].encode("utf-8", "replace")
    return sam.parse(texts["template.yaml"])


def _shape(value: object) -> object:
    """The template without its text: what a name must never change."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items() if "mlflow:" not in key}
    if isinstance(value, list):
        return [
            _shape(item)
            for item in value
            if not (isinstance(item, dict) and "mlflow:" in str(item.get("Key")))
        ]
    return type(value).__name__


@functools.cache
def _plain_shape() -> object:
    return _shape(_template("churn"))


@settings(max_examples=examples.count(25), deadline=None)
@given(name=_NASTY)
def test_no_name_changes_the_shape_of_the_template(name: str) -> None:
    template = _template(name)

    assert _shape(template) == _plain_shape()
    for key, value in template["Resources"]["Function"]["Properties"]["Tags"].items():
        assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,128}", key)
        assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,256}", value)
    assert len(template["Description"]) <= 256


@given(text=st.text(st.characters(), max_size=60))
@example('"\\\n\t\x00\x7f\x85\xa0\u2028\ufeff😀')
def test_quoted_is_read_back_as_it_was(text: str) -> None:
    safe = "".join(c if not 0xD800 <= ord(c) <= 0xDFFF else "\ufffd" for c in text)

    assert yaml.safe_load(f"a: {_text.quote_scalar(text)} # b\n") == {"a": safe}
    assert tomllib.loads(f"a = {_text.quote_scalar(text)} # b\n") == {"a": safe}


@given(name=_NASTY)
def test_a_stack_name_is_one_that_cloudformation_takes(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", _text.stack_name(name))


@given(names=st.lists(st.text(max_size=40), unique=True, min_size=2, max_size=2))
@example(names=["churn_v1", "churn-v1"])
@example(names=["7", "model-7"])
@example(names=["a" * 120, "a" * 119])
def test_two_models_never_share_a_stack(names: list[str]) -> None:
    assert _text.stack_name(names[0]) != _text.stack_name(names[1])


@pytest.mark.parametrize(
    ("name", "stack"),
    [
        ("churn", "churn"),
        ("Churn-7", "Churn-7"),
        ("churn_v1", "churn-v1-53ae3323"),
        ("7", "model-7-7902699b"),
    ],
)
def test_a_plain_name_is_its_stack(name: str, stack: str) -> None:
    assert _text.stack_name(name) == stack


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("models:/churn@champion", "models:/churn@champion"),
        ("runs:/abc/model", "runs:/abc/model"),
        ("/home/someone/models/churn", "a local folder named churn"),
        ("file:///home/someone/models/churn/", "a local folder named churn"),
        ("models/churn", "a local folder named churn"),
        ("s3://bucket/churn", "s3://bucket/churn"),
        ("https://me:pw@example.org/m?X-Sig=1#f", "https://example.org/m"),
        ("models://[@champion", "models://[@champion"),
        ("https://me:pw@[", "an address that cannot be read"),
    ],
)
def test_a_public_uri_tells_no_path_and_no_password(uri: str, shown: str) -> None:
    assert _text.public_uri(uri) == shown


@given(text=st.text(max_size=60))
def test_a_code_span_cannot_be_left(text: str) -> None:
    span = _text.code_span(text)

    assert span.count("`") == 2
    assert len(span.splitlines()) == 1


def test_every_template_folder_has_a_front_for_each_choice() -> None:
    folder = resources.TEMPLATES / "aws_lambda"
    text = (folder / "template.yaml.j2").read_text()
    named = re.findall(r'"([a-z-]+)": "(_http/[a-z_]+[.]yaml)"', text)

    assert {front.value for front in Front} - {"none"} == {front for front, _ in named}
    assert all((folder / path).is_file() for _, path in named)

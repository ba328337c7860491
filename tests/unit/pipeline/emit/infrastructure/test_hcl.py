"""Terraform's language: what is text stays text, and looks as `terraform fmt` leaves it."""

from __future__ import annotations

import hcl2
import pytest

from packager.pipeline.emit.infrastructure.terraform._expressions import Expressions, snake
from packager.pipeline.emit.infrastructure.terraform._hcl import (
    Attribute,
    Block,
    Code,
    Template,
    quote,
    render,
    render_file,
)
from packager.pipeline.emit.infrastructure.terraform._variables import rename_parameters


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ('a "word"', r'"a \"word\""'),
        ("back\\slash", r'"back\\slash"'),
        ("${var.x}", '"$${var.x}"'),
        ("%{if true}", '"%%{if true}"'),
        ("$${x}", '"$$${x}"'),
        ("$5 and 5 %", '"$5 and 5 %"'),
        ("two\nlines", r'"two\nlines"'),
        ("\x00\x1b", r'"\u0000\u001B"'),
        ("ü", '"ü"'),
        ("\ud800", '"\ufffd"'),
    ],
)
def test_text_is_quoted(text: str, quoted: str) -> None:
    assert quote(text) == quoted
    assert hcl2.loads(f"x = {quoted}\n")["x"] == quoted


@pytest.mark.parametrize(
    ("parts", "rendered"),
    [
        (("a", Code("var.x"), "b"), '"a${var.x}b"'),
        # "a$${var.x}" is no expression
        (("a$", Code("var.x")), '"a${"$"}${var.x}"'),
        (("a$$", Code("var.x"), "$"), '"a${"$$"}${var.x}$"'),
        (("a%", Code("var.x"), Code("var.y")), '"a%${var.x}${var.y}"'),
        # and what two texts make together is one
        (("a$", "{b}", Code("var.x")), '"a$${b}${var.x}"'),
        (("a%", "{b}"), '"a%%{b}"'),
    ],
)
def test_text_before_an_expression_leaves_it_one(
    parts: tuple[str | Code, ...], rendered: str
) -> None:
    assert render(Template(parts)) == rendered


def test_signs_stand_below_each_other_where_lines_are_neighbours() -> None:
    body = (
        Attribute("a", 1),
        Attribute("longer", Code("var.x")),
        Attribute("tags", {"x": "y", "a b": None}),
        Attribute("on", value=True),
        Block("inner", (), ()),
    )

    assert render_file("Said.", [Block("resource", ("aws_x", "y"), body)]) == (
        "# Said.\n\n"
        'resource "aws_x" "y" {\n'
        "  a      = 1\n"
        "  longer = var.x\n"
        "  tags = {\n"
        '    x     = "y"\n'
        '    "a b" = null\n'
        "  }\n"
        "  on = true\n"
        "  inner {}\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("KmsKeyArn", "kms_key_arn"),
        ("P99DurationAlarmMs", "p99_duration_alarm_ms"),
        ("HttpAuth", "http_auth"),
        ("FunctionAliaslive", "function_aliaslive"),
        ("SNSTopic", "sns_topic"),
    ],
)
def test_names_are_written_as_terraform_does(name: str, expected: str) -> None:
    assert snake(name) == expected


_EXPRESSIONS = Expressions(
    parameters=frozenset({"Size", "Names"}),
    attribute_of=lambda name, attribute: f"aws_x.{snake(name)}.{attribute.lower()}",
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Size"}, "var.size"),
        ({"Ref": "Queue"}, "aws_x.queue.ref"),
        ({"Ref": "AWS::NoValue"}, "null"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "aws_x.queue.arn"),
        ({"Fn::GetAtt": "Queue.Arn"}, "aws_x.queue.arn"),
        ({"Fn::Sub": "a-${Size}-${Queue.Arn}"}, '"a-${var.size}-${aws_x.queue.arn}"'),
        ({"Fn::Sub": "${!Size} ${Size}"}, '"$${Size} ${var.size}"'),
        ({"Fn::Sub": "${Size}"}, "var.size"),
        ({"Fn::Sub": ["${It}!", {"It": {"Ref": "Size"}}]}, '"${var.size}!"'),
        ({"Fn::If": ["IsBig", "a", {"Ref": "AWS::NoValue"}]}, 'local.is_big ? "a" : null'),
        ({"Fn::If": ["A", 1, {"Fn::If": ["B", 2, 3]}]}, "local.a ? 1 : (local.b ? 2 : 3)"),
        ({"Fn::Join": ["/", ["a", {"Ref": "Size"}]]}, 'join("/", ["a", var.size])'),
        ({"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "Size"}]}]}, 'split("/", var.size)[1]'),
        (
            ["a", {"Fn::If": ["B", "b", {"Ref": "AWS::NoValue"}]}],
            '[for each in ["a", local.b ? "b" : null] : each if each != null]',
        ),
        ({"Statement": {"Condition": {"Bool": {"x": True}}}}, None),
    ],
)
def test_functions_become_expressions(value: object, expected: str | None) -> None:
    found = render(_EXPRESSIONS.convert(value))

    assert found == expected or expected is None
    assert hcl2.loads(f"x = {found}\n")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Fn::Equals": [{"Ref": "Size"}, 0]}, "var.size == 0"),
        ({"Fn::Not": [{"Fn::Equals": [{"Ref": "Size"}, ""]}]}, 'var.size != ""'),
        ({"Fn::Not": [{"Condition": "A"}]}, "!local.a"),
        (
            {"Fn::Not": [{"Fn::And": [{"Condition": "A"}, {"Condition": "B"}]}]},
            "!(local.a && local.b)",
        ),
        (
            {"Fn::And": [{"Condition": "A"}, {"Fn::Or": [{"Condition": "B"}, {"Condition": "C"}]}]},
            "local.a && (local.b || local.c)",
        ),
        (
            {"Fn::EachMemberEquals": [{"Ref": "Names"}, ""]},
            'alltrue([for each in var.names : each == ""])',
        ),
    ],
)
def test_conditions_become_tests(condition: object, expected: str) -> None:
    assert _EXPRESSIONS.test(condition) == expected


def test_text_that_is_json_is_encoded_by_terraform() -> None:
    document = {"Fn::Sub": '{"a": "${Size}", "b": [1, "$.x"]}'}

    assert render(_EXPRESSIONS.convert_json(document)) == (
        'jsonencode({\n  a = var.size\n  b = [1, "$.x"]\n})'
    )
    assert render(_EXPRESSIONS.convert_json({"Fn::Sub": '{"a": ${Size}}'})) == (
        '"{\\"a\\": ${var.size}}"'
    )


def test_sentences_name_variables() -> None:
    text = "Size needs Names; add Size=None. Sizes differ"

    assert rename_parameters(text, ["Size", "Names"]) == (
        "size needs names; add size=None. Sizes differ"
    )

"""Numbers of a request are held to one set of bounds, wherever the request comes from."""

from __future__ import annotations

import math

import pytest
import typer

from packager import cli
from packager.errors import ConfigurationError
from packager.pipeline.plan import check
from packager.types import BOUNDS, make_request


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rtol", math.inf, "--rtol inf: it has to be a number from 0 to 1."),
        ("rtol", math.nan, "--rtol nan"),
        ("rtol", -1e-9, "--rtol -1e-09"),
        ("rtol", 1.5, "--rtol 1.5"),
        ("rtol", "0.1", "--rtol 0.1: it has to be a number."),
        ("atol", math.inf, "--atol inf: it has to be a number from 0 to 1e+12."),
        ("atol", 10**400, "--atol 1000"),
        ("rows", -1, "--rows -1: it has to be a whole number of at least 0."),
        ("rows", 1.5, "--rows 1.5: it has to be a whole number."),
        ("rows", True, "--rows True"),
        ("optimize", 3, "--optimize 3: it has to be a whole number from 0 to 2."),
    ],
)
def test_a_request_from_python_is_held_to_them(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check(make_request("models:/churn/1", **{name: value}))

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rtol", 0), ("rtol", 1), ("atol", 1e12), ("atol", None), ("rows", 0), ("optimize", 2)],
)
def test_a_bound_itself_is_taken(name: str, value: object) -> None:
    check(make_request("models:/churn/1", **{name: value}))


def test_the_command_line_has_the_same() -> None:
    top = typer.main.get_command(cli.app)
    build = top.get_command(typer.Context(top), "build")  # type: ignore[attr-defined]
    options = {max(each.opts, key=len).removeprefix("--"): each for each in build.params}

    assert {name: (options[name].min, options[name].max) for name in BOUNDS} == {
        name: (bound.low, bound.high) for name, bound in BOUNDS.items()
    }

"""--help is read by people: grouped, in whole sentences, in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from handlers.events import aws_sources, azure_triggers
from packager import cli
from packager.cli._panels import Panel
from packager.targets import TARGETS
from packager.types import BuildRequest, Engine, Front, Rollout, list_settings

RUN = CliRunner()
TOP: Any = typer.main.get_command(cli.app)
GROUP = TOP.commands["cache"]
COMMANDS = {name: command for name, command in TOP.commands.items() if name != "cache"}
OTHERS = {Panel.REQUEST, Panel.FOLLOWING}
"""Panels of other commands than a build, which are the first ones."""
ALL = {**COMMANDS, **{f"cache {name}": command for name, command in GROUP.commands.items()}}


def options(command: Any) -> Iterator[Any]:
    return (one for one in command.params if one.param_type_name == "option")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_option_is_in_a_panel(name: str) -> None:
    found = {one.opts[0]: one.rich_help_panel for one in options(COMMANDS[name])}

    assert {option for option, panel in found.items() if panel not in set(Panel)} == set()


def test_the_panels_of_a_build_are_in_its_order() -> None:
    found = list(dict.fromkeys(one.rich_help_panel for one in options(COMMANDS["build"])))

    assert found == [panel for panel in Panel if panel not in OTHERS]


def test_the_panels_of_a_build_are_the_groups_of_a_request() -> None:
    panels = {one.name: one.rich_help_panel for one in options(COMMANDS["build"])}
    # what a build adds itself, or takes from a lock, is no option
    others = {"versions", "added_packages"}
    names = [each.name for each in fields(BuildRequest) if each.name not in others]
    groups = dict(zip(names, [*Panel][len(OTHERS) :], strict=True))

    for name, group, _ in list_settings():
        assert panels.get(name, Panel.MODEL) == groups[group], name


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_help_text_is_a_sentence(name: str) -> None:
    for one in ALL[name].params:
        assert one.help.endswith("."), (one.name, one.help)
        # typer writes a default after it: nothing may be left open
        assert one.help[:1].isupper() or one.help.startswith(("models:/", "native ")), one.help
    assert ALL[name].help.endswith(".")


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_name_is_cut_and_no_line_is_broken_twice_in_80_columns(name: str) -> None:
    done = RUN.invoke(cli.app, [*name.split(), "--help"], env={"COLUMNS": "80"})

    assert done.exit_code == 0
    assert "…" not in done.output
    assert not any(len(part.splitlines()) > 1 for part in ALL[name].help.split("\n\n"))
    assert max(map(len, done.output.splitlines())) <= 80


def test_what_is_a_choice_says_so() -> None:
    shown = {one.opts[0]: one.metavar for one in options(COMMANDS["build"])}

    assert shown["--arch"] == "<x86_64|arm64>"
    assert shown["--tier"] == "<native|stub|skinny>"
    assert shown["--requirements"] == "<serving|declared>"


def test_names_too_long_for_a_column_are_in_the_text() -> None:
    texts = {one.opts[0]: one.help for one in options(COMMANDS["build"])}
    named = {
        "--target": (*TARGETS, "auto"),
        "--engine": (*Engine, "auto"),
        "--http": tuple(Front),
        "--rollout": tuple(Rollout),
        "--event": (*aws_sources.SOURCES, *azure_triggers.TRIGGERS),
    }

    for option, names in named.items():
        assert [name for name in names if name not in texts[option]] == [], option


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_value_has_a_name_that_no_narrow_terminal_breaks(name: str) -> None:
    """Typer's own `<float range>` says neither what it is nor its unit."""
    shown = RUN.invoke(cli.app, [*name.split(), "--help"], env={"COLUMNS": "80"}).output
    for one in options(ALL[name]):
        if not one.is_flag:
            assert one.metavar, one.opts
            assert one.metavar in shown, one.opts

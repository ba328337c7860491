"""The lines of the pages that start SAM's command line are read by it, and do nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.shell_lines import PAGES, list_commands, list_spans, split_line

pytestmark = pytest.mark.slow
READ: Final = """
import json, sys
import click
from samcli.cli.main import cli

wrong = []
for words in json.load(sys.stdin):
    command, rest, lost = cli, list(words), []
    while isinstance(command, click.Group) or hasattr(command, "list_commands"):
        name = rest.pop(0)
        # without an object, SAM gives commands that have no options
        command = command.get_command(click.Context(command, obj=True), name)
        if command is None:
            lost = [name]
            break
    else:
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        lost = [each for each in rest if each.startswith("--") and each.split("=")[0] not in known]
    wrong += [[words, lost]] if lost else []
print(json.dumps(wrong))
"""


def read(sam_cli: Path, lines: list[tuple[str, ...]], folder: Path) -> list[object]:
    done = subprocess.run(
        [sam_cli.with_name("python"), "-c", READ],
        input=json.dumps(lines),
        cwd=folder,
        env={"HOME": str(folder), "SAM_CLI_TELEMETRY": "0", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout))


def test_the_lines_of_sam_are_ones_that_it_takes(sam_cli: Path, tmp_path: Path) -> None:
    found = [
        each
        for page in PAGES
        for each in (*list_commands(page), *list_spans(page, frozenset({"sam"})))
        if each.program == "sam"
    ]
    assert len(found) > 25
    assert read(sam_cli, [each.words[1:] for each in found], tmp_path) == []


@pytest.mark.parametrize("line", ["sam deploy --parameters A=1", "sam deplyo"])
def test_another_line_is_noticed(line: str, sam_cli: Path, tmp_path: Path) -> None:
    (command,) = split_line("page", line)
    assert read(sam_cli, [command.words[1:]], tmp_path) != []

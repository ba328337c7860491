"""What the pages for users tell them to type is there to be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from packager import cli
from packager.errors import PackagerError

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"))
    # decisions tell of what was, and have no commands
    if path.parent.name != "adr" and path.name not in {"design.md", "zoo.md", "command-line.md"}
)
OF_OTHERS = {"--help", "--security-opt", "--index-url", "--extra-index-url"}
"""Options of Docker's, and of requirements files."""


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def typed(page: str, program: str) -> Iterator[list[str]]:
    """The words of every line and every quotation that starts with `program`."""
    for line in re.findall(rf"(?m)^    ({program} .+)$|`({program} [^`]+)`", text(page)):
        for command in re.split("&&|;", "".join(line).partition("#")[0]):
            yield shlex.split(command)


def parse(name: str, words: list[str]) -> None:
    """Read `packager NAME WORDS` as the command line does, and run nothing."""
    command = typer.main.get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    if name == "cache":
        name, *words = words
        command = command.commands[name]
    command.make_context(name, list(words))


def test_the_commands_are_found() -> None:
    assert len(list(typed("README.md", "packager"))) > 5
    assert len(list(typed("docs/building.md", "packager"))) > 4
    assert {"demo", "test", "setup"} <= {words[1] for words in typed("README.md", "make")}


def test_the_readme_is_read_in_one_sitting() -> None:
    lines = text("README.md").splitlines()

    assert len(lines) <= 150
    assert max(len(line) for line in lines if not line.startswith(("|", "    "))) <= 100


def test_ci_runs_the_tests_that_the_readme_names() -> None:
    assert "make test-cost\n" in text(".ci/run")
    assert "    make test " in text("README.md")


@pytest.mark.parametrize("page", PAGES)
def test_each_command_and_option_of_packager_exists(page: str) -> None:
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]

    for _, name, *words in typed(page, "packager"):
        if name.startswith("--"):
            assert name in {"--version", "--install-completion", "--help"}
            continue
        if name == "cache":
            commands, (name, *words) = commands["cache"].commands | commands, words  # noqa: PLW2901
        known = {"--help", *(option for one in commands[name].params for option in one.opts)}
        known |= {option for one in commands[name].params for option in one.secondary_opts}
        assert {word for word in words if re.match("--?[a-z]", word)} <= known, (name, words)


@pytest.mark.parametrize("page", [*PAGES, "docs/design.md"])
def test_each_line_of_packager_is_parsed(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and arguments too: a choice that was renamed, one word too few or too many."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.csv").touch()
    (tmp_path / "dist" / "churn-x86").mkdir(parents=True)
    (tmp_path / "arm64").mkdir()
    for typed_line in re.findall(r"(?m)^    packager (.+)$", text(page)):
        # what the shell takes is none of the command's
        line = typed_line.partition(" > ")[0]
        name, *words = shlex.split(line, comments=True)
        if "--all" not in words:  # reads a packager.toml; test_guides.py types it beside one
            parse(name, words)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("build -o dist", "Name a model"),
        ("build models:/m/1 --engine onxn", "onxn"),
        ("build models:/m/1 --memory much", "integer"),
        ("invoke dist another", "unexpected"),
        ("serve dist --port 70000", "65535"),
        ("batch dist s3://b/in/", "Missing"),
        ("cache prune now", "unexpected"),
    ],
)
def test_a_line_that_no_command_takes_is_noticed(line: str, said: str) -> None:
    name, *words = shlex.split(line)
    with pytest.raises(Exception, match=said):
        parse(name, words)


@pytest.mark.parametrize("page", PAGES)
def test_each_option_that_is_named_alone_is_one_of_packagers(page: str) -> None:
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    known = {
        option
        for command in (*commands.values(), *commands["cache"].commands.values())
        for one in command.params
        for option in (*one.opts, *one.secondary_opts)
    }

    assert set(re.findall(r"`(--[a-z][a-z0-9-]+)", text(page))) <= known | OF_OTHERS


@pytest.mark.parametrize("page", PAGES)
def test_each_target_of_make_and_each_script_exists(page: str) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", text("Makefile")))

    assert {words[1] for words in typed(page, "make")} <= targets
    for _, script, *_ in typed(page, "python"):
        if script == "-m" or f"into `{script}`" in text(page):
            continue
        # one that an artifact brings, or one of the project
        name = Path(script).name
        brought = script.startswith("dist/") and list((ROOT / "templates").rglob(name))
        assert brought or (ROOT / script).is_file(), script


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", text(page)):
        if link.startswith("https://"):
            continue
        path, _, heading = link.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), link
        if heading:
            headings = re.findall(r"(?m)^#+ (.+)$", there.read_text(encoding="utf-8"))
            assert heading in {
                re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings
            }


def test_each_exit_code_is_explained() -> None:
    codes, queue = set[int](), [PackagerError]
    while queue:
        codes.add((kind := queue.pop()).exit_code)
        queue += kind.__subclasses__()

    table = text("docs/reference/exit-codes.md")
    told = {
        int(code) for cell in re.findall(r"(?m)^\| ([\d, ]+) \|", table) for code in cell.split(",")
    }

    # done, hung up, interrupted, left by who read it, and terminated
    assert told == codes | {0, 129, 130, 141, 143}

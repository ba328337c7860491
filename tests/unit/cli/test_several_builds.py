"""Several builds of a packager.toml in one run: where each goes, and what is told of each."""

from __future__ import annotations

import errno
import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from packager import cli
from packager.cli import _build
from packager.cli._configuration.options import list_options
from packager.cli._configuration.positions import list_positions
from packager.cli._configuration.starter import make_schema
from packager.cli._operate.follow import FollowCommand
from packager.commands.console import outcomes
from packager.errors import (
    ConfigurationError,
    ModelNotFoundError,
    PackagerError,
    VerificationError,
)
from packager.types import BuildOutcome, BuildRequest
from tools.reference import pages

RUN = CliRunner()
FILE = """\
[defaults]
rows = 50

[build.churn]
model = "models:/churn@champion"
target = ["aws-lambda", "azure-functions"]
memory = 1024

[build.churn.targets.azure-functions]
event = ["queue"]
rows = 7

[build.fraud]
model = "models:/fraud@champion"

[build.wine]
model = "models:/wine/1"
[build.wine.targets.aws-lambda]
out = "artifacts/wine"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "packager.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Fails = Callable[[str, BaseException], None]


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Have the build of a model end with an error."""
    errors: dict[str, BaseException] = {}

    def build(request: BuildRequest) -> dict[str, object]:
        if error := errors.get(request.model.uri):
            raise error
        built = {"zipped_bytes": 5_000_000, "reused": ""}
        return {"artifact": built, "evidence": {"proven": True}, "rows": request.proof.rows}

    monkeypatch.setattr(_build, "_build_artifact", build)
    return errors.__setitem__


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[BuildRequest]:
    requests: list[BuildRequest] = []

    def note(request: BuildRequest) -> dict[str, object]:
        requests.append(request)
        return {"artifact": {"zipped_bytes": 1}, "evidence": {"proven": True}}

    monkeypatch.setattr(_build, "_build_artifact", note)
    return requests


def build(line: str) -> list[tuple[str, str]]:
    """Run it; returns targets and folders of its list, relative to the folder that it ran in."""
    done = RUN.invoke(cli.app, ["build", *line.split(), "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    here = Path.cwd()
    return [(row["target"], str(Path(row["folder"]).absolute().relative_to(here))) for row in rows]


def test_a_build_has_an_artifact_for_each_target(folder: Path, asked: list[BuildRequest]) -> None:
    assert build("churn") == [
        ("aws-lambda", "dist/churn/aws-lambda"),
        ("azure-functions", "dist/churn/azure-functions"),
    ]
    assert [each.events.sources for each in asked] == [(), ("queue",)]
    assert [each.proof.rows for each in asked] == [50, 7]
    assert [each.target.memory_mb for each in asked] == [1024, 1024]


def test_all_builds_every_build(folder: Path, asked: list[BuildRequest]) -> None:
    assert build("--all") == [
        ("aws-lambda", "dist/churn/aws-lambda"),
        ("azure-functions", "dist/churn/azure-functions"),
        ("aws-lambda", "dist/fraud"),
        ("aws-lambda", "artifacts/wine"),
    ]


def test_the_command_line_wins_for_each(folder: Path, asked: list[BuildRequest]) -> None:
    assert build("churn --out x --rows 3") == [
        ("aws-lambda", "x/aws-lambda"),
        ("azure-functions", "x/azure-functions"),
    ]
    assert build("--all --out x")[2:] == [
        ("aws-lambda", "x/fraud"),
        ("aws-lambda", "x/wine/aws-lambda"),
    ]
    assert {each.proof.rows for each in asked[:2]} == {3}


def test_a_target_of_the_command_line_is_built_alone(
    folder: Path, asked: list[BuildRequest]
) -> None:
    """Its result is that of one build, and its table in the file is read."""
    done = RUN.invoke(cli.app, ["build", "churn", "--target", "azure-functions", "--json"])
    RUN.invoke(cli.app, ["build", "churn", "--target", "gpu-container"])

    assert "artifact" in json.loads(done.stdout)
    assert asked[0].events.sources == ("queue",)
    assert asked[0].output.folder == folder / "dist" / "churn" / "azure-functions"
    assert asked[1].output.folder == folder / "dist" / "churn" / "gpu-container"
    assert asked[1].proof.rows == 50


def test_defaults_may_list_targets_for_an_address_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[BuildRequest]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("packager.toml").write_text(
        '[defaults]\ntarget = ["aws-lambda", "gpu-container"]\n[build.a]\nmodel = "models:/a/1"\n'
        '[build.b]\nmodel = "models:/b/1"\ntarget = "azure-functions"\nout = "b"\n'
    )
    assert build("models:/c/1") == [
        ("aws-lambda", "dist/aws-lambda"),
        ("gpu-container", "dist/gpu-container"),
    ]
    assert build("--all") == [
        ("aws-lambda", "dist/a/aws-lambda"),
        ("gpu-container", "dist/a/gpu-container"),
        ("azure-functions", "b"),
    ]


def test_one_that_fails_does_not_lose_the_others(folder: Path, fails: Fails) -> None:
    fails("models:/churn@champion", VerificationError([]))
    fails("models:/fraud@champion", ModelNotFoundError("No \x9bfraud."))
    done = RUN.invoke(cli.app, ["build", "--all", "--json"])
    rows = json.loads(done.stdout)

    assert done.exit_code == VerificationError.exit_code
    assert [each["exit_code"] for each in rows] == [VerificationError.exit_code] * 2 + [3, 0]
    assert (rows[2]["error"], rows[2]["message"]) == ("ModelNotFound", "No \x9bfraud.")
    assert rows[3]["report"]["rows"] == 50
    # a control character of C1 is an order to some terminals
    assert "\x9b" not in done.stdout


def test_a_table_says_how_each_ended(folder: Path, fails: Fails) -> None:
    fails("models:/fraud@champion", ModelNotFoundError("No fraud."))
    done = RUN.invoke(cli.app, ["build", "--all"])

    assert done.exit_code == 3
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["churn", "azure-functions", "proven", "5.0", "MB"] in rows
    assert ["fraud", "aws-lambda", "failed,", "exit", "code", "3", "-"] in rows
    assert "No fraud." in done.stderr
    assert "fraud for aws-lambda, 3 of 4" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 9),
        (ConfigurationError("x"), 2),
        (ZeroDivisionError("a fault of ours"), 1),
    ],
)
def test_what_fails_otherwise_is_a_row_too(
    folder: Path, fails: Fails, error: Exception, code: int
) -> None:
    fails("models:/fraud@champion", error)
    done = RUN.invoke(cli.app, ["build", "--all", "--json"])

    assert done.exit_code == code
    assert [each["exit_code"] for each in json.loads(done.stdout)] == [0, 0, code, 0]


def test_an_interrupt_ends_the_run_and_shows_what_was_done(folder: Path, fails: Fails) -> None:
    fails("models:/fraud@champion", KeyboardInterrupt())
    done = RUN.invoke(cli.app, ["build", "--all", "--json"])

    assert done.exit_code == 130
    codes = [each["exit_code"] for each in json.loads(done.stdout)]
    assert codes == [0, 0, 130, 130]


def test_a_python_that_is_none_is_a_row(folder: Path, asked: list[BuildRequest]) -> None:
    """As --target auto with --dry-run: what the command refuses later than its parser."""
    with Path("packager.toml").open("a") as file:
        file.write('[build.bad]\nmodel = "models:/b/1"\npython = "three"\n')
    done = RUN.invoke(cli.app, ["build", "--all", "--json"])

    assert done.exit_code == 2
    assert len(asked) == 4
    assert "minor version" in json.loads(done.stdout)[-1]["message"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (FILE, "--all churn", "leave 'churn' out"),
        ("[defaults]\nrows = 5", "--all", "has no build"),
        (FILE + "memry = 1", "--all", "'memry', which is no option"),
        (FILE + "[build.gone]\nrows = 5", "--all", "[build.gone] has no model"),
        (FILE.replace("rows = 50", 'out = "x"'), "--all", "one would replace the other"),
        (FILE.replace("rows = 50", 'out = "x"'), "--all", "an `out` of its own"),
        (FILE + '[build.x]\nmodel = "m"\nout = "dist"', "--all", "one would replace the other"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_together_is_refused_before_anything(
    folder: Path, asked: list[BuildRequest], text: str, line: str, said: str
) -> None:
    Path("packager.toml").write_text(text)
    error = RUN.invoke(cli.app, ["build", *line.split()]).exception

    assert isinstance(error, ConfigurationError)
    assert said in str(error)
    assert not asked


def test_all_wants_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--no-config"]):
        error = RUN.invoke(cli.app, ["build", "--all", *more]).exception
        assert isinstance(error, ConfigurationError)
        assert "packager init" in str(error)


def test_a_dry_run_names_the_source_of_each_option(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = {"model": {"name": "m"}, "attempts": [], "locks_sha256": "0"}
    monkeypatch.setattr(_build, "_summarise_plan", lambda request: plan)
    done = RUN.invoke(cli.app, ["build", "churn", "--dry-run", "--json", "--seed", "3"])
    first, second = json.loads(done.stdout)
    sources = {each["option"]: each["source"] for each in second["plan"]["options"]}

    assert sources["target"] == "packager.toml, line 6, column 25, [build.churn]"
    assert (
        sources["rows"] == "packager.toml, line 11, column 1, [build.churn.targets.azure-functions]"
    )
    assert sources["memory"] == "packager.toml, line 7, column 1, [build.churn]"
    assert sources["seed"] == "command line"
    assert sources["out"] == "name of the build"
    assert {each["option"] for each in first["plan"]["options"]} == {
        *("target", "rows", "memory", "seed", "out"),
    }
    shown = RUN.invoke(cli.app, ["build", "churn", "--dry-run"]).stdout
    assert "churn for azure-functions" in shown
    assert "planned" in shown


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (FILE, True),
        ('[build.x]\nmodel = "m"\ntarget = "auto"', True),
        ('[build.x]\nmodel = "m"\ntarget = ["auto"]', False),
        ('[build.x]\nmodel = "m"\ntarget = []', False),
        ('[build.x]\nmodel = "m"\ntarget = "aws"', False),
        ('[build.x]\nmodel = "m"\n[build.x.targets.aws]\nrows = 1', False),
        ('[build.x]\nmodel = "m"\n[build.x.targets.aws-lambda]\ntarget = "auto"', False),
        ('[build.x]\nmodel = "m"\n[build.x.targets.aws-lambda]\nmodel = "n"', False),
    ],
)
def test_the_schema_takes_what_a_build_takes(text: str, *, valid: bool) -> None:
    validator = jsonschema.Draft202012Validator(make_schema(pages._find_build()))

    assert validator.is_valid(tomllib.loads(text)) is valid


def test_init_begins_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[BuildRequest]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = "init models:/a@x models:/b@y -t aws-lambda -t azure-functions -t aws-lambda"
    done = RUN.invoke(cli.app, line.split())

    assert "packager build --all --dry-run" in done.stdout
    assert [each[1] for each in build("--all")] == [
        f"dist/{name}/{target}" for name in "ab" for target in ("aws-lambda", "azure-functions")
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("models:/a/1 models:/a/2", "would both be called 'a'"),
        ("models:/a/1 models:/b/2 --name x", "--name names one build"),
        ("models:/a/1 models:/new/2", "has a build 'a' already"),
        ("models:/new/1 -t auto -t aws-lambda", "give it alone"),
    ],
)
def test_init_of_several_writes_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    RUN.invoke(cli.app, ["init", "models:/a/1"])
    before = Path("packager.toml").read_text()
    error = RUN.invoke(cli.app, ["init", *line.split()]).exception

    assert isinstance(error, PackagerError)
    assert said in str(error)
    assert Path("packager.toml").read_text() == before


@pytest.mark.parametrize("options", ["", "--json", "--dry-run", "--dry-run --json"])
def test_no_password_of_an_address_is_shown(
    folder: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    """Not of a model's address, and not in a fault's traceback."""
    (folder / "packager.toml").write_text(
        '[defaults]\ntarget = ["aws-lambda", "azure-functions"]\n'
    )
    address = "https://ada:hunter2@host.invalid/model"
    fails(address, ValueError(f"{address} is odd"))
    monkeypatch.setattr(_build, "_summarise_plan", lambda request: {"model": request.model.uri})
    monkeypatch.setattr("packager.commands.console.outcomes.show_plan", lambda _: None)
    done = RUN.invoke(cli.app, ["build", address, *options.split()])

    assert "host.invalid/model" in done.output
    assert "hunter2" not in done.output + done.stderr


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> list[BuildRequest]:
    """The requests that `packager follow` came to, none of which is followed."""
    requests: list[BuildRequest] = []

    def note(request: BuildRequest, *_: object) -> int:
        requests.append(request)
        return 0

    monkeypatch.setattr("packager.commands.cloud.follow.run.follow_alias", note)
    return requests


def follow(line: str) -> str:
    done = RUN.invoke(cli.app, ["follow", *line.split(), "--deploy-command", "true"])
    return str(done.exception) if isinstance(done.exception, PackagerError) else done.output


def test_follow_reads_the_file(folder: Path, followed: list[BuildRequest]) -> None:
    follow("churn --target azure-functions")
    follow("fraud --out elsewhere --rows 2")
    follow("models:/other@x")
    follow("models:/other@x --no-config")

    assert followed[0].model.uri == "models:/churn@champion"
    assert followed[0].events.sources == ("queue",)
    assert followed[0].output.folder == folder / "followed" / "churn" / "azure-functions"
    assert followed[1].output.folder == Path("elsewhere")
    assert [each.proof.rows for each in followed] == [7, 2, 50, 1000]


def test_follow_keeps_out_of_the_folder_of_a_build(
    folder: Path, followed: list[BuildRequest]
) -> None:
    """What a follower keeps beside its artifacts is no artifact; `rate` is a build's alone."""
    Path("packager.toml").write_text(
        '[build.churn]\nmodel = "models:/churn@champion"\nout = "artifacts"\nrate = 5\n'
    )
    follow("churn")

    assert followed[0].output.folder == folder / "followed" / "churn"


def test_follow_holds_to_the_policy_of_the_file(
    folder: Path, followed: list[BuildRequest], asked: list[BuildRequest]
) -> None:
    (folder / "packager.toml").write_text(
        "[defaults]\nrequire-audit = true\n"
        '[build.churn]\nmodel = "models:/churn@champion"\ndeny-license = ["GPL-3.0*"]\n'
        'osv-url = "https://osv.example.com/v1/query"\n'
    )
    follow("churn")
    RUN.invoke(cli.app, ["build", "churn"])

    assert followed[0].supply_chain == asked[0].supply_chain
    assert followed[0].supply_chain.require_audit
    assert followed[0].supply_chain.deny_licenses == ("GPL-3.0*",)


def test_follow_takes_each_option_of_a_build_that_says_what_is_built() -> None:
    top = get_command(cli.app)
    assert isinstance(top, TyperGroup)
    options = {
        name: list_options(command).keys()
        for name, command in top.commands.items()
        if isinstance(command, TyperCommand)
    }

    assert options["build"] - options["follow"] == FollowCommand.unneeded


def test_an_option_that_a_command_would_drop_is_refused(
    folder: Path, followed: list[BuildRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FollowCommand, "unneeded", frozenset())
    (folder / "packager.toml").write_text(
        '[defaults]\nrate = 5\n[build.churn]\nmodel = "models:/churn@champion"\n'
    )

    said = "line 2, column 1: [defaults] has 'rate', which `packager follow` does not take"
    assert said in follow("churn")
    assert said in follow("models:/other@x")
    assert not followed


@pytest.mark.parametrize(
    ("proven", "reused", "word"),
    [(True, "taken", "unchanged"), (True, "", "proven"), (False, "taken", "UNPROVEN")],
)
def test_what_is_not_proven_is_never_told_as_good(
    capsys: pytest.CaptureFixture[str], *, proven: bool, reused: str, word: str
) -> None:
    row: dict[str, object] = {"build": "churn", "target": "aws-lambda", "folder": "x"}
    artifact = {"zipped_bytes": 1, "reused": reused}
    row |= {"exit_code": 0, "report": {"artifact": artifact, "evidence": {"proven": proven}}}

    outcomes.show_outcomes([cast("BuildOutcome", row)])

    assert word in capsys.readouterr().out


def test_follow_takes_the_only_target_of_a_list(folder: Path, followed: list[BuildRequest]) -> None:
    (folder / "packager.toml").write_text(
        '[build.churn]\nmodel = "models:/churn@champion"\ntarget = ["azure-functions"]\n'
    )

    follow("churn")

    assert [each.target.name for each in followed] == ["azure-functions"]


def test_follow_wants_one_target(folder: Path, followed: list[BuildRequest]) -> None:
    assert "aws-lambda, azure-functions: choose one with --target" in follow("churn")
    assert "name one of churn, fraud, wine, or give" in follow("--interval 5")
    assert "'chrn' is no build" in follow("chrn")
    assert not followed


WORDS = st.text(alphabet="ab\\\"'[]{}=#,.\n é\x9b", max_size=6)
KEYS = st.text(alphabet="ab.'\" [é", min_size=1, max_size=4)
VALUES = st.recursive(
    st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def write(value: object) -> str:
    """An inline value of TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {write(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[ # a comment ]\n" + "".join(f"{write(each)},\n" for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_key_is_found_where_it_is_written(table: dict[str, object]) -> None:
    text = "".join(f"[{json.dumps(k)}]\n  v = {write(v)}\n" for k, v in table.items())
    whole = {k: {"v": v} for k, v in table.items()}
    assert tomllib.loads(text) == whole
    lines = text.split("\n")
    for keys, (line, column) in list_positions(text).items():
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        if isinstance(keys[-1], str):
            assert rest.startswith((json.dumps(keys[-1]), keys[-1]))
        else:
            value: object = whole
            for key in keys:
                value = value[key]  # type: ignore[index]
            assert rest.startswith(write(value))


def test_the_places_of_a_long_file_are_found_in_time() -> None:
    """Each is not counted from the beginning of the file: half a megabyte took seconds."""
    text = "".join(f"k{number} = 1\n" for number in range(40_000))
    begun = time.process_time()

    assert list_positions(text)["k39999",] == (40_000, 1)
    assert time.process_time() - begun < 2

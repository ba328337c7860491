"""packager.toml: what it sets, what wins over it, and what is refused with its line."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from packager import cli
from packager.cli import _build
from packager.cli._configuration.file import find_configuration, read_configuration
from packager.cli._configuration.starter import make_schema
from packager.errors import ConfigurationError
from packager.types import BuildRequest, Front, make_request
from tools.reference import pages

RUN = CliRunner()
FILE = """\
[defaults]
target = "azure-functions"
rows = 50

[build.churn]
model = "models:/churn@champion"
rows = 30
keep = ["*.txt", "*.md"]
cache = false
http = "none"

[build."a.b"]
model = "models:/other/2"
out = "artifacts/b"
example = "row.json"
passes = ["prune", "bytecode"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "packager.toml").write_text(FILE)
    (tmp_path / "row.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[BuildRequest]:
    """The requests that `packager build` came to, none of which is built."""
    requests: list[BuildRequest] = []

    def note(request: BuildRequest) -> dict[str, object]:
        requests.append(request)
        return {}

    monkeypatch.setattr(_build, "_build_artifact", note)
    return requests


def fail(*arguments: str) -> str:
    """The words of a refusal, which is a usage error."""
    error = RUN.invoke(cli.app, ["build", *arguments]).exception
    assert isinstance(error, ConfigurationError), error
    return str(error)


def test_a_build_is_asked_for_by_its_name(folder: Path, asked: list[BuildRequest]) -> None:
    RUN.invoke(cli.app, ["build", "churn", "--json"])

    [request] = asked
    assert request.model.uri == "models:/churn@champion"
    assert request.target.name == "azure-functions"
    assert request.proof.rows == 30
    assert request.slimming.keep == ("*.txt", "*.md")
    assert not request.output.reuse
    assert request.http.front is Front.NONE
    assert request.output.folder == folder / "dist" / "churn"


def test_the_command_line_wins_over_the_file(folder: Path, asked: list[BuildRequest]) -> None:
    line = "build churn --rows 7 --target aws-lambda --keep x --cache --out elsewhere"
    RUN.invoke(cli.app, line.split())

    [request] = asked
    assert request.proof.rows == 7
    assert request.target.name == "aws-lambda"
    assert request.slimming.keep == ("x",)
    assert request.output.reuse
    assert request.output.folder == Path("elsewhere")


def test_paths_start_from_the_file(
    folder: Path, asked: list[BuildRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".git").mkdir()
    (folder / "deep" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(folder / "deep" / "deeper")
    RUN.invoke(cli.app, ["build", "a.b"])

    [request] = asked
    assert request.output.folder == folder / "artifacts" / "b"
    assert request.proof.example == folder / "row.json"
    assert request.slimming.passes == ("prune", "bytecode")


def test_no_file_above_the_repository_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, asked: list[BuildRequest]
) -> None:
    (folder / "own" / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder / "own")
    RUN.invoke(cli.app, ["build", "models:/churn/1"])

    assert asked == [make_request("models:/churn/1")]


def test_defaults_are_of_a_model_s_address_too(folder: Path, asked: list[BuildRequest]) -> None:
    RUN.invoke(cli.app, ["build", "models:/churn/1"])
    RUN.invoke(cli.app, ["build", "models:/churn/1", "--no-config"])

    assert asked[0] == make_request("models:/churn/1", target="azure-functions", rows=50)
    assert asked[1] == make_request("models:/churn/1")


def test_a_project_s_table_is_read(tmp_path: Path, asked: list[BuildRequest]) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\nname = "x"\n[tool.packager.build.churn]\nmodel = "models:/c/1"\n'
    )
    RUN.invoke(cli.app, ["build", "churn", "--config", str(project)])
    RUN.invoke(cli.app, ["build", "--config", str(project)])

    assert [each.model.uri for each in asked] == ["models:/c/1", "models:/c/1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Write a table [tool.packager.build.NAME]"),
        ("[tool.packager]\n", "Write a table [tool.packager.build.NAME]"),
        ("[tool.packager.bulid.x]\n", "It has [tool.packager.defaults], for every build, and"),
    ],
)
def test_a_project_s_tables_are_named_as_they_are_written_there(
    tmp_path: Path, text: str, words: str
) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text(text)

    assert words in fail("--all", "--config", str(project))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[build.x]\nmodel = "models:/x/1"\nrowz = 5', "line 3, column 1: [build.x] has 'rowz'"),
        ('[build.x]\nmodel = "models:/x/1"\nrowz = 5', "Did you mean 'rows'?"),
        ('[build.x]\nmodel = "models:/x/1"\nbase_image = "a"', "Did you mean 'base-image'?"),
        ('[build.x]\nmodel = "models:/x/1"\nno-cache = true', "Did you mean cache = false?"),
        ('[build.x]\nmodel = "models:/x/1"\njson = true', "give it on the command line"),
        ('[build.x]\nmodel = "models:/x/1"\nrows = "5"', "line 3, column 1: rows has to be"),
        ('[build.x]\nmodel = "models:/x/1"\nrows = true', "a whole number, and it is true."),
        ('[build.x]\nmodel = "models:/x/1"\nrows = -1', "line 3, column 1: rows: Input should"),
        ('[build.x]\nmodel = "models:/x/1"\ncache = "no"', "cache has to be true or false"),
        ('[build.x]\nmodel = "models:/x/1"\ntarget = ["a"]', "line 3, column 11: 'a' is no target"),
        ('[build.x]\nmodel = "models:/x/1"\ntarget = "aws"', "Did you mean 'aws-lambda'?"),
        ('[build.x]\nmodel = "models:/x/1"\ntarget = []', "column 1: target is an empty list"),
        ('[build.x]\nmodel = "m"\ntarget = ["auto"]', "auto chooses one target by itself"),
        ('[build.x]\nmodel = "m"\ntarget = [\n "aws-lambda",\n 5]', "line 5, column 2: target"),
        ('[build.x]\nmodel = "m"\ntarget = ["aws-lambda", "aws-lambda"]', "aws-lambda twice"),
        ('[build.x]\nmodel = "m"\n[build.x.targets.aws]\nmemory = 5', "line 3, column 18: 'aws'"),
        ('[build.x]\nmodel = "m"\n[build.x.targets.aws-lambda]\nmemry = 5', "Did you mean 'mem"),
        ('[build.x]\nmodel = "m"\n[build.x.targets.aws-lambda]\nmodel = "n"', "whole build"),
        ('[build.x]\nmodel = "m"\ntargets = "aws-lambda"', "'targets' has to be a table"),
        (
            '[build.x]\nmodel = "m"\ntarget = "aws-lambda"\n[build.x.targets.azure-functions]\n',
            "azure-functions is no target of the build, which has aws-lambda",
        ),
        ('[defaults]\ntarget = ["aws"]\n[build.x]\nmodel = "m"', "line 2, column 11: 'aws'"),
        ('build.x = { model = "m", rowz = 5 }', "line 1, column 26: [build.x] has 'rowz'"),
        ('[build.x]\nmodel = "models:/x/1"\narch = "arm"', "'arm' is not one of x86_64, arm64."),
        ('[build.x]\nmodel = "models:/x/1"\nexample = "gone.json"', "line 3, column 1: example:"),
        ("[build.x]\nmodel = 5", "line 2, column 1: model has to be a model's address"),
        ("[build.x]\nrows = 5", "[build.x] has no model"),
        ('[biuld.x]\nmodel = "m"', "line 1, column 2: 'biuld' is no table of it"),
        ('build = "x"', "line 1, column 1: 'build' has to be a table"),
        ('[build]\nx = "models:/x/1"', "line 2, column 1: 'x' has to be a table"),
        ('[build."../x"]\nmodel = "models:/x/1"', "cannot name a build"),
        ("[build.x\nmodel = 5", "is not valid TOML"),
        ('[build.x]\nmodel = "m"\nmodel = "n"', "is not valid TOML"),
        ('[build.x]\nmodel="models:/x/1"\n[build.y]\nmodel="models:/y/1"\nrow = 1', "line 5"),
        ('build.x.model = "models:/x/1"\nbuild.x.rows = "many"', "line 2"),
        ('[build.x]\nmodel = "models:/x/1"\ntracking-uri = "http://me:word@h"', "a password"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "packager.toml"
    path.write_text(text)
    told = fail("x", "--config", str(path))

    assert words in told
    assert "word@" not in told


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "packager.toml"
    path.write_text(
        '[defaults]\nmemry = 5\n[build.x]\nmodel = "models:/x/1"\nrows = "many"\ncache = 1\n'
        '[build.y]\nmodel = "models:/y/1"\ntarget = "aws"\n[build.y.targets.gpu]\n'
    )
    told = fail("x", "--config", str(path))

    assert [line.split(",")[1] for line in told.splitlines()] == [
        *(" line 2", " line 5", " line 6", " line 9"),
    ]


def test_a_folder_of_the_file_s_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packager.toml").mkdir()

    assert "packager.toml is a folder. Give it another name" in fail("x")


def test_a_name_that_is_none_is_answered_with_the_closest(folder: Path) -> None:
    told = fail("chrn")

    assert "it has churn, a.b" in told
    assert "Did you mean 'churn'?" in told


def test_a_build_has_to_be_chosen_where_there_are_several(folder: Path) -> None:
    assert "name one of churn, a.b" in fail()


def test_a_broken_file_keeps_nobody_from_help(folder: Path) -> None:
    (folder / "packager.toml").write_text("[[[")

    assert RUN.invoke(cli.app, ["build", "--help"]).exit_code == 0


@pytest.mark.parametrize("written", [b"\xff\xfe[", b"[build.x]\n" + b"#" * 1_000_001])
def test_what_is_no_text_of_that_kind_is_refused(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "packager.toml").write_bytes(written)

    assert "packager.toml" in fail("x", "--config", str(tmp_path / "packager.toml"))


def test_a_file_of_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "packager.toml"
    path.write_bytes(b'\xef\xbb\xbf[build.x]\r\nmodel = "m"\r\n')

    assert read_configuration(path).builds["x"]["model"].place == "packager.toml, line 2, column 1"


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True),
        st.dictionaries(st.sampled_from(["rows", "model", "out"]), st.text(max_size=8), min_size=1),
        max_size=4,
    )
)
def test_every_key_has_the_line_that_it_is_on(
    tmp_path_factory: pytest.TempPathFactory, builds: dict[str, dict[str, str]]
) -> None:
    lines = [""]
    at = {}
    for name, values in builds.items():
        lines.append(f"[build.{json.dumps(name)}]  # a comment = no key")
        for key, value in values.items():
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False).replace(chr(127), '')}")
            at[name, key] = f"packager.toml, line {len(lines)}, column 1"
    path = tmp_path_factory.mktemp("lines") / "packager.toml"
    path.write_text("\n".join(lines), encoding="utf-8")

    read = read_configuration(path)
    assert {(n, k): s.place for n, values in read.builds.items() for k, s in values.items()} == at


def test_a_begun_file_is_valid_and_is_added_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[BuildRequest]
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in ("init models:/churn@champion", "init models:/b.c/1 --target azure-functions"):
        assert RUN.invoke(cli.app, line.split()).exit_code == 0
    before = (tmp_path / "packager.toml").read_text()
    again = RUN.invoke(cli.app, ["init", "models:/churn/2"])

    assert isinstance(again.exception, ConfigurationError)
    assert (tmp_path / "packager.toml").read_text() == before
    assert [each.name for each in tmp_path.iterdir()] == ["packager.toml"]
    RUN.invoke(cli.app, ["build", "churn"])
    RUN.invoke(cli.app, ["build", "b.c"])
    assert asked[0] == make_request("models:/churn@champion", out_dir=tmp_path / "dist" / "churn")
    assert asked[1].target.name == "azure-functions"


def test_init_says_that_it_cannot_look_at_a_file() -> None:
    ended = RUN.invoke(cli.app, ["init", "models:/churn/1", "--config", "x" * 300])

    assert isinstance(ended.exception, ConfigurationError)
    assert "File name too long" in str(ended.exception)


def _refuse_below(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> None:
    ask = getattr(Path, name)

    def refuse(path: Path) -> object:
        if path.parent == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return ask(path)

    monkeypatch.setattr(Path, name, refuse)


def test_a_folder_above_that_may_not_be_entered_is_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    _refuse_below(monkeypatch, "exists", tmp_path)
    assert find_configuration(tmp_path / "home") is None


def test_a_folder_of_the_repository_that_may_not_be_entered_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "models").mkdir()
    _refuse_below(monkeypatch, "is_file", tmp_path)
    with pytest.raises(ConfigurationError, match=f"{tmp_path} cannot be read.*--no-config"):
        find_configuration(tmp_path / "models")


def test_every_comment_of_a_begun_file_is_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    RUN.invoke(cli.app, ["init", "models:/churn/1"])
    text = (tmp_path / "packager.toml").read_text()
    lines = re.findall(r"(?m)^# ([a-z0-9-]+ = .*)$", text)
    has_value = [line for line in lines if not re.search('= "<.*>"$', line)]
    assert len(lines) > 30
    # a file or a folder is there only where you have it
    left = {line.partition(" ")[0] for line in {*lines} - {*has_value}}
    assert left == {"arm64-python", "facts-dir", "baseline", "example"}
    assert tomllib.loads("\n".join(lines))

    found = {"build": {"churn": {"model": "m"} | tomllib.loads("\n".join(has_value))}}
    jsonschema.validate(found, make_schema(pages._find_build()))
    for line in has_value:
        Path("packager.toml").write_text(f'[build.churn]\nmodel = "models:/c/1"\n{line}')
        said = RUN.invoke(cli.app, ["build", "churn", "--dry-run"])
        # a target may have no use for it, which is said in other words
        assert not re.search(r"packager\.toml, line \d.*: ", f"{said.output}{said.exception}"), line
    for line in {*lines} - {*has_value}:
        Path("packager.toml").write_text(f'[build.churn]\nmodel = "models:/c/1"\n{line}')
        assert "line 3" in fail("churn")


@pytest.mark.parametrize("before", ['build = { a = { model = "m" } }\n', "[defaults]\nrows = "])
def test_a_file_that_can_take_no_table_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("packager.toml").write_text(before)

    assert isinstance(RUN.invoke(cli.app, ["init", "models:/b/1"]).exception, ConfigurationError)
    assert Path("packager.toml").read_text() == before


def test_what_a_build_refuses_is_named_by_its_line(folder: Path) -> None:
    (folder / "packager.toml").write_text(
        "[defaults]\nmemory = 10\n\n"
        '[build.churn]\nmodel = "models:/churn/1"\nauth = "jwt"\nhttp = "function-url"\n'
        'passes = ["polish"]\nevent = ["kafkaa"]\nkeep-package = ["a b"]\npython = "2.7"\n'
    )
    said = fail("churn", "--auth", "api-key").splitlines()

    places = [line for line in said if " is set in packager.toml, line " in line]
    assert {line.split()[0]: line.partition("line ")[2] for line in places} == {
        "memory": "2, column 1, [defaults].",
        "http": "7, column 1, [build.churn].",
        "passes": "8, column 1, [build.churn].",
        "event": "9, column 1, [build.churn].",
        "keep-package": "10, column 1, [build.churn].",
        "python": "11, column 1, [build.churn].",
    }
    assert not [line for line in said if line.startswith("auth is set")]  # the command line's


def test_what_the_command_line_alone_says_has_no_line(folder: Path) -> None:
    assert "is set in" not in fail("models:/churn/1", "--memory", "10", "--no-config")


def test_a_file_cannot_be_given_and_forbidden(folder: Path) -> None:
    assert "exclude each other" in fail("churn", "--config", "packager.toml", "--no-config")


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (FILE, True),
        ('[build.x]\nmodel = "m"\nrows = "5"', False),
        ('[build.x]\nmodel = "m"\nrowz = 5', False),
        ('[build.x]\nmodel = "m"\narch = "arm"', False),
        ('[build.x]\nmodel = "m"\noptimize = 3', False),
        ("[build.x]\nrows = 5", False),
        ("[other]", False),
    ],
)
def test_the_schema_takes_what_a_build_takes(text: str, *, valid: bool) -> None:
    schema = json.loads(RUN.invoke(cli.app, ["init", "--schema"]).stdout)
    errors = [*jsonschema.Draft202012Validator(schema).iter_errors(tomllib.loads(text))]

    assert (not errors) == valid


def test_init_writes_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = RUN.invoke(cli.app, ["init", "https://me:word@host/model"])

    assert isinstance(ended.exception, ConfigurationError)
    assert not [*tmp_path.iterdir()]


def test_the_api_is_imported_without_a_build() -> None:
    """And has what its page says."""
    code = (
        "import sys, packager; from packager import BuildRequest, build, make_request;"
        "print(len([m for m in sys.modules if m.startswith('packager.pipeline')]),"
        "'mlflow' in sys.modules, make_request('models:/a/1', rows=5).proof.rows)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert told.stdout.split() == ["0", "False", "5"]

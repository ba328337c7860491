"""What a program that the build starts sees of this process's environment."""

from __future__ import annotations

import ast
import functools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from packager.commands import serve
from packager.environments import uv_command, virtual_environments
from packager.system import process

ROOT = Path(__file__).parents[3] / "packager"
SECRETS = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "DATABRICKS_TOKEN",
    "GITHUB_TOKEN",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "PGPASSWORD",
    "UV_PUBLISH_TOKEN",
)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "secret")


def test_a_program_that_is_given_no_environment_gets_no_secret(secrets: None) -> None:
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    done = process.run([sys.executable, "-I", "-c", script])
    seen = json.loads(done.stdout)
    assert "PATH" in seen
    assert "secret" not in seen.values()


@pytest.mark.parametrize(
    "environment",
    [
        process.basic_environment,
        uv_command.build_environment,
        lambda: virtual_environments.variables(Path("home")),
        lambda: serve._environment(Path("function")),
    ],
    ids=["basic", "uv", "worker", "server"],
)
def test_no_environment_that_is_made_holds_a_secret(secrets: None, environment: object) -> None:
    assert callable(environment)
    assert set(SECRETS).isdisjoint(environment())


@pytest.mark.parametrize(
    ("name", "passed"),
    [
        ("UV_INDEX_URL", True),
        ("UV_DEFAULT_INDEX", True),
        ("UV_EXTRA_INDEX_URL", True),
        ("UV_INDEX_CORP_PASSWORD", True),
        ("UV_CACHE_DIR", True),
        ("HTTPS_PROXY", True),
        ("no_proxy", True),
        ("SSL_CERT_FILE", True),
        ("NETRC", True),
        ("HOME", True),
        ("UV_PYTHON", False),
        ("UV_CONSTRAINT", False),
        ("UV_CONFIG_FILE", False),
        ("UV_NO_BINARY", False),
        ("VIRTUAL_ENV", False),
        ("PYTHONPATH", False),
        ("DBUS_SESSION_BUS_ADDRESS", False),
    ],
)
def test_uv_is_told_where_packages_come_from_and_nothing_else(
    name: str, *, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_KEYRING_PROVIDER", raising=False)
    monkeypatch.setenv(name, "value")
    assert (name in uv_command.build_environment()) is passed


def test_a_keyring_program_finds_the_desktop_s_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus")
    assert uv_command.build_environment()["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/run/bus"


@pytest.mark.parametrize(
    ("own", "options", "expected"),
    [
        ({}, ("--extra-index-url M",), {"UV_INDEX": "M"}),
        ({}, ("--index-url M",), {"UV_INDEX": "", "UV_DEFAULT_INDEX": "M"}),
        (
            {"UV_EXTRA_INDEX_URL": "A B", "UV_INDEX": "corp=C"},
            ("--extra-index-url M",),
            {"UV_INDEX": "corp=C A B M"},
        ),
        (
            {"UV_DEFAULT_INDEX": "D"},
            ("--index-url M", "--extra-index-url N"),
            {"UV_INDEX": "D N M", "UV_DEFAULT_INDEX": "D"},
        ),
        ({"UV_INDEX_URL": "D"}, ("--extra-index-url M",), {"UV_INDEX": "D M"}),
        ({"UV_FIND_LINKS": "/own"}, ("--find-links w",), {"UV_FIND_LINKS": "/own,w"}),
        ({}, ("--no-index",), {"UV_NO_INDEX": "1"}),
        ({"UV_INDEX": "C"}, (), {"UV_INDEX": "C"}),
    ],
)
def test_a_model_s_index_is_never_asked_before_one_of_the_user_s(
    own: dict[str, str], options: tuple[str, ...], expected: dict[str, str]
) -> None:
    found = uv_command._add_indexes(dict(own), options)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("own", "options", "expected"),
    [
        ("", ("--no-index",), True),
        ("1", (), True),
        ("true", ("--find-links w",), True),
        ("0", (), False),
        ("", (), False),
    ],
)
def test_no_index_is_asked_where_the_user_or_the_model_says_so(
    own: str, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, *, expected: bool
) -> None:
    started: list[Sequence[str | Path]] = []

    def run(command: Sequence[str | Path], **_: object) -> process.Done:
        started.append(command)
        return process.Done(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setenv("UV_NO_INDEX", own)
    uv_command.run_pip("compile", ["-"], options=options)
    # uv heeds no variable for it
    assert ("--no-index" in started[0]) is expected


def test_what_uv_says_has_none_of_the_passwords_that_it_was_given() -> None:
    env = {
        "UV_INDEX_CORP_PASSWORD": "hunter2",
        "HTTPS_PROXY": "http://me:pr0xy@proxy:80",
        "UV_INDEX": "a=https://x.org https://u:idx@y.org/simple",
        "HOME": "/root",
    }
    said = "no http://h/hunter2/x, by pr0xy, of idx in /root"
    assert uv_command._hide_secrets(said, env) == "no http://h/***/x, by ***, of *** in /root"


@functools.cache
def _texts() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def _nodes(word: str) -> Iterator[tuple[Path, list[ast.AST]]]:
    """Parse the files that hold a word; the others are not worth the time."""
    for path, text in _texts().items():
        if word in text:
            yield path, list(ast.walk(ast.parse(text)))


def _calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    last = name.rpartition(".")[2]
    for path, nodes in _nodes(last):
        for node in nodes:
            if not isinstance(node, ast.Call):
                continue
            if getattr(node.func, "attr", last) == last and ast.unparse(node.func) == name:
                yield path, node


def test_every_program_is_started_in_one_module() -> None:
    started = ("subprocess.run", "subprocess.Popen", "subprocess.check_output", "os.system")
    places = {path.name for name in started for path, _ in _calls(name)}
    assert places == {"process.py"}


def test_the_whole_environment_is_read_in_one_place() -> None:
    """Elsewhere single variables are looked up by name; workers run where it is clean already."""
    single = {"get", "setdefault", "pop", "update"}
    found = set()
    for path, nodes in _nodes("environ"):
        if "workers" in path.parts or path.name == "process.py":
            continue
        looked_up = {
            id(node.value)
            for node in nodes
            if (isinstance(node, ast.Attribute) and node.attr in single)
            or isinstance(node, ast.Subscript)
        }
        for node in nodes:
            if getattr(node, "attr", "") != "environ" or id(node) in looked_up:
                continue
            if ast.unparse(node) == "os.environ":
                found.add(path.relative_to(ROOT).as_posix())
    assert found == {"models/mlflow_errors.py"}  # whether a name is set at all


def test_every_use_of_uv_builds_nothing() -> None:
    places = {path.relative_to(ROOT).as_posix() for path, _ in _calls("uv_command.path")}
    assert places == set()
    (run_pip,) = [
        node
        for node in ast.walk(
            ast.parse((ROOT / "environments" / "uv_command.py").read_text(encoding="utf-8"))
        )
        if isinstance(node, ast.FunctionDef) and node.name == "run_pip"
    ]
    assert "'--only-binary', ':all:'" in ast.unparse(run_pip)
    assert "--no-config" in ast.unparse(run_pip)

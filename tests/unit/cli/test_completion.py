"""What a shell is offered for MODEL and --target: within a second, and nothing that runs there."""

from __future__ import annotations

import http.server
import json
import os
import pty
import re
import select
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager import cli
from packager.cli._choices import registered

RUN = CliRunner()
PROGRAM = Path(sys.executable).with_name("packager")
HOSTILE = ("$(touch hacked)", "`id`", "a;b", "a b", "a'b", "-x\n", "é$", "a:b")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a registry, which names models as it likes, and a packager.toml."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    make_database(tmp_path / "mlflow.db")
    Path("packager.toml").write_text('[build.churn]\nmodel = "models:/churn/1"\n')
    return tmp_path


def make_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("create table registered_model_aliases (alias, version integer, name)")
        db.execute("create table model_versions (name, version integer)")
        for name in ("churn", "fraud", *HOSTILE):
            db.execute("insert into registered_model_aliases values ('champion', 2, ?)", (name,))
            db.executemany("insert into model_versions values (?, ?)", [(name, 9), (name, 10)])


def complete(*words: str, shell: str = "bash") -> list[str]:
    """The completions of the last word, as the shell's script asks for them."""
    variables = {
        "_PACKAGER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(("packager", *words)),
        "COMP_CWORD": str(len(words)),
        "_TYPER_COMPLETE_ARGS": " ".join(("packager", *words)),
    }
    done = RUN.invoke(cli.app, [], prog_name="packager", env=variables)
    assert not done.stderr
    return done.stdout.split()


def test_the_registry_and_the_file_are_offered(folder: Path) -> None:
    models = ["models:/churn@champion", "models:/fraud@champion"]
    models += ["models:/churn/10", "models:/fraud/10"]

    assert registered.list_models({"no_config": False}, "") == ["churn", *models]
    assert registered.list_models({}, "") == models
    assert registered.list_models({"no_config": True}, "mod") == models
    assert registered.list_models({"no_config": False}, "models:/f") == models[1::2]
    assert registered.list_models({"no_config": False}, "./x") == ["churn"]
    assert not registered.list_models({"tracking_uri": "sqlite:///none.db"}, "")
    assert {each.name for each in folder.iterdir()} == {"mlflow.db", "packager.toml"}


def test_bash_ends_a_word_at_each_mark(folder: Path) -> None:
    """It hands the parts, and replaces the last alone."""
    assert complete("build", "models", ":", "/chu") == ["/churn@champion", "/churn/10"]
    assert complete("inspect", "models", ":", "/churn", "@") == ["@champion"]
    assert complete("follow", "models", ":", "/churn", "@", "cha") == ["@champion"]
    assert complete("init", "models", ":", "/chu") == ["/churn@champion", "/churn/10"]
    assert complete("build", "--target", "azure") == ["azure-functions"]


def test_nothing_is_said_without_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packager.toml").write_text("[[[")
    for name in ("mlflow.db", "other.db"):
        assert not registered.list_models({"no_config": False}, "models:/")
        (tmp_path / name).write_bytes(b"no database")
    for uri in (
        "sqlite:///other.db",
        "http://127.0.0.1:9",
        "http://[::",
        "databricks",
        "sqlite://",
    ):
        assert not registered.list_models({"tracking_uri": uri}, "models:/")


def test_a_store_of_files_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "my runs" / "models" / "churn"
    (model / "aliases").mkdir(parents=True)
    (model / "aliases" / "champion").write_text("2")
    for number in (2, 10):
        (model / f"version-{number}").mkdir()
    for uri in (str(tmp_path / "my runs"), (tmp_path / "my runs").as_uri()):
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", uri)
        found = registered.list_models({}, "models:/")
        assert found == ["models:/churn@champion", "models:/churn/10"]


@contextmanager
def serve(status: int, body: bytes, wait: float = 0) -> Iterator[tuple[str, list[str]]]:
    """A server's address, and the paths and credentials that it was asked with."""
    asked: list[str] = []
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization')}")
            release.wait(wait)
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            release.set()
            server.shutdown()
            thread.join()


ANSWER = {
    "registered_models": [
        {
            "name": "churn",
            "aliases": [{"alias": "champion", "version": "3"}],
            "latest_versions": [{"version": "4"}],
        },
        {"name": HOSTILE[0], "aliases": [{"alias": "champion", "version": "3"}]},
    ]
}


def test_a_server_is_asked_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "word")
    with serve(200, json.dumps(ANSWER).encode()) as (uri, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        found = registered.list_models({}, "models:/ch")

    assert found == ["models:/churn@champion", "models:/churn/4"]
    query = (
        "/api/2.0/mlflow/registered-models/search?max_results=200"
        "&filter=name%20LIKE%20%27ch%25%27 Basic bWU6d29yZA=="
    )
    assert asked == [query]


@pytest.mark.parametrize(("status", "body"), [(302, b""), (401, b""), (200, b"{"), (200, b"[1]")])
def test_a_server_that_answers_otherwise_is_silence(folder: Path, status: int, body: bytes) -> None:
    """Credentials follow no redirect."""
    with serve(status, body) as (uri, asked):
        assert not registered.list_models({"tracking_uri": uri}, "models:/")
    assert len(asked) == 1


def test_a_slow_server_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "_SECONDS", 0.2)
    with serve(200, json.dumps(ANSWER).encode(), wait=30) as (uri, _):
        begun = time.monotonic()
        assert not registered.list_models({"tracking_uri": uri}, "models:/")
        assert time.monotonic() - begun < 5


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_real_bash_completes_an_alias(folder: Path) -> None:
    """By the script that --show-completion prints, with a key pressed."""
    script = subprocess.run(
        [PROGRAM, "--show-completion", "bash"],
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (folder / "rc").write_text(
        f"PATH={shlex.quote(str(PROGRAM.parent))}:$PATH\nPS1='ready '\n{script}\n"
    )
    main, child = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", "rc", "-i"],
        stdin=child, stdout=child, stderr=child, cwd=folder, start_new_session=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"},
    )  # fmt: skip
    try:
        read_until(main, "ready ")
        os.write(main, b"packager build models:/fraud@\t")
        read_until(main, "build models:/fraud@champion ")
        os.write(main, b"\x15packager build models:/fraud@cham\t")
        read_until(main, "build models:/fraud@champion ")
        os.write(main, b"\x15packager build models:/fraud@champion --target az\t")
        read_until(main, "azure-functions")
    finally:
        shell.kill()
        shell.wait()
        os.close(main)
        os.close(child)
    assert not (folder / "hacked").exists()


def read_until(terminal: int, words: str, seconds: float = 60) -> None:
    """Wait until a line of the terminal shows the words, backspaces and all."""
    text = ""
    until = time.monotonic() + seconds
    while words not in show(text):
        ready, _, _ = select.select([terminal], [], [], max(0, until - time.monotonic()))
        assert ready, text
        text += os.read(terminal, 4096).decode(errors="replace")


def show(text: str) -> str:
    """The last line, as it is seen."""
    line: list[str] = []
    at = 0
    for each in re.split("[\r\n]", text)[-1]:
        if each == "\b":
            at -= 1
        else:
            line[at : at + 1] = each
            at += 1
    return "".join(line)

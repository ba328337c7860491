"""`packager replay`, and the program in the artifact that does the same, over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from handlers.observability.drift import RECORDED
from packager import targets
from packager.cli import app
from packager.environments import interpreters
from packager.errors import (
    CloudError,
    ConfigurationError,
    InterpreterNotFoundError,
    ModelFormatError,
    PackagerError,
    ReplayDiffersError,
)
from packager.pipeline.answers import over_http
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import ReplaySample
from tests import fake_plan

_SAMPLES = tuple(
    ReplaySample(
        name=f"request {number}",
        rows=2,
        request=json.dumps({"inputs": [number]}),
        answer=json.dumps({"predictions": [number + 0.4375]}),
    )
    for number in range(3)
)
Answer: TypeAlias = Callable[[Any, int], tuple[int, bytes]]
"""(request, how many came before) to (status, body)."""


@dataclass
class _App:
    url: str
    asked: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextmanager
def _serving(answer: Answer, location: str = "") -> Iterator[_App]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = answer(request, len(found.asked))
            found.asked.append(request)
            found.paths.append(self.path)
            found.headers.append({key.lower(): value for key, value in self.headers.items()})
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = _App(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer_as_the_model(request: Any, _: int = 0) -> tuple[int, bytes]:
    return 200, json.dumps({"predictions": [request["inputs"][0] + 0.4375]}).encode()


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("replay")
    target = targets.load("azure-functions")
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    request = fake_plan.request(target=target.name)
    plan = fake_plan.plan(request=request, target=target, runtime=runtime)
    verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
    verified = replace(verified, samples=_SAMPLES)
    out = base / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    return out


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http, "_FIRST_PAUSE", 0.01)


def _replay(artifact: Path, *words: str) -> tuple[dict[str, Any], PackagerError | None]:
    done = CliRunner().invoke(app, ["replay", str(artifact), *words, "--quiet"])
    assert done.exception is None or isinstance(done.exception, PackagerError), done.exception
    lines = done.stdout.splitlines()
    assert len(lines) <= 1
    return json.loads(lines[0]) if lines else {}, done.exception


def _run(
    artifact: Path, *words: str, python: str | Path = sys.executable, **variables: str
) -> tuple[int, str, str]:
    """Run the program that lies in the artifact, by no package of ours."""
    done = subprocess.run(
        [python, "-E", "-s", artifact / "replay" / "replay_check.py", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], **variables},
    )
    return done.returncode, done.stdout, done.stderr


def test_an_app_that_answers_as_the_model_passes(artifact: Path) -> None:
    with _serving(_answer_as_the_model) as running:
        found, error = _replay(artifact, running.url)

    assert error is None
    assert (found["passed"], found["requests"], found["asked"], found["rows"]) == (True, 3, 3, 6)
    assert found["url"] == f"{running.url}/invocations"
    assert running.asked == [{"inputs": [number]} for number in range(3)]
    assert set(running.paths) == {"/invocations"}


def test_an_app_that_answers_otherwise_is_told_and_no_value_of_it(artifact: Path) -> None:
    def answer(request: Any, _: int) -> tuple[int, bytes]:
        return 200, json.dumps({"predictions": [request["inputs"][0] * 1.5 + 0.4375]}).encode()

    with _serving(answer) as running:
        found, error = _replay(artifact, running.url)

    assert isinstance(error, ReplayDiffersError)
    assert (found["passed"], found["differing"]) == (False, 2)
    assert found["differences"][0] == {
        "request": "request 1",
        "where": "predictions, row 0",
        "apart": 0.5,
    }
    assert "1.9375" not in json.dumps(found) + str(error)
    assert "2 of 3 recorded requests" in str(error)


@pytest.mark.parametrize(
    ("status", "body", "where"),
    [
        (400, b"", "the endpoint answered 400"),
        (500, b"", "the endpoint answered 500"),
        (200, b"<html>", "the answer is not JSON"),
        (200, b"", "the answer is not JSON"),
        (200, b"[" * 100_000, "the answer is not JSON"),
    ],
)
def test_what_is_no_answer_differs(artifact: Path, status: int, body: bytes, where: str) -> None:
    with _serving(lambda *_: (status, body)) as running:
        found, error = _replay(artifact, running.url)

    assert isinstance(error, ReplayDiffersError)
    assert found["differing"] == 3
    assert found["differences"][0]["where"] == where


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_app_that_starts_is_asked_again(artifact: Path, status: int) -> None:
    def answer(request: Any, before: int) -> tuple[int, bytes]:
        return (status, b"") if before < 3 else _answer_as_the_model(request)

    with _serving(answer) as running:
        found, error = _replay(artifact, running.url)

    assert error is None
    assert found["asked"] == 3
    assert len(running.asked) == 6


def test_an_app_that_never_starts_is_not_waited_for_longer_than_was_said(artifact: Path) -> None:
    with _serving(lambda *_: (503, b"")) as running:
        _, error = _replay(artifact, running.url, "--timeout", "1")

    assert isinstance(error, CloudError)
    assert "it answered 503" in str(error)
    assert "--timeout" in str(error)


def test_an_address_where_nothing_listens_is_said(artifact: Path) -> None:
    with _serving(_answer_as_the_model) as running:
        pass

    _, error = _replay(artifact, running.url, "--timeout", "1")

    assert isinstance(error, CloudError)
    assert "refused" in str(error)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "Check the name of the app"),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), "SSL_CERT_FILE"),
    ],
)
def test_what_asking_again_does_not_mend_is_said_at_once(
    artifact: Path, reason: OSError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fail(_: object, address: str, *__: object, **___: object) -> None:
        asked.append(address)
        raise reason

    monkeypatch.setattr(http.client.HTTPConnection, "request", fail)
    _, error = _replay(artifact, "http://app.example.org")

    assert isinstance(error, CloudError)
    assert said in str(error)
    assert len(asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_an_app_that_lets_nobody_in_is_not_asked_on(artifact: Path, status: int) -> None:
    with _serving(lambda *_: (status, b"")) as running:
        found, error = _replay(artifact, running.url)

    assert isinstance(error, CloudError)
    assert found == {"check": "replay", "passed": False, "problem": str(error)}
    assert f"answered {status}" in str(error)
    assert "--header" in str(error)
    assert len(running.asked) == 1


def test_a_redirect_takes_no_header_along(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "secret")
    with (
        _serving(_answer_as_the_model) as other,
        _serving(lambda *_: (302, b""), location=f"{other.url}/invocations") as running,
    ):
        _, error = _replay(artifact, running.url, "--header", "x-functions-key=KEY")

    assert isinstance(error, CloudError)
    assert "leads elsewhere" in str(error)
    assert running.headers[0]["x-functions-key"] == "secret"
    assert running.headers[0][RECORDED] == "1"  # so that its generated rows are no drift
    assert other.asked == []


def test_a_proxy_without_a_name_is_not_the_artifact_s_fault(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://.proxy.example.org:80")
    monkeypatch.delenv("no_proxy", raising=False)
    _, error = _replay(artifact, "http://app.example.org")
    code, told, _ = _run(
        artifact, "http://app.example.org", http_proxy="http://.proxy.example.org:80"
    )

    assert isinstance(error, CloudError)
    assert "HTTP_PROXY" in str(error)
    assert (code, "HTTP_PROXY" in told) == (1, True)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ftp://app/"], "begins with https://"),
        (["app.azurewebsites.net"], "begins with https://"),
        (["https://"], "begins with https://"),
        (["https://app:port"], "begins with https://"),
        (["https://.azurewebsites.net"], "the name of a host"),
        (["https://app..azurewebsites.net"], "the name of a host"),
        ([f"https://{'a' * 64}.azurewebsites.net"], "the name of a host"),
        (["https://app/\n"], "begins with https://"),
        (["https://me:s3cret@app:port"], "begins with https://"),
        (["https://me:s3cret@app"], "--header NAME=VARIABLE"),
        (["https://app/?code=s3cret"], "--header NAME=VARIABLE"),
        (["https://app", "--header", "x-functions-key"], "give NAME=VARIABLE"),
        (["https://app", "--header", "x y=KEY"], "give NAME=VARIABLE"),
        (["https://app", "--header", "x-key=NOT_SET"], "--header x-key: the environment variable"),
        (["https://app", "--header", "x-key=s3cret"], "takes no value itself"),
        (["https://app", "--header", "x-key="], "give NAME=VARIABLE"),
        (["https://app", "--header", "authorization=Bearer s3cret"], "give NAME=VARIABLE"),
        (["https://app", "--header", "authorization: Bearer s3cret"], "give NAME=VARIABLE"),
        (["https://app", "--header", "s3cret=="], "give NAME=VARIABLE"),
        (["https://app", "--header", "x-key=s3cret-a"], "give NAME=VARIABLE"),
        (["https://app", "--header", "x-key=BROKEN"], "no header carries"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_asked(
    artifact: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "s3cret\r\nx-other: 1")

    found, error = _replay(artifact, *words)
    code, _, stderr = _run(artifact, *words, BROKEN="s3cret\r\nx-other: 1")

    assert isinstance(error, ConfigurationError)
    assert found == {}
    assert said in str(error)
    assert "s3cret" not in str(error)
    assert (code, said in stderr, "s3cret" in stderr) == (2, True, False)


@pytest.mark.few(1)
@pytest.mark.parametrize("seconds", ["0", "nan", "1e9"])
def test_a_time_that_is_none_is_refused(artifact: Path, seconds: str) -> None:
    code, _, stderr = _run(artifact, "https://app", "--timeout", seconds)

    done = CliRunner().invoke(app, ["replay", str(artifact), "http://x", "--timeout", seconds])

    assert code == 2
    assert "1 to 86400" in stderr
    assert done.exit_code == 2 or isinstance(done.exception, ConfigurationError)


def test_an_artifact_without_recorded_requests_says_which_have_them(tmp_path: Path) -> None:
    plan = fake_plan.plan()
    verified = fake_plan.verified(fake_plan.tree(tmp_path / "tree", plan))
    (tmp_path / "out").mkdir()
    emit(package(verified, plan, tmp_path / "out"), verified, plan, tmp_path / "out")

    _, error = _replay(tmp_path / "out", "https://app")
    _, none = _replay(tmp_path, "https://app")

    assert isinstance(error, ConfigurationError)
    assert "built with --rollout" in str(error)
    assert isinstance(none, ModelFormatError)


@pytest.mark.parametrize(
    "text", ["", "{}\n", "[]\n[]\n", '{"model_digest": ""}\n{}\n', "no json\n", "\0"]
)
def test_recorded_requests_that_no_build_wrote_are_refused(
    artifact: Path, tmp_path: Path, text: str
) -> None:
    copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
    (copy / "replay" / "replay.jsonl").write_text(text)

    _, error = _replay(copy, "http://127.0.0.1:9", "--timeout", "1")

    assert isinstance(error, ModelFormatError)
    assert "packager verify" in str(error)


def test_the_program_in_the_artifact_tells_the_same(artifact: Path) -> None:
    def answer(request: Any, before: int) -> tuple[int, bytes]:
        return (200, b'{"predictions": [0]}') if before == 3 else _answer_as_the_model(request)

    words = ("--header", "Authorization=TOKEN")
    with _serving(answer) as running:
        code, stdout, stderr = _run(artifact, running.url, *words, TOKEN="Bearer abc")
        again, line, _ = _run(artifact, running.url)

    found = json.loads(stdout)
    assert (code, found["passed"], found["asked"], stderr) == (0, True, 3, "")
    assert running.headers[0]["authorization"] == "Bearer abc"
    assert (again, json.loads(line)["differing"]) == (1, 1)


def test_a_new_app_that_is_not_found_yet_is_asked_again_while_it_settles(artifact: Path) -> None:
    def answer(request: Any, before: int) -> tuple[int, bytes]:
        return (404, b"") if before < 1 else _answer_as_the_model(request)

    with _serving(answer) as running:
        code, stdout, _ = _run(artifact, running.url, "--settle", "20")
        code_without, line, _ = _run(artifact, f"{running.url}/")

    assert (code, json.loads(stdout)["passed"]) == (0, True)
    assert (code_without, json.loads(line)["asked"]) == (0, 3)


def test_the_program_says_what_is_wrong_with_the_app(artifact: Path) -> None:
    with _serving(lambda *_: (401, b"")) as running:
        code, stdout, _ = _run(artifact, running.url)

    assert code == 1
    found = json.loads(stdout)
    assert found["passed"] is False
    assert "answered 401" in found["problem"]


@pytest.mark.few(1)
@pytest.mark.parametrize("minor", ["3.8", "3.9", "3.10"])
def test_the_program_runs_on_older_pythons(artifact: Path, minor: str) -> None:
    try:
        python = interpreters.find(minor).path
    except InterpreterNotFoundError:
        pytest.skip(f"there is no Python {minor} on this machine")
    with _serving(_answer_as_the_model) as running:
        code, stdout, stderr = _run(artifact, running.url, python=python)

    assert (code, json.loads(stdout)["passed"], stderr) == (0, True, "")

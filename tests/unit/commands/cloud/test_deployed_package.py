"""`packager verify --package`: what an app of Azure runs, over HTTP as its store answers."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager.cli import app
from packager.commands.cloud.deployed_package import TOKEN_VARIABLE, compare_package
from packager.errors import CloudError, ConfigurationError, PackagerError
from tests.unit.commands.cloud.test_deployed import _build

NAME = "/app/released-package.zip"


@contextmanager
def serve(blobs: dict[str, bytes], token: str = "") -> Iterator[str]:
    """A store of blobs that asks for a token; an answer may be cut short."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            allowed = query == token
            body = blobs.get(path, b"") if allowed else b""
            self.send_response(200 if allowed and path in blobs else 404 if allowed else 403)
            cut = "cut" in path
            self.send_header("Content-Length", str(len(body) + 5 * cut))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """It says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"), "azure-functions")


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def _change(artifact: Path, folder: Path) -> Path:
    """The same package with a file changed, and one more."""
    path = folder / "other.zip"
    with zipfile.ZipFile(artifact / "function.zip") as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            changed = b"import os" if name.endswith("handlers/__init__.py") else before.read(name)
            after.writestr(name, changed)
    return path


def test_the_package_of_the_artifact_passes(artifact: Path) -> None:
    body = (artifact / "function.zip").read_bytes()

    with serve({NAME: body}) as store:
        assert compare_package(artifact, store + NAME)["passed"]
    assert compare_package(artifact, str(artifact / "function.zip"))["passed"]


def test_the_first_file_that_differs_is_named(artifact: Path, tmp_path: Path) -> None:
    with serve({NAME: _change(artifact, tmp_path).read_bytes()}) as store:
        (problem,) = compare_package(artifact, store + NAME)["problems"]

    assert "handlers/__init__.py" in problem
    assert "in the artifact" in problem


@pytest.mark.parametrize("token", ["sv=1&sig=s3cret", "?sv=1&sig=s3cret"])
def test_a_token_is_read_from_the_environment_and_never_shown(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    with serve({NAME: b"other"}, "sv=1&sig=s3cret") as store:
        with pytest.raises(CloudError, match=f"set {TOKEN_VARIABLE}"):
            compare_package(artifact, store + NAME)
        monkeypatch.setenv(TOKEN_VARIABLE, token)
        (problem,) = compare_package(artifact, store + NAME)["problems"]
        assert "s3cret" not in problem
        monkeypatch.delenv(TOKEN_VARIABLE)
        (problem,) = compare_package(artifact, f"{store}{NAME}?sv=1&sig=s3cret")["problems"]
        assert "s3cret" not in problem
        with pytest.raises(CloudError, match="no such blob") as raised:
            compare_package(artifact, f"{store}/none?sv=1&sig=s3cret")
        assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "source",
    ["", "missing.zip", "/", "http://example.org/a.zip", "ftp://example.org/a", "https://", "http://[x"],
)  # fmt: skip
def test_what_is_neither_a_file_nor_an_address_is_refused(artifact: Path, source: str) -> None:
    with pytest.raises(ConfigurationError, match="--package"):
        compare_package(artifact, source)


def test_what_breaks_off_or_does_not_answer_is_told(artifact: Path) -> None:
    body = (artifact / "function.zip").read_bytes()
    with serve({"/cut": body}) as store, pytest.raises(CloudError, match="to its end"):
        compare_package(artifact, f"{store}/cut")
    with pytest.raises(CloudError, match="did not answer"):
        compare_package(artifact, "http://127.0.0.1:1/a.zip")


def test_the_command_ends_with_its_codes(artifact: Path, tmp_path: Path) -> None:
    def verify(folder: Path, source: Path) -> int:
        done = CliRunner().invoke(app, ["verify", str(folder), "--package", str(source)])
        error = done.exception
        return error.exit_code if isinstance(error, PackagerError) else done.exit_code

    (image := tmp_path / "image").mkdir()
    assert verify(artifact, artifact / "function.zip") == 0
    assert verify(artifact, _change(artifact, tmp_path)) == 12
    assert verify(artifact, Path(__file__)) == 12
    assert verify(_build(image, "gpu-container"), artifact / "function.zip") == 2

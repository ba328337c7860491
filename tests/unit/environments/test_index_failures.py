"""An index that did not answer is not one that lacks a version."""

from __future__ import annotations

import http.server
import io
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from packager.environments import interpreters, lockfile, uv_command
from packager.environments.index_failures import (
    explain_empty_index,
    explain_index_failure,
    explain_storage_failure,
    is_passing,
)
from packager.environments.lockfile import Wanted
from packager.errors import IndexUnavailableError, StorageError, ToolError, UnresolvableError
from packager.system import process

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


class _Index(http.server.BaseHTTPRequestHandler):
    """Answers every request with the status that the path begins with."""

    def do_GET(self) -> None:
        status = int(self.path.strip("/").partition("/")[0])
        if status == 0:
            self.connection.close()
            return
        self.send_response(status)
        if "bare" not in self.path:
            self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of uv of our own, empty."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setattr(uv_command, "_PAUSE_SECONDS", 0)
    for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def _make_wheel(name: str) -> bytes:
    """A wheel of nothing but what a wheel must have."""
    info, file = f"{name}-1.dist-info", io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return file.getvalue()


def _wanted() -> Wanted:
    return Wanted(
        requirements=("thing==1.0",),
        interpreter=interpreters.find(HERE),
        platform="x86_64-manylinux_2_34",
    )


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("500", "it says 500 Internal Server Error"),
        ("503", "it says 503 Service Unavailable"),
        ("429", "it is asked too often"),
        ("401", "refused access: 401 Unauthorized"),
        ("403", "refused access: 403 Forbidden"),
        ("0", "the connection failed"),
        ("200/bare", "what it sent is no page of an index"),
    ],
)
def test_an_index_that_fails_is_named(
    path: str, said: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://name:secret@{index}/{path}/simple")
    for ask in (lockfile.lock, lockfile.unavailable):
        with pytest.raises(IndexUnavailableError, match=said) as caught:
            ask(_wanted())
        assert f"at {index} " in str(caught.value)
        assert "secret" not in str(caught.value)
        assert caught.value.exit_code == 10


def test_an_index_without_the_package_answers(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "simple" / "pip").mkdir(parents=True)
    (tmp_path / "simple" / "pip" / "pip-1-py3-none-any.whl").write_bytes(_make_wheel("pip"))
    address = (tmp_path / "simple").as_uri()
    monkeypatch.setenv("UV_INDEX", address)
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{index}/404/simple")
    (tmp_path / "simple" / "pip" / "index.html").write_text(
        '<a href="pip-1-py3-none-any.whl">pip-1-py3-none-any.whl</a>'
    )
    with pytest.raises(UnresolvableError, match=r"thing was not found"):
        lockfile.lock(_wanted())
    assert lockfile.unavailable(_wanted()) == ("thing==1.0",)


@pytest.mark.parametrize("path", ["404/simple", "200"])
def test_an_address_that_is_no_index_is_named(
    path: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, and has nothing: that is not the fault of the model's requirements."""
    address = f"http://name:secret@{index}/{path}/"
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    for ask in (lambda: lockfile.lock(_wanted()), uv_command.check_index):
        with pytest.raises(IndexUnavailableError) as caught:
            ask()
        said = str(caught.value)
        assert f"(UV_DEFAULT_INDEX: {index}) answered" in said
        assert "Correct UV_DEFAULT_INDEX." in said
        assert "secret" not in said


def test_each_index_that_has_nothing_is_named() -> None:
    env = {
        "UV_DEFAULT_INDEX": "https://me:pw@a.example/x",
        "UV_INDEX": "corp=https://b.example:81/simple https://c.example",
    }
    said = explain_empty_index(env)
    assert "(UV_DEFAULT_INDEX: a.example; UV_INDEX: b.example:81, c.example)" in said
    assert "Correct UV_DEFAULT_INDEX or UV_INDEX." in said
    assert "(pypi.org)" in explain_empty_index({})


def test_where_uv_itself_fails_nothing_is_said_of_the_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "error: No virtual environment or system Python installation found"
    failed = process.Done(returncode=2, stdout="", stderr=said)
    monkeypatch.setattr(uv_command, "run_pip", lambda *_, **__: failed)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://never-asked.example/simple")

    with pytest.raises(ToolError, match="No virtual environment"):
        uv_command.check_index()


def test_where_no_index_is_asked_none_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    uv_command.check_index()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:9/simple", r"127\.0\.0\.1:9 did not answer: it refuses connections"),
        ("http://no.such.host.invalid/simple", r"no\.such\.host\.invalid did not answer"),
    ],
)
def test_a_host_that_is_not_there_is_named(
    address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    with pytest.raises(IndexUnavailableError, match=said):
        lockfile.lock(_wanted())


def test_offline_with_an_empty_cache_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    for ask in (lockfile.lock, lockfile.unavailable):
        with pytest.raises(IndexUnavailableError, match=r"UV_OFFLINE(?s:.)*fill the cache"):
            ask(_wanted())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "Failed to fetch: https://u:pw@host/simple/x/\n  cause: invalid certificate: X",
            "host did not answer: its certificate is not trusted",
        ),
        ("error: Failed to fetch: https://host/x\n  cause: operation timed out", "in time"),
        ("Request failed after 3 retries\n  cause: tunnel error: x", "the proxy"),
        ("Network connectivity is disabled, but the requested data", "UV_OFFLINE"),
    ],
)
def test_each_cause_has_its_words(words: str, said: str) -> None:
    found = explain_index_failure(words)
    assert found is not None
    assert said in found
    assert "pw" not in found


@pytest.mark.parametrize("words", ["", "No solution found: x==1 and x==2 are incompatible"])
def test_what_the_index_answered_is_no_failure(words: str) -> None:
    assert explain_index_failure(words) is None


def test_a_try_offline_before_the_index_is_asked_is_no_failure(
    index: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{index}/503/simple")
    with pytest.raises(IndexUnavailableError, match="503"):
        uv_command.run_pip("install", ["--target", tmp_path / "t", "thing==1.0"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("failed to create directory `/h/.cache/uv`: Permission denied (os error 13)", "UV_CACHE"),
        ("failed to open `/h/.cache/uv/x`: Read-only file system (os error 30)", "can write"),
        ("failed to write `/t/x`: No space left on device (os error 28)", "disk is full"),
        ("failed to write `/t/x`: Disk quota exceeded (os error 122)", "disk is full"),
    ],
)
def test_what_uv_cannot_write_is_said(words: str, said: str) -> None:
    assert said in str(explain_storage_failure(words))


@pytest.mark.parametrize("words", ["", "thing has no wheel", "refused (os error 111)", "error 13"])
def test_other_words_tell_of_no_disk(words: str) -> None:
    assert explain_storage_failure(words) is None


def test_a_cache_of_uv_that_cannot_be_made_is_not_a_missing_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "file" / "uv"))
    with pytest.raises(StorageError, match="UV_CACHE_DIR") as caught:
        lockfile.lock(_wanted())
    assert caught.value.exit_code == 9


@pytest.mark.parametrize("ask", [lockfile.lock, lockfile.unavailable])
def test_a_resolver_that_was_killed_has_refused_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Wanted], object]
) -> None:
    killed = tmp_path / "uv"
    killed.write_text("#!/bin/sh\nkill -9 $$\n", encoding="utf-8")
    killed.chmod(0o755)
    monkeypatch.setattr(uv_command, "path", lambda: killed)
    wanted = Wanted(
        requirements=("killed-before==1.0",), interpreter=interpreters.find(HERE), platform=""
    )

    with pytest.raises(ToolError, match=r"uv was ended by SIGKILL.*, before it answered, twice"):
        ask(wanted)


class _Recovering(_Index):
    """Answers the first request with a 503, and all others with a 404."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.path = "/503" if self.asked == 1 else "/404"
        super().do_GET()

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls


def test_an_index_that_answers_the_second_time_has_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Recovering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
        with pytest.raises(IndexUnavailableError, match="answered, and has none of packaging"):
            lockfile.lock(_wanted())
        server.shutdown()
    assert _Recovering.asked > 1


def test_a_resolver_that_is_killed_once_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = tmp_path / "uv"
    uv.write_text(
        f"#!/bin/sh\n[ -e {tmp_path}/ran ] && echo 'lock-version = \"1.0\"' && exit 0\n"
        f"touch {tmp_path}/ran\nkill -9 $$\n",
        encoding="utf-8",
    )
    uv.chmod(0o755)
    monkeypatch.setattr(uv_command, "path", lambda: uv)
    wanted = Wanted(
        requirements=("killed-once==1.0",), interpreter=interpreters.find(HERE), platform=""
    )
    assert lockfile.lock(wanted).packages == ()


@pytest.mark.parametrize(
    ("words", "passing"),
    [
        ("Request failed after 3 retries: operation timed out", True),
        ("Failed to fetch: https://host/x\n  HTTP status server error (503)", True),
        ("failed to open `/h/.cache/uv/x`: No such file or directory (os error 2)", True),
        ("Failed to fetch: https://host/x: 401 Unauthorized", False),
        ("Failed to fetch: https://host/x: invalid peer certificate", False),
        ("Network connectivity is disabled, but the requested data", False),
        ("No solution found: x==1 and x==2 are incompatible", False),
        ("failed to write `/t/x`: No space left on device (os error 28)", False),
    ],
)
def test_what_another_try_may_mend_is_told(words: str, *, passing: bool) -> None:
    assert is_passing(words) is passing

"""The real worker library over apps of one file: what it says before anything is deployed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from packager.environments import interpreters
from packager.targets.hosts import Boot, Call, LocalWeights
from packager.targets.hosts.functions_worker import WorkerHost
from packager.targets.hosts.functions_worker_library import client
from packager.targets.lambda_emulator import why_not_bootable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(why_not_bootable("x86_64")), reason=why_not_bootable("x86_64") or "it boots"
    ),
]
HTTP = """
import azure.functions as func
app = func.FunctionApp()

@app.function_name("http")
@app.route(route="{*path}")
def http(req: func.HttpRequest) -> func.HttpResponse:
"""


def app(tmp_path: Path, source: str, minor: str = "3.13") -> Boot:
    """A function app of one file; what it imports is the worker's own."""
    interpreter = interpreters.find(minor)
    (tmp_path / "function_app.py").write_text(source, encoding="utf-8")
    home = tmp_path / ".python_packages" / "lib" / "site-packages"
    home.mkdir(parents=True)
    return Boot(folder=tmp_path, interpreter=interpreter, entrypoint="")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nope_missing\n", "nope_missing"),
        (HTTP + "    return\n\n@app.warmup_trigger()\ndef f(): pass\n", "warmup_trigger"),
        (
            HTTP + '    return\n\n@app.function_name("http")\n@app.route(route="b")\n'
            "def http2(req): pass\n",
            "http",
        ),
    ],
    ids=["import", "decorator", "clash"],
)
def test_what_azure_would_show_as_no_function_is_told_before(
    source: str, said: str, tmp_path: Path
) -> None:
    with WorkerHost(app(tmp_path, source)) as host:
        answer = host.ask(Call())

    assert answer.failure is not None
    assert said in answer.failure


def test_weights_outside_of_the_app_are_read_and_not_written(tmp_path: Path) -> None:
    source = (
        HTTP + "    import os, pathlib\n"
        "    file = pathlib.Path(os.environ['PACKAGER_WEIGHTS'], 'aa')\n"
        "    try:\n        file.write_text('other')\n"
        "    except OSError as error:\n        pass\n"
        "    return func.HttpResponse(file.read_text())\n"
    )
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "aa").write_text("as it was proven")
    (tmp_path / "app").mkdir()
    boot = app(tmp_path / "app", source)
    with WorkerHost(replace(boot, weights=LocalWeights(folder=weights, fetched=False))) as host:
        answer = host.ask(Call())

    assert (answer.status, answer.text) == (200, "as it was proven")


@pytest.mark.parametrize("minor", ["3.13", "3.14"])
def test_bytes_arrive_as_they_were_sent_and_the_log_is_kept(minor: str, tmp_path: Path) -> None:
    if not interpreters.available((minor,)):
        pytest.skip(f"Python {minor} is not on this machine")
    source = HTTP + "    print('seen')\n    return func.HttpResponse(req.get_body())\n"
    body = json.dumps({"a": "\u00e9" * 100_000}).encode()
    with WorkerHost(app(tmp_path, source, minor)) as host:
        answer = host.ask(Call(body=body, content_type="application/json"))
        stats = host.stats()

    assert (answer.status, answer.text.encode()) == (200, body)
    assert stats.cpu_ms > 0
    assert stats.peak_rss_bytes > 10 << 20
    assert "seen" in host.log()


def test_a_worker_that_dies_is_told_by_its_end(tmp_path: Path) -> None:
    with WorkerHost(app(tmp_path, HTTP + "    import os; os._exit(3)\n")) as host:
        answer = host.ask(Call())

    assert answer.status == 502
    assert answer.ending is not None
    assert "exit code 3" in answer.ending.cause
    assert not answer.loading


def test_the_library_is_the_same_below_its_own_pythons() -> None:
    folders = {client(interpreters.find(minor)) for minor in ("3.12", "3.13")}
    assert len(folders) == 1

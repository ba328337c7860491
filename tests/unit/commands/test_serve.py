"""`packager serve`: what ends it, what its model may, and that it never serves yesterday's."""

from __future__ import annotations

import inspect
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from handlers.http.asgi import App
from handlers.http.openapi import operation, read_example
from handlers.manifest import Manifest
from handlers.scoring.predictor import load
from handlers.scoring.scorer import Answer, Scorer
from packager import targets
from packager.commands import artifact, local_boot, serve
from packager.commands.artifact import template_environment
from packager.environments import interpreters, virtual_environments
from packager.errors import ConfigurationError, ModelFormatError, ToolError
from packager.models import registered_model
from packager.system.sandbox import has_own_root
from packager.types import INTERFACE, Frame, Tier
from tests import fake_plan
from tests.unit.deployments import deploying


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], int]:
    """`ended(code)`: what `run` makes of a server that ends so."""

    def run(code: int, port: int = 0) -> int:
        monkeypatch.setattr(registered_model, "serve", lambda _, **more: code)
        return serve.run(serve.Server(tmp_path, Path(sys.executable)), host="127.0.0.1", port=port)

    return run


@pytest.mark.parametrize(("code", "exit_code"), [(0, 0), (-2, 130), (-15, 143)])
def test_a_server_that_was_told_to_end_has_ended_well(
    ended: Callable[..., int], code: int, exit_code: int
) -> None:
    assert ended(code) == exit_code


def test_variables_of_the_command_line_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    def note(_: object, **more: object) -> int:
        seen.update(cast("dict[str, str]", more["env"]))
        return 0

    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    monkeypatch.setattr(registered_model, "serve", note)
    server = serve.Server(
        tmp_path, Path(sys.executable), variables={"LOG_LEVEL": "DEBUG", "THRESHOLD": "a=b"}
    )
    serve.run(server, host="127.0.0.1", port=0)

    assert (seen["LOG_LEVEL"], seen["THRESHOLD"]) == ("DEBUG", "a=b")


@pytest.mark.parametrize("text", ["THRESHOLD", "=1", "9=1", "A B=1", "A=\0"])
def test_what_is_no_variable_is_refused_before_anything_is_asked(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not NAME=VALUE"):
        serve.prepare(
            "models:/churn/1",
            fake_plan.request(),
            lambda: pytest.fail("asked"),
            deployed=False,
            variables=[text],
        )


@pytest.mark.parametrize("code", [1, 3, -9])
def test_a_server_that_ends_by_itself_is_a_tool_that_failed(
    ended: Callable[..., int], code: int
) -> None:
    with pytest.raises(ToolError, match=rf"code {code}\."):
        ended(code)


def test_a_port_that_is_taken_says_so_before_the_model_is_loaded(
    ended: Callable[..., int],
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigurationError, match="Choose another --port"),
    ):
        ended(0, taken.getsockname()[1])


def test_the_same_plan_has_the_same_key() -> None:
    assert serve._key(fake_plan.plan()) == serve._key(fake_plan.plan())


@pytest.mark.parametrize(
    "change",
    [
        {"tier": Tier.SKINNY},
        {"frame": Frame.NUMPY},
        {"model": fake_plan.model(digest="cd" * 32)},
        {"passes": ("prune", "bytecode")},
        {"keep": ("scipy/*",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_the_folder_changes_the_key(change: dict[str, object]) -> None:
    plan = fake_plan.plan()

    assert serve._key(replace(plan, **change)) != serve._key(plan)  # type: ignore[arg-type]


def test_a_handler_that_changed_changes_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scoring.py").write_text("old = 1\n", encoding="utf-8")
    monkeypatch.setattr(serve, "handlers_root", lambda: tmp_path)
    before = serve._key(fake_plan.plan())

    (tmp_path / "scoring.py").write_text("new = 1\n", encoding="utf-8")

    assert serve._key(fake_plan.plan()) != before


SERVED = """
import json, os, socket, sys
def tried(call, *given):
    try:
        return str(call(*given))
    except OSError as error:
        return type(error).__name__
listener = socket.socket(fileno=int(sys.argv[1]))
listener.settimeout(30)
while True:
    found = {
        "variables": sorted(os.environ),
        "secret": tried(open, sys.argv[2]),
        "network": tried(socket.create_connection, ("192.0.2.1", 80), 2),
        "local": tried(socket.create_connection, listener.getsockname(), 2),
        "home": os.listdir(os.environ["HOME"]),
    }
    connection, _ = listener.accept()
    with connection:
        connection.sendall(json.dumps(found).encode())
"""
TOOL = """
import socket, sys
from pathlib import Path
from packager.models import registered_model
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    fd = listener.fileno()
    code = registered_model.serve(
        [sys.executable, "-I", "-S", "-c", sys.argv[1], str(fd), sys.argv[2]],
        readable=(), network=False, env={"LANG": "C.UTF-8"}, pass_fds=(fd,),
    )
sys.exit(-code)
"""


@pytest.mark.few(1)
@pytest.mark.skipif(not has_own_root(), reason="this machine allows no namespaces")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_served_model_has_none_of_the_user_s(tmp_path: Path, number: signal.Signals) -> None:
    secret = tmp_path / "credentials"
    secret.write_text("s")
    root = Path(__file__).parents[3]
    program = TOOL.replace(
        "import socket, sys",
        "import signal, socket, sys\nsignal.signal(15, lambda *_: sys.exit(15))",
    )
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": "s", "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", program, SERVED, str(secret)],
        stdout=subprocess.PIPE, env=environment, text=True,
    ) as tool:  # fmt: skip
        assert tool.stdout is not None
        port = int(tool.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            said = json.loads(connection.makefile().read())
        tool.send_signal(number)
        assert tool.wait(30) in {2, 15}
    assert "AWS_SECRET_ACCESS_KEY" not in said.pop("variables")
    assert said == {
        "secret": "FileNotFoundError",
        "network": "OSError",
        "local": "ConnectionRefusedError",
        "home": [],
    }
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)


@pytest.mark.parametrize("name", ["made/dist", "../work/made/dist", "made/../made/dist", "link"])
def test_an_artifact_is_served_from_its_true_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its modules are known by their full paths: under another name of the folder one is missed."""
    here = tmp_path / "work"
    (here / "made").mkdir(parents=True)
    folder = deploying.artifact(here / "made")
    folder.rename(here / "made" / "dist")
    (here / "link").symlink_to("made/dist")
    monkeypatch.chdir(here)
    server = _prepare(name, [], monkeypatch)

    assert server.function.parent == (here / "made" / "dist").resolve()


_LISTED: list[dict[str, str | int]] = [{"path": "model.bin", "sha256": "0" * 64, "size_bytes": 1}]


def _prepare(
    source: str, weights: list[dict[str, str | int]], monkeypatch: pytest.MonkeyPatch
) -> serve.Server:
    """Prepare to serve an artifact whose manifest lists `weights`."""
    manifest = SimpleNamespace(python="3.13", weights=weights)
    monkeypatch.setattr(serve, "why_not_provable", lambda *_: None)
    monkeypatch.setattr(artifact, "read_manifest", lambda _: manifest)
    monkeypatch.setattr(interpreters, "find", lambda _: None)
    monkeypatch.setattr(virtual_environments, "ensure", lambda *_, **__: Path(sys.executable))
    found = serve.prepare(source, fake_plan.request(), lambda: pytest.fail("asked"), deployed=False)
    assert isinstance(found, serve.Server)
    return found


def test_a_folder_of_weights_is_opened_where_the_function_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = deploying.artifact(tmp_path)
    (built / "weights").mkdir()

    assert _prepare(str(built), _LISTED, monkeypatch).weights == (built / "weights").resolve()
    assert _prepare(str(built), [], monkeypatch).weights is None


def test_a_link_to_a_folder_of_yours_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = deploying.artifact(tmp_path)
    (tmp_path / "credentials").mkdir()
    (built / "weights").symlink_to(tmp_path / "credentials")

    assert _prepare(str(built), [], monkeypatch).weights is None
    with pytest.raises(ModelFormatError, match="a link is none"):
        _prepare(str(built), _LISTED, monkeypatch)
    with pytest.raises(ModelFormatError, match="a link is none"):
        local_boot._find_weights(artifact.read(built), targets.load("aws-lambda"))


def test_a_link_is_no_object_that_the_model_finds_in_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = deploying.artifact(tmp_path)
    secret = tmp_path / "credentials"
    secret.write_text("s")
    example = built / "events" / "direct.json"
    example.unlink(missing_ok=True)
    example.parent.mkdir(exist_ok=True)
    example.symlink_to(secret)
    manifest = SimpleNamespace(python="3.13", weights=[])
    monkeypatch.setattr(artifact, "read_manifest", lambda _: manifest)
    monkeypatch.setattr(interpreters, "find", lambda _: SimpleNamespace(emulated=None))
    monkeypatch.setattr(template_environment, "read_environment", lambda *_: {})

    target = targets.load("aws-lambda")
    with local_boot.prepare_boot(artifact.read(built), target, "3.13") as boot:
        assert (boot.path_first[0] / "recorded_clients.py").is_file()
        assert not (boot.path_first[0] / "object.json").exists()


def test_a_function_that_is_a_link_is_no_artifact(tmp_path: Path) -> None:
    built = deploying.artifact(tmp_path)
    (built / "function").rename(tmp_path / "elsewhere")
    (built / "function").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ModelFormatError, match="is a link"):
        artifact.read(built)


@pytest.mark.parametrize(
    ("interface", "words"),
    [({}, "an older packager"), ({"interface": 1}, "an older"), ({"interface": 99}, "a newer")],
)
def test_an_artifact_of_another_interface_is_refused_in_a_sentence(
    tmp_path: Path, interface: dict[str, int], words: str
) -> None:
    report = {
        "packager": "0.0.9",
        "target": {"name": "aws-lambda", "architecture": "x86_64"},
        "memory_mb": 512,
        **interface,
    }
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")

    with pytest.raises(ModelFormatError, match=rf"{words}.*\(0\.0\.9\).*Build it again.*--as-depl"):
        artifact.check_interface(artifact.read(tmp_path))


def _list_parameters(called: Callable[..., object]) -> Iterable[str]:
    if is_dataclass(called):
        return [each.name for each in fields(called)]
    return inspect.signature(called).parameters


def test_a_change_of_what_serve_calls_in_a_function_raises_the_interface() -> None:
    """Where this fails: raise packager.types.INTERFACE unless what was built before still serves.

    The documentation's server is the packager's own, and all that it imports is the function's.
    """
    called = (App, Answer, Scorer, operation, read_example, load, Manifest.read, App.__call__)
    names = [f"{each.__qualname__}: {' '.join(_list_parameters(each))}" for each in called]

    assert (INTERFACE, names) == (
        2,
        [
            "App: scorer ping",
            "Answer: status content_type body rows headers",
            "Scorer: manifest predictor settings",
            "operation: manifest example",
            "read_example: text",
            "load: manifest folder",
            "Manifest.read: folder",
            "App.__call__: self scope receive send",
        ],
    )

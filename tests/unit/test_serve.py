"""What a staged folder in the cache is known by: `packager serve` never serves yesterday's."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from packager import _process, serve
from packager.errors import ConfigurationError, ToolError
from packager.types import Frame, Tier
from tests import fake_plan


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], int]:
    """`ended(code)`: what `run` makes of a server that ends so."""

    def run(code: int, port: int = 0) -> int:
        monkeypatch.setattr(_process, "foreground", lambda _, env: code)
        return serve.run(serve.Server(tmp_path, Path(sys.executable)), host="127.0.0.1", port=port)

    return run


@pytest.mark.parametrize(("code", "exit_code"), [(0, 0), (-2, 130), (-15, 143)])
def test_a_server_that_was_told_to_end_has_ended_well(
    ended: Callable[..., int], code: int, exit_code: int
) -> None:
    assert ended(code) == exit_code


@pytest.mark.parametrize("code", [1, 3, -9])
def test_a_server_that_ends_by_itself_is_a_tool_that_failed(
    ended: Callable[..., int], code: int
) -> None:
    with pytest.raises(ToolError, match=f"code {code};"):
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

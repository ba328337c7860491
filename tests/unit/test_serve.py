"""What a staged folder in the cache is known by: `packager serve` never serves yesterday's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from packager import serve
from packager.types import Frame, Tier
from tests import fake_plan


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

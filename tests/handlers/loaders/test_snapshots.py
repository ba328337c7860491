"""Copies of one snapshot draw numbers of their own."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from handlers.loaders import _snapshots
from packager.types import Frame, Tier
from tests import models
from tests.handlers.invoking import event, run
from tests.handlers.modelling import laid_out, with_handlers


def test_each_copy_draws_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[Callable[[], None]] = []
    client = SimpleNamespace(register_after_restore=hooks.append)
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", client)
    _snapshots.register()
    (restore,) = hooks

    def copy() -> tuple[float, float]:
        """Start a copy of one and the same state."""
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002 - what a model draws from
        restore()
        return random.random(), np.random.rand()  # noqa: NPY002

    first, second = copy(), copy()
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_what_is_not_imported_is_not_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("random", "numpy.random", "torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    _snapshots.draw_seeds()
    assert not {"random", "numpy.random", "torch"} & set(sys.modules)


@pytest.mark.parametrize(("draws", "hooks"), [(True, ["draw_seeds"]), (False, [])])
def test_a_function_that_starts_from_a_snapshot_answers_and_registers_what_it_needs(
    tmp_path: Path, *, draws: bool, hooks: list[str]
) -> None:
    manifest, _ = laid_out(models.folder("onnx_columns"), tmp_path, Tier.NATIVE, Frame.NUMPY)
    (tmp_path / "model-manifest.json").write_text(replace(manifest, draws=draws).text())
    with_handlers(tmp_path)
    (tmp_path / "snapshot_restore_py.py").write_text(
        'def register_after_restore(hook):\n    print(\'{"hook": "%s"}\' % hook.__name__)\n'
    )
    (work := tmp_path / "work").mkdir()

    found = run(
        tmp_path,
        [event("direct"), event("apigateway_http")],
        work,
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
    )
    assert [each["hook"] for each in found.records if "hook" in each] == hooks
    assert found.results[1]["answer"]["statusCode"] == 200

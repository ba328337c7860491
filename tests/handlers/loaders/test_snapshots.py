"""Copies of one snapshot draw numbers of their own."""

from __future__ import annotations

import gc
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


@pytest.mark.parametrize("name", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
def test_a_generator_that_a_model_holds_draws_other_numbers_where_nobody_gave_it_a_seed(
    name: str, *, frozen: bool
) -> None:
    kind = getattr(np.random, name)
    held = np.random.Generator(kind()), np.random.RandomState(kind())
    seeded = np.random.Generator(kind(7)), np.random.default_rng([1, 2]), np.random.RandomState(7)
    taken = [each.bit_generator.state for each in (*held[:1], *seeded[:2])]
    if frozen:
        gc.freeze()

    def copy() -> tuple[list[float], list[float]]:
        """Start a copy of one and the same state."""
        for each, state in zip((*held[:1], *seeded[:2]), taken, strict=True):
            each.bit_generator.state = state
        seeded[2].seed(7)
        _snapshots.draw_seeds()
        return [float(each.random(1)[0]) for each in held], [
            float(each.random(1)[0]) for each in (*seeded[:2], seeded[2])
        ]

    first, second = copy(), copy()
    gc.unfreeze()
    assert not {*first[0]} & {*second[0]}
    assert first[1] == second[1]


def test_tensorflow_is_given_a_seed_of_each_copy_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    random_module = SimpleNamespace(set_seed=seeds.append)
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(random=random_module))

    _snapshots.draw_seeds()
    _snapshots.draw_seeds()
    assert len(set(seeds)) == 2
    assert all(0 <= each < 2**63 for each in seeds)


def test_what_is_not_imported_is_not_imported_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("random", "numpy.random", "torch", "tensorflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    _snapshots.draw_seeds()
    assert not {"random", "numpy.random", "torch", "tensorflow"} & set(sys.modules)


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

"""Pickled weights that stay as they were logged, and why.

What is replaced: tests/integration/test_flavors_proven.py.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.errors import ToolError
from packager.pipeline.slim import weights
from packager.system import file_tree
from packager.types import Bundle, Interpreter, LoaderSpec
from tests import fake_plan, tiny_elf

PICKLED = "model/net/pytorch_model.bin"
HERE = Interpreter(path=Path(sys.executable), version="3.11.0", found_by="test")


def passed(root: Path, files: dict[str, bytes], **changes: Any) -> Bundle:
    tiny_elf.write(root, files)
    bundle = Bundle(root=root, files=tuple(file_tree.records(root)))
    plan = fake_plan.plan(interpreter=HERE, flavor="transformers", **changes)
    conf = {"pipeline_model_type": "BertModel", "model_binary": "net"}
    plan = replace(
        plan,
        model=replace(plan.model, flavors={"transformers": conf}),
        loader=LoaderSpec(loader="mlflow", options={}, requires=()),
    )
    return weights.PASS.apply(bundle, plan)


def test_without_pickled_weights_nothing_is_loaded(tmp_path: Path) -> None:
    bundle = passed(tmp_path, {"model/net/model.safetensors": b"x"})
    assert bundle.ledger[-1].proof == "no pickled weights"


@pytest.mark.parametrize("rule", [PICKLED, "**/*.bin", "model"])
def test_what_is_to_be_kept_is_kept(tmp_path: Path, rule: str) -> None:
    bundle = passed(tmp_path, {PICKLED: b"x"}, keep=(rule,))
    assert bundle.ledger[-1].proof.endswith(f"{PICKLED} is to be kept")
    assert (tmp_path / PICKLED).read_bytes() == b"x"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_weights_that_no_library_reads_stay_as_they_were(tmp_path: Path, name: str) -> None:
    at = f"model/net/{name}"
    broken = b"raise ImportError('no such library')"
    bundle = passed(tmp_path, {at: b"x", "safetensors/__init__.py": broken})
    assert bundle.ledger[-1].proof == "left as they were: ImportError: no such library"
    assert [file.path.as_posix() for file in bundle.files if "net" in file.path.parts] == [at]
    assert not bundle.removed


def test_a_worker_that_is_killed_ends_the_build_with_the_weights_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "file = folder / 'pytorch_model.bin'\n"
        "file.rename(f'{file}.aside')\n"
        "(folder / 'model.safetensors').write_bytes(b'half')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setattr(weights, "_WORKER", worker)
    root = tmp_path / "function"
    with pytest.raises(ToolError, match=r"signal 9[^\n]*memory"):
        passed(root, {PICKLED: b"x"})
    assert [path.name for path in (root / "model" / "net").iterdir()] == ["pytorch_model.bin"]
    assert (root / PICKLED).read_bytes() == b"x"

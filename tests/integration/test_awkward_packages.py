"""Packages that do what slimming could break: each still answers, or the build says why not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from packager.environments.interpreters import find
from packager.errors import VerificationError
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build
from packager.targets.lambda_emulator import Emulator
from packager.types import BuildReport, make_request
from tests import models, tiny_elf, wheels

pytestmark = pytest.mark.slow

PINNED = ("mlflow-skinny==3.17.2", "cloudpickle==3.1.2", "numpy==2.4.6", "pandas==3.1.1")

READS_ITS_SOURCE = """\
import inspect
import sys
from importlib import resources
from pathlib import Path


def table():
    # 24 letters: this comment
    return inspect.getsource(sys.modules[__name__].table).count("letters")


LETTERS = table()
LINES = len(Path(__file__).read_text(encoding="utf-8").splitlines())
WORDS = len(resources.files(__package__).joinpath("words.txt").read_text("utf-8").split())
"""
CHECKS_ITSELF = """\
from importlib.metadata import distribution, entry_points, requires, version


def plugin():
    return 40


assert version("checks_itself") == "1.0", "installed wrongly"
assert distribution("checks_itself").read_text("top_level.txt") is None
(found,) = entry_points(group="checks_itself.plugins")
NUMBER = found.load()() + len(requires("checks_itself") or ())
"""
HAS_SIDE_EFFECTS = """\
import codecs

# nobody ever asks this module for anything: that it was imported is all
codecs.register_error("stars", lambda error: ("*" * (error.end - error.start), error.end))
"""
STARTS_THREADS = """\
import queue
import threading

ANSWERS = queue.Queue()


def work():
    import decimal

    ANSWERS.put(int(decimal.Decimal(6) * 7))


threading.Thread(target=work, name="starts_threads", daemon=True).start()
"""
COUNTS_ITS_SOURCES = """\
from pathlib import Path

if not any(Path(__file__).parent.glob("native.[c]")):
    raise RuntimeError("installed wrongly")
VALUE = 7
"""
PICKY_MODEL = """\
import mlflow
import pandas as pd
import counts_its_sources
from mlflow.models import set_model


class Picky(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return model_input * counts_its_sources.VALUE


set_model(Picky())
"""
NAMED_IN_PTH = "vendored_modules\nimport os; os.environ['VENDORED_STARTED'] = '5'\n"

WHEELS: Mapping[str, Mapping[str, str]] = {
    "reads_its_source": {
        "reads_its_source/__init__.py": READS_ITS_SOURCE,
        "reads_its_source/words.txt": "one two three",
    },
    "checks_itself": {
        "checks_itself/__init__.py": CHECKS_ITSELF,
        "checks_itself-1.0.dist-info/entry_points.txt": "[checks_itself.plugins]\n"
        "a = checks_itself:plugin\n",
    },
    "has_side_effects": {"has_side_effects.py": HAS_SIDE_EFFECTS},
    "starts_threads": {"starts_threads/__init__.py": STARTS_THREADS},
    "shared_one": {"shared/one/__init__.py": "VALUE = 1\n"},
    "shared_two": {"shared/two.py": "from shared.one import VALUE\n\nVALUE += 1\n"},
    "has_a_pth": {
        "has_a_pth.pth": NAMED_IN_PTH,
        "vendored_modules/vendored_inner.py": "import os\n\n"
        "VALUE = int(os.environ['VENDORED_STARTED'])\n",
    },
}
MODEL = """\
import has_side_effects
import mlflow
import pandas as pd
import vendored_inner
from checks_itself import NUMBER
from mlflow.models import set_model
from reads_its_source import LETTERS, LINES, WORDS
from shared import two
from shared.one import VALUE
from starts_threads import ANSWERS

ANSWER = ANSWERS.get(timeout=30)


class Awkward(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        answers = {
            "reads_its_source": LETTERS * 100 + LINES * 10 + WORDS,
            "checks_itself": NUMBER,
            "has_side_effects": len("aöü".encode("ascii", "stars")) - 3 + "ö".encode("ascii", "stars").count(b"*"),
            "starts_threads": ANSWER,
            "shared": VALUE * 10 + two.VALUE,
            "has_a_pth": vendored_inner.VALUE,
        }
        return pd.DataFrame([answers] * len(model_input))


set_model(Awkward())
"""  # noqa: E501 - the model's own source
EXPECTED = {
    "reads_its_source": 200 + 10 * len(READS_ITS_SOURCE.splitlines()) + 3,
    "checks_itself": 41,
    "has_side_effects": 1,
    "starts_threads": 42,
    "shared": 12,
    "has_a_pth": 5,
}


def logged(folder: Path, made: Mapping[str, Mapping[str, str | bytes]], source: str) -> Path:
    """A model from code whose requirements are these wheels, which lie in its code folder."""
    model = shutil.copytree(models.folder("pyfunc_code"), folder / "model")
    (model / "double.py").write_text(source, encoding="utf-8")
    lines = list(PINNED)
    for name, files in made.items():
        needs = "Requires-Dist: numpy\n" if name == "checks_itself" else ""
        wheel = wheels.make(model / "code", name, files, metadata=needs)
        lines.append(wheel.relative_to(model).as_posix())
    (model / "requirements.txt").write_text("\n".join(lines), encoding="utf-8")
    return model


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    folder = tmp_path_factory.mktemp("awkward")
    model = logged(folder, WHEELS, MODEL)
    request = make_request(model_uri=str(model), out_dir=folder / "dist", rows=200)
    return build(request, MlflowRegistry(None, None))


@pytest.fixture(scope="module")
def answers(built: BuildReport) -> dict[str, int]:
    """What the artifact answers for one row, by package."""
    function = built.artifact.folder
    body = (function / "model" / "serving_input_example.json").read_bytes()
    with Emulator(function, interpreter=find(built.plan.runtime.python_minor)) as running:
        return dict(json.loads(running.invoke(body).body)["predictions"][0])


@pytest.mark.parametrize("package", EXPECTED)
def test_it_answers_as_it_did(package: str, answers: dict[str, int]) -> None:
    assert answers[package] == EXPECTED[package]


def test_it_was_proven_and_slimmed(built: BuildReport) -> None:
    assert built.evidence.proven
    assert built.evidence.replay.mismatches == 0
    assert {entry.name for entry in built.bundle.ledger} >= {"libraries", "prune", "compact"}


@pytest.mark.skipif(
    "PACKAGER_EVIDENCE" not in os.environ,
    reason="minutes of builds, PACKAGER_EVIDENCE=1; see tests/unit/pipeline/test_blame.py",
)
def test_what_a_pass_breaks_is_found_and_spared(tmp_path: Path) -> None:
    picky = {
        "counts_its_sources": {
            "counts_its_sources/__init__.py": COUNTS_ITS_SOURCES,
            "counts_its_sources/native.c": "int answer(void) { return 42; }\n",
        },
        "other": {"other/__init__.py": "VALUE = 1\n"},
    }
    model = logged(tmp_path, picky, PICKY_MODEL)
    request = make_request(
        model_uri=str(model), out_dir=tmp_path / "dist", rows=20, passes=("libraries", "prune")
    )

    report = build(request, MlflowRegistry(None, None))

    assert report.evidence.proven
    pruned = next(entry for entry in report.bundle.ledger if entry.name == "prune")
    assert "counts_its_sources" in pruned.reverted[-1]
    assert pruned.bytes_before - pruned.bytes_after > 10_000_000


DAMAGED = {
    "its_start": b"\x7fELF",
    "zeros": b"\x7fELF\x02\x01\x01" + bytes(200),
    "cut_short": tiny_elf.library(needed=("libm.so.6",))[:150],
    "last_byte": tiny_elf.library(needed=("libm.so.6",))[:-1],
}


def test_a_damaged_library_is_named(tmp_path: Path) -> None:
    files = {f"damaged/{name}.so": content for name, content in DAMAGED.items()}
    damaged: dict[str, dict[str, str | bytes]] = {
        "damaged": {"damaged/__init__.py": "VALUE = 2\n", **files}
    }
    model = logged(tmp_path, damaged, PICKY_MODEL.replace("counts_its_sources", "damaged"))
    request = make_request(
        model_uri=str(model), out_dir=tmp_path / "dist", passes=("libraries", "prune")
    )
    with pytest.raises(VerificationError) as refused:
        build(request, MlflowRegistry(None, None))
    for name in DAMAGED:
        assert f"damaged/{name}.so is damaged" in str(refused.value)
    assert not (tmp_path / "dist").exists()

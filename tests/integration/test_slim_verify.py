"""Real trees, installed, slimmed, booted and compared: the middle of the pipeline on its own."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.importer import bytecode_importer
from handlers.importer.compressed_store import CompressedStore
from packager.errors import UnprovenError, VerificationError
from packager.pipeline.slim import PASSES, prune, slim
from packager.pipeline.slim.prune import Rule
from packager.pipeline.verify import verify
from packager.system import file_tree
from packager.system.resources import handlers_root
from packager.targets import processor_emulation
from packager.targets.lambda_emulator import run_script
from packager.types import BuildPlan, Bundle, Frame, change_request
from tests import hand_plan

pytestmark = pytest.mark.slow

MISSES = Path(__file__).parent / "misses.py"
IMPORTS = Path(__file__).parent / "import_every.py"


@pytest.fixture(scope="module")
def sklearn(tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildPlan, Bundle]:
    plan = hand_plan.plan("sklearn_skops")
    return plan, slim(plan, tmp_path_factory.mktemp("a path with spaces"))


def copied(bundle: Bundle, folder: Path) -> Bundle:
    """The same tree elsewhere, to be spoiled; hard links would spoil both."""
    shutil.copytree(bundle.root, folder / "function")
    return replace(bundle, root=folder / "function")


def test_a_pipeline_in_skops_format_is_proven(
    sklearn: tuple[BuildPlan, Bundle], tmp_path: Path
) -> None:
    plan, bundle = sklearn
    evidence = verify(bundle, plan, tmp_path).evidence
    assert evidence.proven
    assert evidence.replay.rows_compared >= 1000
    assert evidence.replay.mismatches == 0
    assert evidence.replay.refusals_agreed > 10
    assert evidence.replay.cold_start is not None
    assert evidence.declared_start_cpu_ms is not None
    # ours carries no mlflow: a fair part of what the declared environment takes
    assert evidence.replay.cold_start.init_cpu_ms < 0.6 * evidence.declared_start_cpu_ms
    assert evidence.declared_bytes is not None
    assert bundle.size_bytes < 0.5 * evidence.declared_bytes


def test_slimming_is_accounted_for(sklearn: tuple[BuildPlan, Bundle]) -> None:
    _, bundle = sklearn
    assert [entry.name for entry in bundle.ledger] == [each for each in PASSES if each != "weights"]
    pruned = bundle.ledger[1]
    rules = {rule.name for rule in prune.rules()}
    removed = sum(each.size_bytes for each in bundle.removed if each.rule in rules)
    assert removed > 25_000_000
    # beside what is removed, lists of installed files lose their digests
    assert 0 <= pruned.bytes_before - pruned.bytes_after - removed < 1_000_000
    saved = {entry.name: entry.bytes_before - entry.bytes_after for entry in bundle.ledger}
    assert saved["cold"] > 40_000_000
    assert bundle.ledger[-1].bytes_after == bundle.size_bytes


def test_the_trace_has_what_serving_needs_and_not_all_there_is(
    sklearn: tuple[BuildPlan, Bundle],
) -> None:
    _, bundle = sklearn
    trace = bundle.trace
    assert trace is not None, bundle.untraced
    assert {"numpy", "sklearn", "skops.io", "handlers.aws_lambda"} <= set(trace.init)
    assert "mangum.handlers" in trace.answering
    assert "handlers.scoring.delimited" in trace.modules
    opened = {str(path) for path in trace.opened}
    assert "model-manifest.json" in opened
    assert any(path.startswith("numpy.libs/libscipy_openblas") for path in opened)
    assert not any(path.startswith("scipy/signal/") for path in opened)


def test_what_was_opened_stays_and_what_was_not_comes_back(
    sklearn: tuple[BuildPlan, Bundle],
) -> None:
    plan, bundle = sklearn
    assert bundle.trace is not None, bundle.untraced
    stored = CompressedStore(str(bundle.root), str(bundle.root / "handlers" / "store.cold")).files
    moved = {path for path in bundle.trace.opened if path.suffix == ".pyc"}
    assert {str(path) for path in set(bundle.trace.opened) - moved}.isdisjoint(stored)
    assert {str(file.path) for file in bundle.files}.isdisjoint(stored)
    assert "scipy/signal/__init__.py" in stored
    assert any(path.startswith("scipy/signal/_sigtools.") for path in stored)
    done = run_script(bundle.root, MISSES, [], interpreter=plan.interpreter, timeout_seconds=300)
    assert done.returncode == 0, done.stderr
    first, second, third = (
        json.loads(line)["ColdStoreMisses"][0]
        for line in done.stdout.splitlines()
        if "ColdStoreMisses" in line
    )
    assert (first, third) == (0, 0)
    assert second > 10
    assert "compressed store: scipy/signal/__init__.py" in done.stdout
    assert "compressed store: scipy/signal/_sigtools." in done.stdout
    assert done.stdout.splitlines()[-1] == "[1.0, 2.0, 3.0] scipy/signal/_sigtools True"


def test_what_serving_never_uses_is_not_imported(sklearn: tuple[BuildPlan, Bundle]) -> None:
    _, bundle = sklearn
    assert bundle.trace is not None, bundle.untraced
    entry = next(entry for entry in bundle.ledger if entry.name == "defer")
    unused = {"scipy.stats", "scipy.optimize._linprog", "sklearn.cluster"}
    assert unused & bundle.trace.modules == set(), entry.proof
    assert "modules are loaded when first used" in entry.proof
    assert entry.cpu_ms_saved is not None
    assert entry.cpu_ms_saved > 0


def test_what_was_deferred_is_there_when_it_is_asked_for(
    sklearn: tuple[BuildPlan, Bundle], tmp_path: Path
) -> None:
    plan, bundle = sklearn
    script = tmp_path / "ask.py"
    script.write_text(
        "import sys\n"
        "import handlers.aws_lambda, scipy, sklearn.preprocessing\n"
        "assert 'scipy.stats' not in sys.modules\n"
        "quantiles = sklearn.preprocessing.QuantileTransformer(n_quantiles=5)\n"
        "print(quantiles.fit_transform([[1.0], [2.0], [3.0], [4.0], [5.0]])[2])\n"
        "print(scipy.stats.norm.ppf(0.5), isinstance(quantiles, sklearn.base.BaseEstimator))\n"
    )
    done = run_script(bundle.root, script, [], interpreter=plan.interpreter, timeout_seconds=60)
    said = [line for line in done.stdout.splitlines() if "compressed store" not in line.lower()]
    assert said[-2:] == ["[0.5]", "0.0 True"], done.stderr


def test_no_path_of_the_build_is_in_the_tree(sklearn: tuple[BuildPlan, Bundle]) -> None:
    _, bundle = sklearn
    here = str(bundle.root).encode()
    texts = [file.path for file in bundle.files if file.path.suffix in {".py", ".pyc", ".json", ""}]
    assert [path for path in texts if here in (bundle.root / path).read_bytes()] == []


def test_another_answer_is_caught_and_located(
    sklearn: tuple[BuildPlan, Bundle], tmp_path: Path
) -> None:
    plan, bundle = sklearn
    spoiled = copied(bundle, tmp_path)
    loader = spoiled.root / "handlers" / "loaders" / "sklearn.py"
    source = (handlers_root() / "loaders" / "sklearn.py").read_text(encoding="utf-8")
    loader.parent.mkdir(exist_ok=True)
    loader.write_text(
        source.replace("return self._predict(", "return 0 * self._predict("), encoding="utf-8"
    )
    # bytecode and archive are taken without a look at the source
    path = spoiled.root / "handlers" / "store.index"
    index = json.loads(path.read_text(encoding="utf-8"))
    index["modules"]["handlers/loaders/sklearn"] = [
        bytecode_importer.FILE,
        "handlers/loaders/sklearn.py",
    ]
    path.write_text(json.dumps(index), encoding="utf-8")
    spoiled = replace(spoiled, files=tuple(file_tree.records(spoiled.root)))
    with pytest.raises(VerificationError, match=r"predictions, row \d+: expected [12], got 0") as e:
        verify(spoiled, plan, tmp_path)
    assert {finding.check for finding in e.value.findings} == {"replay"}


def test_what_a_rule_wrongly_takes_out_is_asked_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipeline's loop, by hand: the finding's `missing`, as a keep-rule, repairs the build."""
    greedy = Rule(name="greedy", reason="a mistake", patterns=("sklearn/pipeline.py",))
    whole = prune.rules()
    monkeypatch.setattr(prune, "rules", lambda: (*whole, greedy))
    plan = hand_plan.plan("sklearn_skops", passes=("prune",))
    with pytest.raises(VerificationError) as caught:
        verify(slim(plan, tmp_path / "first"), plan, tmp_path)
    rules = {finding.missing for finding in caught.value.findings} - {None}
    assert rules == {"sklearn/pipeline.py"}
    again = replace(plan, keep=tuple(sorted(str(rule) for rule in rules)))
    assert verify(slim(again, tmp_path / "second"), again, tmp_path).evidence.proven


def test_a_library_that_lambda_lacks_is_supplied(tmp_path: Path) -> None:
    plan = hand_plan.plan("lightgbm_booster", flavor="lightgbm")
    bundle = slim(replace(plan, passes=("libraries",)), tmp_path / "with")
    assert (bundle.root / "lib" / "libgomp.so.1").is_file()
    assert "libgomp.so.1 from scikit-learn" in bundle.ledger[0].proof
    without = replace(plan, passes=("prune",))
    with pytest.raises(VerificationError, match=r"libgomp\.so\.1 is neither in the tree nor in"):
        verify(slim(without, tmp_path / "without"), without, tmp_path)


def test_arm64_without_qemu_passes_everything_but_the_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_emulation, "find_qemu", lambda: None)
    plan = hand_plan.plan("onnx_tensor", flavor="onnx", architecture="arm64", allow_unproven=True)
    bundle = slim(plan, tmp_path / "arm")
    evidence = verify(bundle, plan, tmp_path).evidence
    assert not evidence.proven
    assert "cannot boot it" in evidence.why_unproven
    assert "for arm64" in evidence.checks["linkage"]
    strict = replace(plan, request=change_request(plan.request, allow_unproven=False))
    with pytest.raises(UnprovenError, match="The function is for arm64"):
        verify(bundle, strict, tmp_path)


def test_wheels_of_the_other_architecture_are_all_named(tmp_path: Path) -> None:
    plan = hand_plan.plan("onnx_tensor", flavor="onnx", architecture="arm64")
    bundle = slim(plan, tmp_path / "arm")
    wrong = replace(plan, request=change_request(plan.request, architecture="x86_64"))
    with pytest.raises(VerificationError, match="built for arm64, not for x86_64"):
        verify(bundle, wrong, tmp_path)


def test_without_signature_and_example_it_boots_and_says_so(tmp_path: Path) -> None:
    plan = hand_plan.plan("sklearn_bare", frame=Frame.PANDAS, allow_unproven=True)
    evidence = verify(slim(plan, tmp_path / "bare"), plan, tmp_path).evidence
    assert not evidence.proven
    assert "neither a signature nor a saved example" in evidence.why_unproven
    assert evidence.replay.cold_start is not None
    assert evidence.replay.cold_start.peak_rss_bytes > 10_000_000


@pytest.mark.skipif(
    "PACKAGER_EVIDENCE" not in os.environ,
    reason="twenty minutes of imports, run with PACKAGER_EVIDENCE=1",
)
def test_every_module_imports_where_it_did_before(
    sklearn: tuple[BuildPlan, Bundle], tmp_path: Path
) -> None:
    """Each in a process that has imported nothing of the package, most out of the store."""
    plan, bundle = sklearn
    asked = ("scipy", "sklearn", "joblib")
    whole = slim(replace(plan, passes=("libraries",)), tmp_path)
    before, after = (
        json.loads(
            run_script(
                root, IMPORTS, asked, interpreter=plan.interpreter, timeout_seconds=1200
            ).stdout.splitlines()[-1]
        )
        for root in (whole.root, bundle.root)
    )
    assert len(before) > 800
    assert {name: said for name, said in after.items() if said != before.get(name)} == {}
    assert before.keys() == after.keys()

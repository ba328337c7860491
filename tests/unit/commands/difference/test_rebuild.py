"""`packager verify --rebuild`: what is asked of the build, and what of its bytes is compared."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from packager import targets
from packager.cli import app
from packager.commands.artifact.description import read_artifact
from packager.commands.artifact.zip_members import find_member
from packager.commands.difference import rebuild
from packager.commands.difference.rebuild import compare_rebuilt, make_request
from packager.errors import (
    ModelNotFoundError,
    PackagerError,
    RebuildError,
    RegistryUnavailableError,
    StorageError,
)
from packager.models.registry import ModelRegistry
from packager.pipeline.emit import emit, record_choice
from packager.pipeline.package import package
from packager.system.file_tree import digest, records, sha256, walk
from packager.targets.images.base_images import PinnedImage, explain_unpinned
from packager.types import (
    Audit,
    BuildPlan,
    BuildReport,
    BuildRequest,
    ColdStart,
    ImportedModule,
    LedgerEntry,
    ModelOptions,
    RebuildInputs,
    ResolvedModel,
    VerifiedBundle,
)
from tests import fake_plan
from tests.fake_plan import DIGEST
from tests.unit.pipeline.emit.test_choice import make_choice

RUN = CliRunner()
_LATER = ColdStart(
    init_wall_ms=931.0,
    init_cpu_ms=401.0,
    first_invoke_ms=44.0,
    warm_invoke_ms=2.5,
    peak_rss_bytes=1900 << 20,
    modules=321,
)


def _make_plan(name: str, **options: Any) -> BuildPlan:
    target = targets.load(name)
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    request = fake_plan.request(target=name, **options)
    return fake_plan.plan(request=request, target=target, runtime=runtime)


def _prove(tree: Path, start: ColdStart | None, saved: float) -> VerifiedBundle:
    """A bundle with a pass whose saving is measured."""
    imports = {"after": (ImportedModule("numpy", 0, saved),)}
    evidence = replace(fake_plan.evidence(cold_start=start), imports=imports)
    made = fake_plan.verified(tree, evidence)
    entry = LedgerEntry(
        name="defer",
        bytes_before=1000,
        bytes_after=1000,
        files_before=8,
        files_after=8,
        reason="imports that serving never uses",
        proof=f"7 modules are loaded when first used, {saved:.0f} ms of CPU here (a {saved:.0f})",
        cpu_ms_saved=saved,
    )
    return replace(made, bundle=replace(made.bundle, ledger=(*made.bundle.ledger, entry)))


@dataclass
class Builder:
    """Stands for `build`: it has the plan of then, and measures what it measures now."""

    plan: BuildPlan
    tree: Path
    files: Mapping[str, bytes] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    saved: float = 577.0
    proof: str = "replay"
    requests: list[BuildRequest] = field(default_factory=list)
    fails: Exception | None = None
    pinned: PinnedImage | None = None
    answer_audit: Callable[[Mapping[str, str]], Audit] | None = None

    def __call__(
        self,
        request: BuildRequest,
        registry: object,
        *,
        take_model: Callable[[ResolvedModel], ResolvedModel] = lambda each: each,
        take_proof: Callable[[VerifiedBundle], VerifiedBundle] = lambda each: each,
        pin_base: Callable[[str], PinnedImage] = lambda _: PinnedImage(),
        answer_audit: Callable[[Mapping[str, str]], Audit] | None = None,
    ) -> BuildReport:
        self.requests.append(request)
        assert answer_audit is not None
        self.answer_audit = answer_audit
        self.pinned = pin_base(self.plan.base_image)
        if self.fails:
            raise self.fails
        model = take_model(replace(self.plan.model, **self.model))
        tree = fake_plan.tree(self.tree, self.plan, dict(self.files))
        made = _prove(tree, _LATER, self.saved)
        first, *others = made.bundle.ledger
        ledger = (replace(first, proof=self.proof), *others)
        verified = take_proof(replace(made, bundle=replace(made.bundle, ledger=ledger)))
        out = request.output.folder
        out.mkdir()
        plan = replace(self.plan, model=model, base_digest=self.pinned.digest)
        return emit(package(verified, plan, out), verified, plan, out)


_OF_EACH_KIND = pytest.mark.parametrize(
    "target", ["aws-lambda", "aws-lambda-image", "azure-functions"], indirect=True
)


@pytest.fixture
def target(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "aws-lambda"))


@pytest.fixture
def artifact(target: str, tmp_path: Path) -> Path:
    plan = _make_plan(target, seed=3)
    verified = _prove(
        fake_plan.tree(tmp_path / "tree", plan), fake_plan.EVIDENCE.replay.cold_start, 568.0
    )
    (out := tmp_path / "artifact").mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    return out


@pytest.fixture
def builder(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    made = Builder(_make_plan(target, seed=3), tmp_path / "later")
    monkeypatch.setattr(rebuild, "build", made)
    return made


class NoRegistry(ModelRegistry):
    def fetch(self, model_uri: str, into: Path) -> Any:
        raise AssertionError("the stand-in builds without it")


def _compare(artifact: Path) -> list[str]:
    before = digest(records(artifact))
    try:
        return compare_rebuilt(artifact, NoRegistry(), RebuildInputs())["problems"]
    finally:
        assert digest(records(artifact)) == before


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.few(1)
@_OF_EACH_KIND
def test_a_build_that_measures_otherwise_is_the_same(artifact: Path, builder: Builder) -> None:
    assert _compare(artifact) == []
    (request,) = builder.requests
    assert request.model.uri == "models:/churn/7"
    assert request.proof.seed == 3
    assert request.versions == ("numpy==2.5.5",)
    assert not request.output.reuse
    assert not request.output.folder.exists()


def test_what_was_found_in_an_earlier_build_is_the_same(artifact: Path, builder: Builder) -> None:
    """The first build of a machine keeps what the next one finds."""
    builder.proof = "replay (in an earlier build of the same files)"

    assert _compare(artifact) == []
    builder.proof = "replay (in an earlier year)"
    assert _compare(artifact) != []


def test_an_audit_is_answered_by_the_record(artifact: Path, builder: Builder) -> None:
    assert _compare(artifact) == []
    assert builder.answer_audit is not None
    assert builder.answer_audit({}).asked

    _edit(artifact / "evidence.json", lambda told: told.pop("supply_chain"))
    with pytest.raises(RebuildError, match="records no audit"):
        rebuild._recall_audit(read_artifact(artifact), {})


def test_another_program_of_the_same_version_is_no_tampering(
    artifact: Path, builder: Builder
) -> None:
    _edit(artifact / "report.json", lambda told: told.update(program="0" * 64))

    with pytest.raises(RebuildError, match="another program that calls itself packager"):
        _compare(artifact)
    assert not builder.requests
    assert RebuildError.exit_code == 15


def test_an_artifact_of_before_names_no_program(artifact: Path, builder: Builder) -> None:
    _edit(artifact / "report.json", lambda told: told.pop("program"))

    assert [each.split(" differs")[0] for each in _compare(artifact)] == ["report.json"]
    assert builder.requests


def test_an_alias_that_was_moved_since_changes_nothing(artifact: Path, builder: Builder) -> None:
    builder.model = {"uri": "models:/churn/7", "aliases": ("old",)}

    assert _compare(artifact) == []


@_OF_EACH_KIND
def test_what_was_weighed_is_taken_from_the_record(
    target: str, tmp_path: Path, builder: Builder
) -> None:
    plan = _make_plan(target, seed=3)
    verified = _prove(
        fake_plan.tree(tmp_path / "tree", plan), fake_plan.EVIDENCE.replay.cold_start, 568.0
    )
    (out := tmp_path / "weighed").mkdir()
    record_choice(emit(package(verified, plan, out), verified, plan, out), make_choice())

    assert _compare(out) == []
    (out / "README.md").write_text((out / "README.md").read_text() + "| another way | 0.1 s |\n")
    assert "README.md" in _compare(out)[0]


@pytest.mark.few(1)
def test_other_code_is_named_by_its_file(artifact: Path, builder: Builder) -> None:
    builder.files = {"handlers/__init__.py": b"import os\n"}

    problems = _compare(artifact)

    assert "handlers/__init__.py" in problems[0]
    assert problems[0].startswith("function")
    assert any(each.startswith("report.json differs") for each in problems)


@pytest.mark.few(1)
@_OF_EACH_KIND
def test_a_file_that_only_one_has_is_named(artifact: Path, builder: Builder) -> None:
    builder.files = {"handlers/aaa.py": b""}

    assert "handlers/aaa.py is in" in _compare(artifact)[0]


def test_a_document_that_differs_is_named_with_its_line(artifact: Path, builder: Builder) -> None:
    builder.plan = replace(builder.plan, reasons=("Python 3.13: another reason",))

    problems = _compare(artifact)

    assert [each.split(" differs")[0] for each in problems] == ["report.html", "report.json"]
    assert "another reason" in problems[-1]


def test_of_a_report_whose_digests_alone_differ_this_is_said(
    artifact: Path, builder: Builder
) -> None:
    _edit(artifact / "report.json", lambda told: told["emitted"].update({"README.md": DIGEST}))

    *_, last = _compare(artifact)

    assert last == "report.json differs: in nothing but the digests of other files."


def test_your_own_settings_are_no_difference(artifact: Path, builder: Builder) -> None:
    (artifact / "samconfig.toml").write_text("# mine\n")

    assert _compare(artifact) == []


def test_a_measured_figure_is_taken_from_the_record_alone(artifact: Path, builder: Builder) -> None:
    """A pass of other words is another pass: its sentence is not taken."""
    proofs = []
    original = rebuild.restore_measurements

    def note(one: Any, verified: VerifiedBundle) -> VerifiedBundle:
        entry = replace(verified.bundle.ledger[-1], proof="9 modules are loaded, 3 ms of CPU here")
        verified = replace(
            verified,
            bundle=replace(verified.bundle, ledger=(*verified.bundle.ledger[:-1], entry)),
        )
        proofs.append(original(one, verified).bundle.ledger[-1])
        return original(one, verified)

    rebuild_module = pytest.MonkeyPatch()
    rebuild_module.setattr(rebuild, "restore_measurements", note)
    try:
        problems = _compare(artifact)
    finally:
        rebuild_module.undo()

    assert proofs[0].cpu_ms_saved == 568.0
    assert proofs[0].proof.startswith("9 modules")
    assert any(each.startswith("evidence.json differs") for each in problems)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"digest": "cd" * 32}, "its files were changed"),
        ({"name": "other"}, "is called 'other'"),
    ],
)
def test_another_model_is_refused_before_it_is_built(
    artifact: Path, builder: Builder, model: dict[str, Any], words: str
) -> None:
    builder.model = model

    with pytest.raises(RebuildError, match=words):
        _compare(artifact)
    assert not builder.tree.exists()


@pytest.mark.parametrize(
    "error",
    [
        ModelNotFoundError("There is no version 7 of churn."),
        RegistryUnavailableError("The registry did not answer."),
    ],
)
def test_a_registry_or_version_that_is_gone_is_told_as_such(
    artifact: Path, builder: Builder, error: PackagerError
) -> None:
    builder.fails = error

    with pytest.raises(RebuildError, match=f"exit code {error.exit_code}: {error}") as raised:
        _compare(artifact)
    assert "nothing is known of its bytes" in str(raised.value)
    assert raised.value.exit_code == 15


def test_a_full_disk_is_no_verdict(artifact: Path, builder: Builder) -> None:
    builder.fails = StorageError("The disk is full.")

    with pytest.raises(StorageError):
        _compare(artifact)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told.update(packager="0.0.1"), "packager 0.0.1 built it, and this is"),
        (lambda told: told.pop("packager"), "packager None built it"),
        (lambda told: told.pop("options"), "does not record the options"),
        (lambda told: told.update(options=3), "no table"),
        (lambda told: told["options"].update(allow_network=True), "--allow-network"),
        (lambda told: told["options"].update(steam=True), "'steam', which is not known"),
        (lambda told: told["model"].update(uri="s3://hers/model", version=None), "--model"),
        (lambda told: told["model"].update(uri="a local folder named x"), "folder named x"),
        (lambda told: told.pop("model"), "'model'"),
    ],
)
def test_a_record_that_leads_to_no_build_is_refused(
    artifact: Path, builder: Builder, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    _edit(artifact / "report.json", change)

    with pytest.raises(RebuildError, match=words):
        _compare(artifact)
    assert builder.requests == []


def test_a_lock_that_is_damaged_is_told(artifact: Path, builder: Builder) -> None:
    (artifact / "pylock.toml").write_text("[[")

    with pytest.raises(RebuildError):
        _compare(artifact)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("numpy @ http://elsewhere/numpy-1.0-py3-none-any.whl#", "1.0"),
        ("--index-url http://elsewhere/simple\nnumpy", "1.0"),
        ("numpy", "1.0\n--index-url http://elsewhere/simple"),
        ("numpy", "1.0 @ http://elsewhere/x"),
        ("", "1.0"),
    ],
)
def test_a_lock_names_versions_and_nothing_else(
    artifact: Path, builder: Builder, name: str, version: str
) -> None:
    lock = artifact / "pylock.toml"
    lock.write_text(
        f"{lock.read_text()}\n[[packages]]\nname = {json.dumps(name)}\n"
        f"version = {json.dumps(version)}\n"
    )

    with pytest.raises(RebuildError, match=r"name of none|Invalid version"):
        _compare(artifact)
    assert builder.requests == []


@pytest.mark.parametrize("target", ["aws-lambda-image"], indirect=True)
def test_a_base_has_the_digest_of_then(artifact: Path, builder: Builder, tmp_path: Path) -> None:
    then = f"sha256:{DIGEST}"
    plan = replace(builder.plan, base_digest=then)
    verified = _prove(
        fake_plan.tree(tmp_path / "pinned", plan), fake_plan.EVIDENCE.replay.cold_start, 568.0
    )
    (out := tmp_path / "pinned-artifact").mkdir()
    emit(package(verified, plan, out), verified, plan, out)

    assert _compare(out) == []
    assert builder.pinned == PinnedImage(digest=then)


@pytest.mark.parametrize("target", ["aws-lambda-image"], indirect=True)
def test_a_base_without_a_digest_is_asked_of_nobody(artifact: Path, builder: Builder) -> None:
    why = f"{explain_unpinned(builder.plan.base_image)}: its registry did not answer."

    assert _compare(artifact) == []
    assert builder.pinned == PinnedImage()

    _edit(artifact / "report.json", lambda told: told["plan"].update(reasons=["other", why]))
    _compare(artifact)
    assert builder.pinned == PinnedImage(why_not=why)


@pytest.mark.parametrize("target", ["aws-lambda-image"], indirect=True)
def test_a_report_without_reasons_is_refused(artifact: Path, builder: Builder) -> None:
    _edit(artifact / "report.json", lambda told: told.update(plan=3))

    with pytest.raises(RebuildError):
        _compare(artifact)


def test_the_model_that_is_named_is_built(artifact: Path, builder: Builder) -> None:
    given = RebuildInputs(options=ModelOptions(uri="runs:/1/model", tracking_uri="http://a"))

    request = make_request(read_artifact(artifact), given)

    assert (request.model.uri, request.model.tracking_uri) == ("runs:/1/model", "http://a")


def test_the_command_says_so_and_ends_with_its_code(
    artifact: Path, builder: Builder, tmp_path: Path
) -> None:
    done = RUN.invoke(app, ["verify", str(artifact), "--rebuild"])
    assert (done.exit_code, "rebuild" in done.output) == (0, True)

    builder.files = {"handlers/__init__.py": b"1"}
    done = RUN.invoke(app, ["verify", str(artifact), "--rebuild"])
    assert isinstance(done.exception, PackagerError)
    assert done.exception.exit_code == 12
    done = RUN.invoke(app, ["verify", str(artifact), "--rebuild", "--json"])
    assert done.exit_code == 12
    assert json.loads(done.stdout)["checks"][-1]["name"] == "rebuild"


def test_what_was_changed_is_not_built_again(artifact: Path, builder: Builder) -> None:
    (artifact / "evidence.json").write_text("{}")

    done = RUN.invoke(app, ["verify", str(artifact), "--rebuild"])

    assert isinstance(done.exception, PackagerError)
    assert done.exception.exit_code == 12
    assert builder.requests == []


@pytest.mark.parametrize("option", ["--model=x", "--tracking-uri=x", "--allow-network"])
def test_options_of_a_rebuild_need_one(artifact: Path, option: str) -> None:
    done = RUN.invoke(app, ["verify", str(artifact), option])

    assert done.exit_code == 2
    assert "--rebuild" in done.output


def test_zips_that_hold_the_same_are_told_apart(tmp_path: Path) -> None:
    one, other = tmp_path / "a.zip", tmp_path / "b.zip"
    for path, kind in ((one, zipfile.ZIP_STORED), (other, zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(path, "w", kind) as archive:
            archive.writestr("a", b"0" * 100)

    assert "packed in another way" in find_member(one, other, "it is built again")
    assert sha256(one) != sha256(other)
    broken = Path(shutil.copy(__file__, tmp_path))
    assert "cannot be read" in find_member(one, broken, "it is built again")
    assert len(list(walk(tmp_path))) == 3

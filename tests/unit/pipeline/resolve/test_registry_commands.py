"""Every command, and MLflow's plugin, leaves an older MLflow's registry as it is.

Which commands there are is read from the command line itself: a new one needs a line here.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from mlflow.deployments import BaseDeploymentClient
from mlflow.exceptions import MlflowException
from typer.testing import CliRunner

from packager import cli, deployments
from packager.commands import demo
from packager.commands.targets import selection
from packager.deployments import _aws, _stacks
from packager.errors import PackagerError, ToolError
from packager.models import registry_stores
from packager.models.registry import ModelRegistry
from packager.pipeline import build
from packager.pipeline.resolve import resolve
from packager.types import BuildRequest, ResolvedModel
from tests import registries
from tests.unit.models.test_registry_stores import OLD, read_tree

RUN = CliRunner()
READ = "the model was read"
LINES: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect models:/churn/1", "inspect models:/churn@champion --engines"),
    "build": (
        "build models:/churn/1 --dry-run",
        "build models:/churn/1 -o {out}",
        "build models:/churn/latest --target auto -o {out}",
        "build runs:/{run}/model -o {out} --tracking-uri {uri}",
        "build models:/churn/1 -o {out} --tracking-uri {uri} --registry-uri {uri} --engine auto",
    ),
    "diff": ("diff models:/churn/1 models:/churn@champion",),
    "report": ("report models:/churn/1", "report models:/churn@champion --registry-uri {uri}"),
    "serve": ("serve models:/churn/1", "serve models:/churn@champion --registry-uri {uri}"),
}
"""Lines that read a model of the registry, which lies where MLflow looks by default."""
FOLLOW = "follow models:/churn@champion --run-once --deploy-command true -o {out}"
WITHOUT = {
    "init": "init models:/churn@champion --config {out}",
    "invoke": "invoke .",
    "sign": "sign . --key key.pem",
    "verify": "verify .",
    "audit": "audit .",
    "batch": "batch . s3://b/in/ s3://b/out",
    "replay": "replay . http://127.0.0.1:9",
    "push-weights": "push-weights . s3://b-b/in",
    "versions": "versions .",
    "traffic": "traffic . 2=10",
    "rollback": "rollback .",
    "demo": "demo .",
    "doctor": "doctor",
    "facts": "facts",
    "cache info": "cache info",
    "cache prune": "cache prune",
    "cache clear": "cache clear --yes",
    "cache verify": "cache verify",
}
"""Lines that read none, in the registry's own folder; the demo refuses to write to another's."""


def list_commands() -> Iterator[str]:
    todo: list[tuple[str, Any]] = [("", typer.main.get_command(cli.app))]
    while todo:
        name, command = todo.pop()
        if parts := getattr(command, "commands", None):
            todo += [(f"{name} {each}".strip(), found) for each, found in parts.items()]
        else:
            yield name


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> registries.Written:
    """One for all tests, which leave it as it is."""
    return registries.unpack(OLD, tmp_path_factory.mktemp("a registry") / "owner")


@pytest.fixture(scope="module")
def upgrade_once() -> Callable[[str, Path], None]:
    """Upgrade a copy of it once, which takes seconds."""
    upgrade, kept = registry_stores._upgrade, list[bytes]()

    def run(address: str, source: Path) -> None:
        copy = Path(address.removeprefix("sqlite:///"))
        if kept:
            copy.write_bytes(kept[0])
        else:
            upgrade(address, source)
            kept.append(copy.read_bytes())

    return run


@pytest.fixture
def owner(
    written: registries.Written,
    upgrade_once: Callable[[str, Path], None],
    quiet: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[registries.Written]:
    """A registry of an older MLflow, in the folder that commands run in, in no variable."""

    def stop(request: BuildRequest, registry: ModelRegistry, work: Path) -> ResolvedModel:
        resolve(request, registry, work)
        raise ToolError(READ)

    monkeypatch.setattr(registry_stores, "_upgrade", upgrade_once)
    monkeypatch.setattr(build, "resolve", stop)
    monkeypatch.setattr(selection, "resolve", stop)
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(written.path.parent)
    before = read_tree(written.path.parent.parent)
    yield written
    assert read_tree(written.path.parent.parent) == before


def ask(line: str, owner: registries.Written, out: Path) -> PackagerError | None:
    given = {"uri": owner.uri, "run": owner.run_id, "out": str(out)}
    words = [word.format(**given) for word in shlex.split(line)]
    found = RUN.invoke(cli.app, words).exception
    assert found is None or isinstance(found, PackagerError), found
    return found


def test_every_command_has_a_line() -> None:
    assert sorted(list_commands()) == sorted({*LINES, *WITHOUT, "follow"})


@pytest.mark.few(1)
@pytest.mark.parametrize("more", ["", " --tracking-uri {uri}", " --registry-uri {uri} --json"])
def test_a_follower_leaves_the_registry_as_it_is(
    more: str, owner: registries.Written, tmp_path: Path
) -> None:
    """It goes on after a failure; its exit code is the failed build's."""
    given = {"out": tmp_path / "out", "uri": owner.uri}
    done = RUN.invoke(cli.app, [word.format(**given) for word in shlex.split(FOLLOW + more)])

    assert done.exit_code == ToolError.exit_code
    assert READ in done.output


@pytest.mark.few(2)
@pytest.mark.parametrize("line", [line for lines in LINES.values() for line in lines])
def test_a_command_that_reads_a_registry_leaves_it_as_it_is(
    line: str, owner: registries.Written, tmp_path: Path
) -> None:
    found = ask(line, owner, tmp_path / "out")

    assert isinstance(found, ToolError)
    assert READ in str(found)


@pytest.mark.few(9)
@pytest.mark.parametrize("line", WITHOUT.values())
def test_a_command_that_reads_none_leaves_it_as_it_is(
    line: str, owner: registries.Written, tmp_path: Path
) -> None:
    ask(line, owner, tmp_path / "out")


def test_the_demo_leaves_the_default_registry_as_it_is(
    owner: registries.Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    monkeypatch.setattr(demo, "_train", lambda folder, uri: trained.append(uri))
    ask("demo {out}", owner, tmp_path / "out")
    assert trained == [f"sqlite:///{tmp_path / 'out' / 'mlflow.db'}"]


def _client_of(monkeypatch: pytest.MonkeyPatch) -> deployments.AwsLambdaDeploymentClient:
    monkeypatch.setattr(_aws, "connect", lambda _: SimpleNamespace(region="eu-west-1"))
    monkeypatch.setattr(_aws, "check_bucket", lambda *_: "bucket")
    monkeypatch.setattr(_stacks, "find", lambda *_: None)
    monkeypatch.setattr(_stacks, "deployments", lambda _: [])
    return deployments.AwsLambdaDeploymentClient("aws-lambda")


PLUGIN: dict[str, Callable[[deployments.AwsLambdaDeploymentClient], Any]] = {
    "create_deployment": lambda c: c.create_deployment("churn", "models:/churn@champion"),
    "update_deployment": lambda c: c.update_deployment("churn", "models:/churn@champion"),
    "delete_deployment": lambda c: c.delete_deployment("churn"),
    "list_deployments": lambda c: c.list_deployments(),
    "get_deployment": lambda c: c.get_deployment("churn"),
    "predict": lambda c: c.predict("churn", {"inputs": [1]}),
    "explain": lambda c: c.explain("churn"),
    "run_local": lambda _: deployments.run_local("churn", "models:/churn@champion"),
    "target_help": lambda _: deployments.target_help(),
}


def test_the_plugin_s_every_method_is_tried() -> None:
    own = vars(deployments.AwsLambdaDeploymentClient)
    public = {name for name, _ in inspect.getmembers(BaseDeploymentClient, callable)}
    named = {name for name in own if name in public and not name.startswith("_")}
    assert named | {"run_local", "target_help"} == set(PLUGIN)


@pytest.mark.few(4)
@pytest.mark.parametrize("name", PLUGIN)
def test_the_plugin_leaves_a_registry_as_it_is(
    name: str, owner: registries.Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ""
    try:
        PLUGIN[name](_client_of(monkeypatch))
    except MlflowException as error:
        said = str(error)
    assert (READ in said) == (name in {"create_deployment", "run_local"}), said

"""Commands that add to packager are those of the tool that installed it."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from packager.environments.machine import installation
from packager.environments.machine.installation import name_install, name_upgrade

Install = Callable[..., Path]
RECEIPT = '[tool]\nrequirements = [{ name = "serverless-model-packager" }]\n'


class Installed:
    def __init__(self, document: object) -> None:
        self.text = document if isinstance(document, str) else json.dumps(document)

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.text == "null" else self.text


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """Lay out an environment as one of the tools leaves it."""

    def run(
        receipt: str = "", body: str = "", *, url: object = None, has: tuple[str, ...] = ()
    ) -> Path:
        prefix = tmp_path / "of me" / ".venv"
        prefix.mkdir(parents=True)
        if receipt:
            (prefix / receipt).write_text(body)
        monkeypatch.setattr(sys, "prefix", str(prefix))
        monkeypatch.setattr(sys, "executable", str(prefix / "bin" / "python"))
        monkeypatch.setattr(installation, "distribution", lambda _: Installed(url))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in has or None)
        monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
        return prefix

    return run


def test_a_tool_of_uv_is_installed_once_more_with_what_it_has(install: Install) -> None:
    """It takes the place of the one before, with its extras and what was put beside it."""
    beside = (
        '[tool]\nrequirements = [{ name = "serverless_model_packager", extras = ["aws"] }, '
        '{ name = "azureml-mlflow" }]\n'
    )
    install("uv-receipt.toml", beside, has=("boto3",))

    assert name_install(extra="sign") == (
        "uv tool install --with azureml-mlflow 'serverless-model-packager[aws,sign]'"
    )
    assert name_install("pymysql", "psycopg[binary]") == (
        "uv tool install --with azureml-mlflow --with pymysql --with 'psycopg[binary]' "
        "'serverless-model-packager[aws]'"
    )
    assert name_upgrade("mlflow-skinny") == (
        "uv tool upgrade --upgrade-package mlflow-skinny serverless-model-packager"
    )


@pytest.mark.parametrize("receipt", ["", "[tool]\n", "[tool]\nrequirements = [1]\n", "=", "\0"])
def test_a_receipt_that_says_nothing_leaves_the_plain_command(
    receipt: str, install: Install
) -> None:
    install("uv-receipt.toml", receipt)

    assert name_install(extra="audit") == "uv tool install 'serverless-model-packager[audit]'"
    assert name_install("pymysql") == ("uv tool install --with pymysql serverless-model-packager")


def test_an_application_of_pipx_is_asked_by_pipx(install: Install) -> None:
    install("pipx_metadata.json", "{}", has=("skops", "pip"))

    assert name_install(extra="aws") == (
        "pipx install --force 'serverless-model-packager[aws,demo]'"
    )
    assert name_install("a", "b") == "pipx inject serverless-model-packager a b"
    assert name_upgrade("botocore") == (
        "pipx runpip serverless-model-packager install --upgrade botocore"
    )


def test_an_environment_with_pip_is_asked_by_its_own_python(install: Install) -> None:
    python = f"'{install(has=('pip',))}/bin/python'"

    assert name_install(extra="sign") == (
        f"{python} -m pip install 'serverless-model-packager[sign]'"
    )
    assert name_install("a", "b") == f"{python} -m pip install a b"
    assert name_upgrade("boto3") == f"{python} -m pip install --upgrade boto3"


def test_an_environment_without_pip_is_asked_by_uv(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = install()
    assert name_install("boto3") == f"uv pip install --python '{prefix}' boto3"

    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert name_upgrade("boto3") == (
        f"'{prefix}/bin/uv' pip install --python '{prefix}' --upgrade boto3"
    )


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ({"url": "file:///a%20b/p.whl", "archive_info": {}}, "'/a b/p.whl[sign]'"),
        ({"url": "file:///src", "dir_info": {}}, "'/src[sign]'"),
        ({"url": "file:///src", "dir_info": {"editable": True}}, "--editable '/src[sign]'"),
        (
            {"url": "https://example.com/p.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            "'serverless-model-packager[sign] @ git+https://example.com/p.git'",
        ),
        (None, "'serverless-model-packager[sign]'"),
        ("[]", "'serverless-model-packager[sign]'"),
        ("{", "'serverless-model-packager[sign]'"),
    ],
)
def test_it_is_installed_from_where_it_came(url: object, named: str, install: Install) -> None:
    install("uv-receipt.toml", RECEIPT, url=url)

    assert name_install(extra="sign") == f"uv tool install {named}"


def test_a_checkout_s_own_environment_is_synced(install: Install, tmp_path: Path) -> None:
    folder = (tmp_path / "of me").as_uri()
    install(url={"url": folder, "dir_info": {"editable": True}})

    assert name_install(extra="sign") == (
        f"uv sync --project '{tmp_path}/of me' --inexact --extra sign"
    )
    assert name_install("boto3") == (f"uv pip install --python '{tmp_path}/of me/.venv' boto3")


def test_without_its_own_metadata_packager_is_named_by_name(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("uv-receipt.toml", RECEIPT)

    def raise_error(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installation, "distribution", raise_error)
    assert name_install(extra="aws") == "uv tool install 'serverless-model-packager[aws]'"


def test_no_message_words_the_command_by_itself() -> None:
    """It would be that of one tool, whichever installed packager."""
    worded = re.compile(r"\bpip3? install\b|\bpipx\b|serverless-model-packager\[")
    root = Path(installation.__file__).parents[3]
    for path in sorted((root / "packager").rglob("*.py")):
        if path == Path(installation.__file__):
            continue
        whole = path.read_text("utf-8")
        if "pip" not in whole and "serverless" not in whole:
            continue
        tree = ast.parse(whole)
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [
            str(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and id(node) not in said
        ]
        assert [text for text in texts if worded.search(text)] == [], path


def test_an_extra_whose_package_is_not_there_is_not_installed() -> None:
    assert not installation._is_installed("gone.inside.of.it")
    assert installation._is_installed("packager.environments")

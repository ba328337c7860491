"""`packager verify --app`: the settings of an app of Azure, as its Resource Manager tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.commands.artifact import read_manifest
from packager.commands.cloud import deployed_app
from packager.commands.cloud.deployed_app import compare_app
from packager.errors import CloudError, ConfigurationError
from tests.unit.commands.artifact.test_attestations import run
from tests.unit.commands.artifact.test_integrity import _build
from tests.unit.commands.cloud.test_vault_keys import (  # noqa: F401 - fixtures
    HOST,
    Answer,
    Vault,
    certificate,
    vault,
)

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/team"
APP = f"{GROUP}/providers/Microsoft.Web/sites/func-churn"
SECRET = "s3cret-value"
Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"), "azure-functions")


@pytest.fixture
def told(artifact: Path) -> Told:
    """An app as infra/ makes it, by the paths that are asked."""
    home = targets.load("azure-functions").tree.home
    minor = read_manifest(artifact / "function" / home).python
    runtime = {"name": "python", "version": minor}
    return {
        "": {
            "kind": "functionapp,linux",
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {"one": {}}},
            "properties": {"httpsOnly": True, "functionAppConfig": {"runtime": runtime}},
        },
        "/config/web": {
            "properties": {
                "minTlsVersion": "1.2", "appCommandLine": "", "remoteDebuggingEnabled": False,
            }
        },
        "/config/appsettings/list": {
            "properties": {
                "AzureWebJobsStorage__credential": "managedidentity",
                "APPLICATIONINSIGHTS_CONNECTION_STRING": SECRET,
                "PACKAGER_HTTP_AUTH": "easy-auth",
            }
        },
    }  # fmt: skip


def _compare(artifact: Path, told: Told) -> list[str]:
    def ask(method: str, path: str) -> Mapping[str, Any]:
        assert method == ("POST" if path.endswith("/list") else "GET")
        return told[path.removeprefix(APP)]

    return compare_app(artifact, APP, ask=ask)["problems"]


def test_an_app_as_infra_makes_it_passes(artifact: Path, told: Told) -> None:
    assert _compare(artifact, told) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[""].update(kind="app,linux"), "no functionapp,linux"),
        (
            lambda t: t[""]["properties"]["functionAppConfig"]["runtime"].update(version="3.11"),
            "it runs python 3.11, and the artifact is for python 3.",
        ),
        (lambda t: t[""]["properties"].pop("functionAppConfig"), "it runs None None"),
        (lambda t: t[""]["properties"].update(httpsOnly=False), "without TLS"),
        (lambda t: t[""].update(identity={"type": "SystemAssigned"}), "with 0 identities"),
        (
            lambda t: t[""]["identity"]["userAssignedIdentities"].update(two={}),
            "UserAssigned with 2 identities",
        ),
        (lambda t: t["/config/web"]["properties"].update(minTlsVersion="1.0"), "takes TLS 1.0"),
        (lambda t: t["/config/web"]["properties"].update(appCommandLine="x"), "a start command"),
        (
            lambda t: t["/config/web"]["properties"].update(remoteDebuggingEnabled=True),
            "debugged from outside",
        ),
        (
            lambda t: t["/config/appsettings/list"]["properties"].update(PYTHONSTARTUP=SECRET),
            "it has the setting PYTHONSTARTUP, which infra/ does not set",
        ),
        (
            lambda t: t["/config/appsettings/list"]["properties"].update(
                AzureWebJobsStorage__credential=SECRET
            ),
            "its setting AzureWebJobsStorage__credential is not the one",
        ),
    ],
    ids=map(str, range(11)),
)
def test_what_was_set_otherwise_is_named_and_no_value_shown(
    artifact: Path, told: Told, change: Callable[[Told], object], words: str
) -> None:
    change(told)

    (problem,) = _compare(artifact, told)

    assert problem.startswith("func-churn: ")
    assert words in problem
    assert SECRET not in problem


@pytest.mark.parametrize("app", ["", "func-churn", f"{APP}/slots/x?y", f"https://x{APP}"])
def test_what_is_no_resource_id_is_refused(artifact: Path, app: str) -> None:
    with pytest.raises(ConfigurationError, match="az functionapp show"):
        compare_app(artifact, app)


def test_an_artifact_for_no_app_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="leave --app out"):
        compare_app(_build(tmp_path), APP)


@pytest.fixture
def azure(vault: Vault, told: Told, monkeypatch: pytest.MonkeyPatch) -> Vault:  # noqa: F811
    """Azure's Resource Manager over TLS, with the token of a managed identity."""

    def answer(method: str, path: str, token: str, _: bytes) -> Answer:
        if path.startswith("/token"):
            return 200, {"access_token": "t", "expires_on": "4102444800", "token_type": "B"}, {}
        if token != "Bearer t":
            return 401, {"error": {"code": "AuthenticationFailed"}}, {}
        place = path.partition("?")[0].removeprefix(APP)
        if place not in told:
            return 404, {"error": {"code": "ResourceNotFound", "message": "no such app"}}, {}
        vault.asked.append(f"{method} {place}")
        return 200, told[place], {}

    monkeypatch.setattr(vault, "answer", answer)
    monkeypatch.setattr(deployed_app, "ENDPOINT", f"https://{HOST}:{vault.port}")
    return vault


def test_azure_is_asked_by_the_login_that_its_tools_find(
    artifact: Path, azure: Vault, told: Told
) -> None:
    assert run("verify", artifact, "--app", APP) == (0, "")
    assert azure.asked == ["GET ", "GET /config/web", "POST /config/appsettings/list"]

    told["/config/appsettings/list"]["properties"]["PYTHONPATH"] = SECRET
    code, said = run("verify", artifact, "--app", APP)
    assert code == 12
    assert "func-churn: it has the setting PYTHONPATH" in said
    assert SECRET not in said


def test_what_azure_refuses_is_told(artifact: Path, azure: Vault, told: Told) -> None:
    told.clear()

    with pytest.raises(CloudError, match=r"did not tell of the app: .*\n.*Website Contributor"):
        compare_app(artifact, APP)

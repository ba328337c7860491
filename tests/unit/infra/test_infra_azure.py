"""The templates that take an Azure artifact: they parse, name what exists, and hold no key."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from packager.system import resources
from tests import bicep

FOLDER = resources.INFRA / "azure"
FILES = sorted(FOLDER.glob("*.bicep"))


@pytest.mark.few(1)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_parses_and_every_property_of_the_app_exists(path: Path) -> None:
    assert bicep.unknown_names(bicep.read(path)) == []


@pytest.mark.parametrize(
    ("name", "typo"),
    [
        ("instanceMemoryMB:", "instanceMemoryMb:"),
        ("siteUpdateStrategy:", "updateStrategy:"),
        ("userAssignedIdentityResourceId:", "identityId:"),
        ("instanceCount:", "count:"),
        ("minTlsVersion: '1.2'", "minTls: '1.2'"),
        ("virtualNetworkSubnetId:", "subnet:"),
        ("unauthenticatedClientAction:", "clientAction:"),
        ("openIdIssuer:", "issuer:"),
        ("allowedApplications:", "applications:"),
    ],
)
def test_a_misspelt_property_is_found(name: str, typo: str) -> None:
    text = (FOLDER / "app.bicep").read_text(encoding="utf-8")
    assert name in text

    (found,) = bicep.unknown_names(bicep.parse(text.replace(name, typo)))

    assert f".{typo.partition(':')[0]}: unknown" in found


def test_each_module_is_given_exactly_its_parameters() -> None:
    given = [each for path in FILES for each in bicep.modules(bicep.read(path))]
    declared = {path.name: set(bicep.read(path)["parameters"]) for path in FILES}
    assert sorted({name for name, _ in given}) == sorted({*declared} - {"main.bicep"})
    for name, names in given:
        assert names == declared[name], name


def test_no_connection_holds_a_key() -> None:
    parsed, events = (bicep.read(FOLDER / f"{name}.bicep") for name in ("app", "events"))
    app, doors = parsed["resources"], events["resources"]
    settings = parsed["variables"]["ownSettings"]["value"]
    for name in ("bus", "hubs", "gridTopic"):
        assert doors[name]["config"]["config"]["properties"]["disableLocalAuth"] is True
    for name in ("requestsContainer", "answersContainer"):
        assert doors[name]["config"]["config"]["properties"]["publicAccess"] == "None"
    assert app["storage"]["config"]["properties"]["allowSharedKeyAccess"] is False
    assert app["insights"]["config"]["properties"]["DisableLocalAuth"] is True
    assert app["container"]["config"]["properties"]["publicAccess"] == "None"
    keyed = [path.name for path in FILES if "listKeys" in path.read_text(encoding="utf-8")]
    assert keyed == ["weights.bicep"], "Azure Files is mounted with a key alone"
    assert {"AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId"} <= {
        each["name"] for each in settings
    }


def _resources(name: str) -> dict[str, Any]:
    found: dict[str, Any] = bicep.read(FOLDER / name)["resources"]
    return found


def _condition(value: Any) -> tuple[Any, Any, Any]:
    """(condition, value where it holds, value where it does not)."""
    operands = value["operator"]["operands"]
    return operands["condition"], operands["true_value"], operands["false_value"]


def test_the_bus_is_received_from_and_sent_to_and_nobody_owns_it() -> None:
    parsed = bicep.read(FOLDER / "events.bicep")
    roles = {
        name: each["config"]["config"]
        for name, each in parsed["resources"].items()
        if each["type"].endswith("roleAssignments")
    }
    # https://learn.microsoft.com/en-us/azure/role-based-access-control/built-in-roles/integration
    named = {name: each["value"] for name, each in parsed["variables"].items()}
    assert named["serviceBusDataReceiver"] == "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"
    assert named["serviceBusDataSender"] == "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
    assert {name: (each["scope"], _read_role(each)) for name, each in roles.items()} == {
        "busQueueRole": ("busQueue", "serviceBusDataReceiver"),
        "busSubscriptionRole": ("busSubscription", "serviceBusDataReceiver"),
        "busAnswersRole": ("busAnswers", "serviceBusDataSender"),
        "hubsRole": ("hubs", "eventHubsDataReceiver"),
    }
    assert "090c5cfd" not in (FOLDER / "events.bicep").read_text(encoding="utf-8")


def _read_role(assignment: dict[str, Any]) -> Any:
    given = assignment["properties"]["roleDefinitionId"]["function"]["parameters"]
    return given["resource_name_1"] if "resource_name_1" in given else [*given.values()][-1]


def test_the_rules_of_an_account_are_off_by_default() -> None:
    parameters = bicep.read(FOLDER / "main.bicep")["parameters"]
    defaults = {name: each["default"] for name, each in parameters.items()}
    for name in (
        *("entraClientId", "entraAudience", "entraTenantId", "subnetId"),
        *("privateEndpointSubnetId", "storageKeyUri", "storageKeyIdentityId"),
    ):
        assert defaults[name] == ""
    assert (defaults["httpAuth"], defaults["privateEndpoints"]) == ("key", "none")
    assert (defaults["entraAllowedClients"], defaults["privateDnsZoneIds"]) == ([], {})


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("clientId", "needs entraClientId"),
        ("endpoints", "needs subnetId and privateEndpointSubnetId"),
        ("sources", "Event Grid reaches no private app"),
        ("keyIdentityId", "give both or none"),
        ("keyUri", "https://VAULT.vault.azure.net/keys/NAME"),
        ("shareName", "name the share that has them"),
        ("origins", "an asterisk alone"),
        ("warmInstances", "alwaysReadyInstances is more than maximumInstanceCount"),
    ],
)
def test_a_combination_that_cannot_be_fails_with_the_reason(variable: str, said: str) -> None:
    parsed = bicep.read(FOLDER / "main.bicep")
    condition, refused, taken = _condition(parsed["variables"][variable]["value"])

    assert condition in parsed["variables"]
    assert refused["function"]["type"] == "fail"
    assert said in str(refused["function"]["parameters"])
    # what is refused is handed on by its checked name alone
    given = parsed["modules"]["app"]["config"]["params"]
    assert variable in given.values()
    assert taken not in given.values()


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("", False),
        ("https://v.vault.azure.net/keys/name", False),
        ("https://v.managedhsm.azure.net/keys/name", False),
        ("https://v.vault.azure.net/keys/name/0123456789abcdef0123456789abcdef", True),
        ("https://v.vault.azure.net/keys/name/", True),
        ("https://v.vault.azure.net/keys/", True),
        ("https://v.vault.azure.net/secrets/name", True),
        ("https://v.vault.azure.net/keys/name/keys/name", True),
        ("v.vault.azure.net/keys/name", True),
        ("name", True),
    ],
)
def test_an_address_that_is_no_key_without_a_version_is_refused(
    address: str, *, refused: bool
) -> None:
    known = _count({"storageKeyUri": address}, "keyParts", "isKey", "isNoKey")

    assert known["isNoKey"] is refused


def _count(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Count variables of main.bicep as Bicep does: these signs and functions mean the same."""
    functions = {
        "contains": operator.contains,
        "empty": operator.not_,
        "join": lambda parts, sign: sign.join(parts),
        "last": lambda of: of[-1],
        "length": len,
        "replace": str.replace,
        "split": str.split,
        "startsWith": str.startswith,
        "toLower": str.lower,
    }
    known = dict(given)
    text = (FOLDER / "main.bicep").read_text(encoding="utf-8")
    for name, value in re.findall(rf"^var ({'|'.join(names)}) = (.*)$", text, re.MULTILINE):
        said = re.sub(r"!(?!=)", " not ", value).replace("&&", " and ").replace("||", " or ")
        known[name] = eval(said.strip(), {**functions, **known})  # noqa: S307 - of this repository
    return known


def test_tokens_are_asked_for_by_the_platform_and_an_earlier_setting_does_not_stay() -> None:
    site, auth = (_resources("app.bicep")[name]["config"] for name in ("site", "authentication"))
    properties = auth["properties"]

    # unconditional: what a template leaves out stays as it was
    assert (auth["parent"], auth["name"]) == ("site", "authsettingsV2")
    validation = properties["globalValidation"]
    asked = "asksForToken"
    assert properties["platform"]["enabled"] == validation["requireAuthentication"] == asked
    assert properties["identityProviders"]["azureActiveDirectory"]["enabled"] == asked
    action = _condition(validation["unauthenticatedClientAction"])
    assert action == (asked, "Return401", "AllowAnonymous")
    # https://github.com/MicrosoftDocs/azure-docs/issues/99036
    assert _condition(validation["excludedPaths"]) == ("takesGridEvents", "gridPaths", [])
    settings = str(site["properties"]["siteConfig"]["appSettings"])
    assert "authSettings" in settings


def test_private_means_that_nothing_else_reaches_it() -> None:
    found = _resources("app.bicep")
    storage, site = (found[name]["config"]["properties"] for name in ("storage", "site"))

    assert _condition(storage["publicNetworkAccess"]) == ("isStoragePrivate", "Disabled", "Enabled")
    assert _condition(storage["networkAcls"]["defaultAction"])[1:] == ("Deny", "Allow")
    assert _condition(site["publicNetworkAccess"]) == ("isAppPrivate", "Disabled", "Enabled")
    assert "storageEndpoints" in found["site"]["config"]["dependsOn"]


def test_your_own_key_is_for_queues_and_tables_too() -> None:
    parsed = bicep.read(FOLDER / "app.bicep")
    key = parsed["variables"]["ownKey"]["value"]

    assert key["keySource"] == "Microsoft.Keyvault"
    assert set(key["services"]) == {"blob", "file", "queue", "table"}
    assert {each["keyType"] for each in key["services"].values()} == {"Account"}
    _, without, given = _condition(
        parsed["resources"]["storage"]["config"]["properties"]["encryption"]
    )
    assert (without, given) == (None, "ownKey")


def test_a_share_is_mounted_where_the_app_looks_for_its_weights() -> None:
    app = bicep.read(FOLDER / "app.bicep")
    mounts = _resources("weights.bicep")["mounts"]["config"]
    condition, (setting,), otherwise = _condition(app["variables"]["weightsSettings"]["value"])

    assert (condition, otherwise) == ("weightsOutside", [])
    assert setting == {"name": "PACKAGER_WEIGHTS", "value": "weightsMountPath"}
    assert app["modules"]["weightsMount"]["config"]["condition"] == "weightsOutside"
    assert (
        app["modules"]["weightsMount"]["config"]["config"]["params"]["mountPath"]
        == setting["value"]
    )
    assert (mounts["parent"], mounts["name"]) == ("site", "azurestorageaccounts")
    (share,) = mounts["properties"].values()
    # https://learn.microsoft.com/en-us/rest/api/appservice/web-apps/update-azure-storage-accounts
    assert set(share) <= set(bicep.list_names("AzureStorageInfoValue"))
    assert share["type"] == "AzureFiles"
    assert share["mountPath"] == "mountPath"


@pytest.mark.parametrize(
    ("origins", "refused"),
    [
        ([], ""),
        (["*"], ""),
        (["https://app.example.com"], ""),
        (["https://app.example.com", "http://localhost:3000"], ""),
        (["*", "https://app.example.com"], "isMixed"),
        (["https://app.example.com/"], "isNoOrigin"),
        (["https://app.example.com/path", "https://b.example"], "isNoOrigin"),
        (["https://App.example.com"], "isNoOrigin"),
        (["app.example.com"], "isNoOrigin"),
        (["https://a.example https://b.example"], "isNoOrigin"),
        (["null"], "isNoOrigin"),
        ([""], "isNoOrigin"),
    ],
)
def test_what_is_no_origin_of_a_page_is_refused(origins: list[str], refused: str) -> None:
    known = _count(
        {"corsAllowedOrigins": origins},
        *("originText", "originParts", "isAnyOrigin", "isNoOrigin", "isMixed"),
    )

    assert [name for name in ("isMixed", "isNoOrigin") if known[name]] == (
        [refused] * bool(refused)
    )


def test_a_preflight_is_the_platform_s_and_no_credentials_are_allowed() -> None:
    site = _resources("app.bicep")["site"]["config"]["properties"]

    assert site["siteConfig"]["cors"] == {
        "allowedOrigins": "corsAllowedOrigins",
        "supportCredentials": False,
    }
    # what it is handed was checked
    given = bicep.read(FOLDER / "main.bicep")["modules"]["app"]["config"]["params"]
    assert given["corsAllowedOrigins"] == "origins"
    assert bicep.read(FOLDER / "main.bicep")["parameters"]["corsAllowedOrigins"]["default"] == []


def test_instances_are_kept_ready_for_http_where_that_is_asked() -> None:
    site = _resources("app.bicep")["site"]["config"]["properties"]
    scale = site["functionAppConfig"]["scaleAndConcurrency"]
    # the parser takes `a == 0 ? x : y` as `a == (0 ? x : y)`
    compared = scale["alwaysReady"]["operator"]
    _, none, ready = _condition(compared["operands"]["operand_2"])

    # https://learn.microsoft.com/en-us/azure/azure-functions/flex-consumption-plan#always-ready-instances
    assert (compared["type"], compared["operands"]["operand_1"]) == (
        "equals",
        "alwaysReadyInstances",
    )
    assert (none, ready) == ([], [{"name": "http", "instanceCount": "alwaysReadyInstances"}])
    assert set(ready[0]) == set(bicep.list_names("FunctionsAlwaysReadyConfig"))
    parameter = bicep.read(FOLDER / "main.bicep")["parameters"]["alwaysReadyInstances"]
    assert parameter["default"] == 0


@pytest.mark.parametrize(
    ("ready", "most", "refused"), [(0, 1, False), (40, 40, False), (41, 40, True), (2, 1, True)]
)
def test_more_ready_instances_than_there_may_be_are_refused(
    ready: int, most: int, *, refused: bool
) -> None:
    given = {"alwaysReadyInstances": ready, "maximumInstanceCount": most}

    assert _count(given, "isTooWarm")["isTooWarm"] is refused


def test_a_token_is_of_the_tenant_for_this_app_and_by_an_application_that_may_call() -> None:
    found = _resources("app.bicep")["authentication"]["config"]["properties"]
    entra = found["identityProviders"]["azureActiveDirectory"]

    # with requestedAccessTokenVersion 2 a token names the client ID, with 1 the address
    assert entra["validation"]["allowedAudiences"] == ["entraAudience", "entraClientId"]
    assert entra["registration"]["clientId"] == "entraClientId"
    assert str(entra["registration"]["openIdIssuer"]).count("entraTenantId") == 1
    assert "/v2.0" in str(entra["registration"]["openIdIssuer"])
    policy = entra["validation"]["defaultAuthorizationPolicy"]
    assert policy == {"allowedApplications": "entraAllowedClients"}
    assert found["httpSettings"] == {"requireHttps": True}
    assert found["login"]["tokenStore"]["enabled"] is False


def test_no_share_is_mounted_without_a_key() -> None:
    """A mount has a key in each form that the platform's interface knows: no identity is named."""
    names = set(bicep.list_names("AzureStorageInfoValue"))

    assert names == {
        *("type", "accountName", "shareName", "accessKey", "mountPath", "state", "protocol")
    }

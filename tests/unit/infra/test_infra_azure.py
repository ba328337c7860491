"""The templates that take an Azure artifact: they parse, name what exists, and hold no key."""

from __future__ import annotations

from pathlib import Path

import pytest

from packager.system import resources
from tests import bicep

FOLDER = resources.INFRA / "azure"
FILES = sorted(FOLDER.glob("*.bicep"))


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
    ],
)
def test_a_misspelt_property_is_found(name: str, typo: str) -> None:
    text = (FOLDER / "app.bicep").read_text(encoding="utf-8")
    assert name in text

    (found,) = bicep.unknown_names(bicep.parse(text.replace(name, typo)))

    assert f".{typo.partition(':')[0]}: unknown" in found


def test_each_module_is_given_exactly_its_parameters() -> None:
    given = {k: v for path in FILES for k, v in bicep.modules(bicep.read(path)).items()}
    declared = {path.name: set(bicep.read(path)["parameters"]) for path in FILES}
    assert given == {name: declared[name] for name in ("app.bicep", "events.bicep")}


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
    assert not [path for path in FILES if "listKeys" in path.read_text(encoding="utf-8")]
    assert {"AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId"} <= {
        each["name"] for each in settings
    }

"""The templates that take an Azure artifact: they parse, name what exists, and hold no key."""

from __future__ import annotations

from pathlib import Path

import pytest

from packager import _resources
from tests import bicep

FOLDER = _resources.INFRA / "azure"
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


def test_the_module_is_given_exactly_its_parameters() -> None:
    main, app = (bicep.read(FOLDER / name) for name in ("main.bicep", "app.bicep"))
    assert set(main["modules"]["app"]["config"]["params"]) == set(app["parameters"])


def test_no_connection_holds_a_key() -> None:
    app = bicep.read(FOLDER / "app.bicep")["resources"]
    settings = app["site"]["config"]["properties"]["siteConfig"]["appSettings"]
    assert app["storage"]["config"]["properties"]["allowSharedKeyAccess"] is False
    assert app["insights"]["config"]["properties"]["DisableLocalAuth"] is True
    assert app["container"]["config"]["properties"]["publicAccess"] == "None"
    assert "listKeys" not in (FOLDER / "app.bicep").read_text(encoding="utf-8")
    assert {"AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId"} <= {
        each["name"] for each in settings
    }

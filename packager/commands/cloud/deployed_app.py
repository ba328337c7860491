"""Compare the settings of an app of Azure with what its artifact's infra/ gives it.

Names of settings are told, and never a value: https://learn.microsoft.com/rest/api/appservice/web-apps
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from packager import targets
from packager.commands import artifact
from packager.environments.machine.installation import name_install
from packager.errors import CloudError, ConfigurationError
from packager.types import ArtifactCheck, Json

CHECK: Final = "app"
ENDPOINT: Final = "https://management.azure.com"
_VERSION: Final = "2025-05-01"
_ID: Final = re.compile(
    r"/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[\w.()-]{1,90}"
    r"/providers/Microsoft\.Web/sites/[A-Za-z0-9-]{2,60}"
)
_SETTING: Final = re.compile(r"\{ name: '(\w+)', value: (.+?) \}")
"""A line of infra/*.bicep, which makes one setting of the app."""
_LITERAL: Final = re.compile(r"'([^'$]*)'")
_OLD_TLS: Final = frozenset({"1.0", "1.1"})
_SHOWN: Final = 300

Ask = Callable[[str, str], Mapping[str, Json]]
"""Return what Azure answers to a method and a path."""


def compare_app(folder: Path, app: str, *, ask: Ask | None = None) -> ArtifactCheck:
    """Hold an app, by its resource id, to the artifact: runtime, identity, settings.

    Raises ConfigurationError for what is no resource id or an artifact for no app, CloudError where
    Azure refuses.
    """
    built = artifact.read(folder)
    target = targets.load(built.target)
    if target.deployment.infra != "azure":
        raise ConfigurationError(
            f"{built.home} is for {built.target}, and no app of Azure runs it: leave --app out."
        )
    if not _ID.fullmatch(app):
        raise ConfigurationError(
            f"--app {app[:200]!r} is no resource id. `az functionapp show --name APP "
            "--resource-group GROUP --query id` prints it."
        )
    minor = artifact.read_manifest(built.folder / target.tree.home).python
    if ask is not None:
        return _compare(built.home, app, minor, ask)
    with _open_azure() as ask_azure:
        return _compare(built.home, app, minor, ask_azure)


def _compare(home: Path, app: str, minor: str, ask: Ask) -> ArtifactCheck:
    problems = [
        *_compare_site(ask("GET", app), minor),
        *_compare_web(_read(ask("GET", f"{app}/config/web"), "properties")),
        *_compare_settings(
            _read(ask("POST", f"{app}/config/appsettings/list"), "properties"), _read_wanted(home)
        ),
    ]
    name = app.rpartition("/")[2]
    return {
        "name": CHECK,
        "passed": not problems,
        "problems": [f"{name}: {problem}" for problem in problems],
    }


def _compare_site(site: Mapping[str, Json], minor: str) -> Iterator[str]:
    if {"functionapp", "linux"} - {*str(site.get("kind")).split(",")}:
        yield f"it is {site.get('kind')}, and no functionapp,linux."
    properties = _read(site, "properties")
    runtime = _read(_read(properties, "functionAppConfig"), "runtime")
    found = f"{runtime.get('name')} {runtime.get('version')}"
    if found != f"python {minor}":
        yield f"it runs {found}, and the artifact is for python {minor}."
    if properties.get("httpsOnly") is not True:
        yield "it answers without TLS (httpsOnly is off)."
    identity = _read(site, "identity")
    users = _read(identity, "userAssignedIdentities")
    if identity.get("type") != "UserAssigned" or len(users) != 1:
        yield (
            f"its identity is {identity.get('type')} with {len(users)} identities, and infra/ "
            "gives it one that is UserAssigned."
        )


def _compare_web(web: Mapping[str, Json]) -> Iterator[str]:
    if web.get("minTlsVersion") in _OLD_TLS:
        yield f"it takes TLS {web['minTlsVersion']}, and infra/ asks for 1.2."
    if web.get("appCommandLine"):
        yield "it has a start command of its own, which can change what it answers."
    if web.get("remoteDebuggingEnabled"):
        yield "it can be debugged from outside (remoteDebuggingEnabled)."


def _compare_settings(
    settings: Mapping[str, Json], wanted: Mapping[str, str | None]
) -> Iterator[str]:
    for name in sorted(settings.keys() - wanted.keys()):
        yield f"it has the setting {name[:200]}, which infra/ does not set."
    for name, value in sorted(wanted.items()):
        if value is not None and name in settings and settings[name] != value:
            yield f"its setting {name} is not the one that infra/ gives it."


def _read_wanted(home: Path) -> dict[str, str | None]:
    """Settings that infra/ may give the app; the value where it is no parameter's."""
    found: dict[str, str | None] = {}
    for path in sorted((home / "infra").glob("*.bicep")):
        for name, value in _SETTING.findall(path.read_text(encoding="utf-8")):
            literal = _LITERAL.fullmatch(value)
            found[name] = literal[1] if literal else None
    return found


def _read(holder: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return the object of that name; an empty one where there is none."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


@contextmanager
def _open_azure() -> Iterator[Ask]:
    """Ask Azure's Resource Manager by the login that Azure's own tools find."""
    try:
        from azure.core import PipelineClient  # noqa: PLC0415 - an extra
        from azure.core.exceptions import AzureError  # noqa: PLC0415
        from azure.core.pipeline.policies import (  # noqa: PLC0415
            BearerTokenCredentialPolicy,
            RetryPolicy,
        )
        from azure.core.rest import HttpRequest, HttpResponse  # noqa: PLC0415
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            f"Asking Azure needs azure-identity: `{name_install(extra='azure-keys')}`."
        ) from error
    # it warns of each way to a login that there is not, before its error says so
    logging.getLogger("azure").addHandler(logging.NullHandler())
    try:
        with DefaultAzureCredential() as credential:
            login = BearerTokenCredentialPolicy(credential, f"{ENDPOINT}/.default")
            made: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
                ENDPOINT, policies=[RetryPolicy(), login]
            )
            with made as client:

                def ask(method: str, path: str) -> Mapping[str, Json]:
                    request = HttpRequest(
                        method, f"{ENDPOINT}{path}", params={"api-version": _VERSION}
                    )
                    answer = client.send_request(request)
                    answer.raise_for_status()
                    value = answer.json()
                    if not isinstance(value, dict):
                        raise CloudError(f"Azure's answer to {path} is no object. Try again.")
                    return value

                yield ask
    except (AzureError, ValueError) as error:
        told = " ".join(str(error).split())
        raise CloudError(
            f"Azure did not tell of the app: {told[:_SHOWN]}\nCheck the resource id, your login "
            "(az login, a managed identity, or AZURE_CLIENT_ID), and that it may read the app's "
            "settings: `Website Contributor` does."
        ) from error

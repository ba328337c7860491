"""Layer between MLflow and us: settings, silence, and its errors in our words."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from packager.environments.machine.installation import name_install
from packager.errors import (
    ModelNotFoundError,
    RegistryUnavailableError,
    StorageError,
    is_disk_full,
)
from packager.system.redaction import hide_users

# only where the user has not set them: answer within seconds, send nothing home, draw no bars
_SETTINGS: Final = {
    "AWS_MAX_ATTEMPTS": "2",
    # a folder as MLflow 2 made it by default is still read, whatever is to be said of writing to it
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
# whatever the user has set for a server: a connection that is kept keeps the copy that is read
_FORCED: Final = {
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "0",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "0",
    "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE": "0",
}
NOISY: Final = ("mlflow", "alembic", "botocore", "urllib3")
# what the clients of the stores raise; looked up only among those that were imported
_CLIENT_ERRORS: Final = (
    ("mlflow.exceptions", "MlflowException"),
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("boto3.exceptions", "Boto3Error"),
    ("azure.core.exceptions", "AzureError"),
    ("google.api_core.exceptions", "GoogleAPIError"),
    ("google.auth.exceptions", "GoogleAuthError"),
)
_PACKAGES: Final = {
    "MySQLdb": ("mysqlclient",),
    "azure": ("azure-storage-blob", "azure-identity"),
    "google": ("google-cloud-storage",),
    "psycopg": ("psycopg[binary]",),
    "psycopg2": ("psycopg2-binary",),
}
"""Distributions of the modules that clients of stores import, where the names differ."""
_DENIED: Final = re.compile(
    r"AccessDenied|Access Denied|Forbidden|\b403\b|PERMISSION_DENIED|Unauthorized|"
    r"error code 401|\b401 Client Error|credential configuration failed|"
    r"Unable to locate credentials|default credentials"
)
_SERVER: Final = re.compile(r"API request to (?:endpoint|http)")
"""Words of MLflow's client where a server answered, or none did."""
_STRANGE: Final = re.compile(r"not in a valid JSON format|error code (?!40[13]|429|5)\d{3} != 200")
"""An answer that MLflow's server never gives: of a missing model it tells in JSON."""
_FAILING: Final = re.compile(r"too many (5\d\d) error responses|error code (5\d\d)")
_SILENT: Final = re.compile(
    r"Max retries exceeded|Connection refused|timed out|Could not connect|NameResolution"
)
_FULL: Final = re.compile(r"No space left on device|Disk quota exceeded")
MISSING: Final = re.compile(
    r"NoSuchKey|NoSuchBucket|\b404\b|Not Found|No such artifact|No such file|"
    r"RESOURCE_DOES_NOT_EXIST|does not exist|ensure that the path is correct"
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """MLflow without its warnings, bars and reports; the environment is put back afterwards."""
    wanted = {key: value for key, value in _SETTINGS.items() if key not in os.environ}
    levels = {name: logging.getLogger(name).level for name in NOISY}
    try:
        with set_environment(wanted | _FORCED), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def set_environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process while the block runs."""
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def client_errors() -> tuple[type[Exception], ...]:
    """List what MLflow and the clients under it raise.

    Evaluated when something was raised.
    """
    found = (getattr(sys.modules.get(module), name, None) for module, name in _CLIENT_ERRORS)
    return (OSError, ImportError, *(kind for kind in found if kind is not None))


def explain_error(
    error: Exception, uri: str, where: str, into: Path
) -> ModelNotFoundError | RegistryUnavailableError | StorageError:
    words = without_password(_first_words(str(error)))
    text = f"{type(error).__name__} {error}"
    if is_disk_full(error) or _FULL.search(text):
        return StorageError(f"{uri} does not fit on the disk under {into}.\n{words}")
    if isinstance(error, ImportError):
        module = (error.name or "").partition(".")[0]
        packages = _PACKAGES.get(module, (module or "NAME",))
        return RegistryUnavailableError(
            f"Reading {uri} from {where} needs a package that is not installed: {words}.\n"
            f"Install it beside packager (`{name_install(*packages)}`), or read the "
            "registry through a tracking server: --tracking-uri http://..."
        )
    if _SERVER.search(text) and (why := _explain_server(text, uri, where)):
        return RegistryUnavailableError(f"{why}\n{words}")
    if _DENIED.search(text):
        return RegistryUnavailableError(
            f"The store of {uri} refused to be read: check the credentials.\n{words}"
        )
    if MISSING.search(text):
        return ModelNotFoundError(f"There is nothing to read at {uri}.\n{words}")
    if _SILENT.search(text):
        return RegistryUnavailableError(
            f"{uri} could not be fetched: nothing answers at {where}, or not in time.\n"
            f"Is the address right, and the server up?\n{words}"
        )
    return RegistryUnavailableError(f"{uri} could not be fetched from {where}.\n{words}")


def _explain_server(text: str, uri: str, where: str) -> str | None:
    """Explain what a server answered; None where it is as any other failure."""
    if _DENIED.search(text):
        return (
            f"The registry at {where} refused to tell of {uri}. Set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to those of a user who may read "
            "it."
        )
    if _STRANGE.search(text):
        return (
            f"What answers at {where} is no MLflow server, or an old one. Is the address right? It "
            "may lack a path, or lead to a page that asks for a login."
        )
    if found := _FAILING.search(text):
        return (
            f"The registry at {where} failed to answer, with {found[1] or found[2]}. Its own log "
            "says why."
        )
    return None


def _first_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "It gave no reason.")[:600]


def without_password(text: str) -> str:
    return hide_users(text)

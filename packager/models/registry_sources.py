"""Addresses that a registry's metadata may make a build open.

Whoever can write to a registry chooses the addresses in it. A build runs with its user's files and
credentials: an address is followed only where its user would expect it to lead.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from packager.errors import ModelNotFoundError, RegistryUnavailableError
from packager.models import model_documents, model_uri
from packager.models.mlflow_errors import without_password

TABLES: Final = (".csv", ".parquet", ".jsonl", ".ndjson")
"""Files that a training set is read from."""
_MLMODEL: Final = "MLmodel"
_PROXIED: Final = frozenset({"http", "https", "mlflow-artifacts"})
"""Schemes under which MLflow sends the tracking server's credentials to the host in the address."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Halves of a letter too, which no request can be written with."""
_AZURE: Final = frozenset({"abfs", "abfss", "wasb", "wasbs"})
_HOST: Final = re.compile(r"[\w.~!$&'()*+,;=:@%\[\]-]*")
"""https://datatracker.ietf.org/doc/html/rfc3986#section-3.2, and letters of other scripts."""
_AZURE_HOSTS: Final = re.compile(
    r"(?:[\w-]+\.)+(?:core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)"
    r"|fabric\.microsoft\.com)"
)
"""azure_data_lake_artifact_repo.py of MLflow sends a token to whatever host is named."""


def check_source(source: str, asked: Sequence[str]) -> None:
    """Check the address at which the registry says that a model lies; `asked` are the servers'.

    Raises RegistryUnavailableError for one that climbs out of its store, or that would send
    credentials to another host; ModelNotFoundError for a local folder that holds no model.
    """
    if not _is_readable(source):
        raise RegistryUnavailableError(
            f"The registry says that the model lies at {without_password(source)}, which is no "
            "address. Correct its source there, or name the model's folder in its place."
        )
    if _climbs(source):
        raise _make_refusal(source, "it climbs out of its store with `..`")
    path = model_uri.local_path(source)
    if path is not None:
        check_folder(path)
        return
    parts = urlsplit(source)
    if parts.scheme in _PROXIED and parts.netloc and not _is_asked(parts, asked):
        raise _make_refusal(source, f"MLflow would send your credentials to {parts.hostname}")
    if parts.scheme in _AZURE and not _AZURE_HOSTS.fullmatch(parts.hostname or ""):
        raise _make_refusal(source, f"MLflow would send a token of Azure's to {parts.hostname}")


def check_folder(path: Path) -> None:
    """Raises ModelNotFoundError where a folder that metadata names holds no model."""
    if not model_documents.is_folder(path):
        raise ModelNotFoundError(
            f"The registry says that the model lies in {path}, and there is no such folder. "
            "Name the model's folder in its place, or build where that folder is."
        )
    if not model_documents.is_file(path / _MLMODEL):
        raise ModelNotFoundError(
            f"The registry says that the model lies in {path}, and that folder holds no {_MLMODEL}."
        )


def is_in_store(address: str, artifact_uri: str) -> bool:
    """Tell whether an address lies in the remote store that a run's artifacts are in."""
    if not (_is_readable(address) and _is_readable(artifact_uri)):
        return False
    if _climbs(address) or model_uri.local_path(address) is not None:
        return False
    there, here = urlsplit(address), urlsplit(artifact_uri)
    if there.scheme in {"http", "https", "runs", "models"}:
        return False
    return (there.scheme, there.netloc) == (here.scheme, here.netloc)


def read_table_address(run: Any) -> str:
    """Read the address of the table that was logged with a run; empty where none was.

    A table that was logged as the training input goes first.

    https://mlflow.org/docs/latest/ml/dataset/: a dataset's source is JSON with its address.
    """
    found = list(run.inputs.dataset_inputs) if run is not None and run.inputs else []
    found.sort(key=lambda each: not any(tag.value == "training" for tag in each.tags))
    addresses = (read_address(each.dataset.source) for each in found)
    return next((each for each in addresses if each.lower().endswith(TABLES)), "")


def read_address(source: str) -> str:
    """Read the address in a logged dataset's source, which is JSON; empty where it has none."""
    try:
        told = json.loads(source)
    except (ValueError, RecursionError, TypeError):
        return ""
    return str(told.get("uri") or told.get("url") or "") if isinstance(told, dict) else ""


def _is_readable(address: str) -> bool:
    """Tell whether the address has a host and a port as addresses have them.

    What programs read in different ways has not: is a host before or after a backslash and an @?
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return False
    if "\0" in address or ("://" in address and _CONTROL.search(address)):
        return False
    # a host whose letters nobody sees, or sees in another order, is another than it seems
    if not parts.netloc.isprintable():
        return False
    if parts.scheme in {"http", "https"} and not parts.hostname:
        return False
    return _HOST.fullmatch(parts.netloc) is not None


def _climbs(address: str) -> bool:
    return ".." in re.split(r"[/\\]", unquote(urlsplit(address).path))


def _is_asked(parts: SplitResult, asked: Sequence[str]) -> bool:
    """Tell whether a server that the user named is at this host and port."""
    known = {
        urlsplit(uri).netloc.rpartition("@")[2]
        for uri in asked
        if "://" in uri and _is_readable(uri)
    }
    return parts.netloc.rpartition("@")[2] in known


def _make_refusal(source: str, why: str) -> RegistryUnavailableError:
    shown = "".join(each if each.isprintable() else "?" for each in without_password(source))
    return RegistryUnavailableError(
        f"The registry says that the model lies at {shown}, which is not opened: {why}.\n"
        "Where you trust that address, name it in the place of the model's: "
        # who wrote it into the registry also writes what is typed next
        f"`packager build {shlex.quote(shown)}`."
    )

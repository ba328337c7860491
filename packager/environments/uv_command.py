"""The one place that runs uv: an environment of its own, wheels alone, no configuration file."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from packager.environments.index_failures import (
    EVERYWHERE,
    explain_empty_index,
    explain_index_failure,
    explain_storage_failure,
    is_passing,
    is_unknown_package,
)
from packager.errors import IndexUnavailableError, StorageError, ToolError
from packager.system import cache, process
from packager.system.resources import find_home

_LOG = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0
"""Before an index that did not answer is asked once more, beyond what uv itself tries."""
# what a user may set for uv: where packages and Pythons come from, never what is chosen among them.
# https://docs.astral.sh/uv/reference/environment/
_SETTINGS: Final = (
    "UV_CACHE_DIR",
    "UV_CONCURRENT_",
    "UV_CREDENTIALS_DIR",
    "UV_DEFAULT_INDEX",
    "UV_EXCLUDE_NEWER",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_",
    "UV_INDEX",
    "UV_INSECURE_",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_NO_CACHE",
    "UV_NO_INDEX",
    "UV_OFFLINE",
    "UV_PYTHON_CACHE_DIR",
    "UV_PYTHON_DOWNLOADS_JSON_URL",
    "UV_PYTHON_INSTALL_DIR",
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_REQUEST_TIMEOUT",
    "UV_SYSTEM_CERTS",
)
_INDEX_SECONDS: Final = 60.0
_ANSWERING: Final[set[frozenset[tuple[str, str]]]] = set()
"""Environments whose indexes have been seen to have packages."""
_NO_INDEX: Final = "UV_NO_INDEX"
_OFF: Final = frozenset({"", "0", "false", "no", "off"})
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_NETWORK: Final = (
    *_PROXIES,
    *(name.lower() for name in _PROXIES),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("NETRC", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
)
_CACHE: Final = ("UV_CACHE_DIR", "UV_NO_CACHE", "XDG_CACHE_HOME")
_SECRET: Final = ("_PASSWORD", "_TOKEN")
_WITH_PASSWORD: Final = re.compile(r"://[^/\s@]*?:([^/\s]+)@")
# a keyring program asks the desktop's secret service
_KEYRING: Final = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")


@functools.cache
def path() -> Path:
    """The uv that was installed with this program."""
    from uv import find_uv_bin  # noqa: PLC0415 - only a build needs it

    return Path(find_uv_bin())


def build_environment() -> dict[str, str]:
    """Return what uv sees of this process's environment: the way to the user's own indexes.

    A requirements file may have uv expand any variable into an address, so that what is not
    listed here, a registry's password or a cloud's key, is not there to be expanded.
    """
    keyring = _KEYRING if process.inherit(("UV_KEYRING_PROVIDER",)) else ()
    found = {
        **process.basic_environment(),
        **process.inherit((*_NETWORK, *keyring), prefixes=_SETTINGS),
    }
    if find_home() is None and found.keys().isdisjoint(_CACHE):
        # without a home uv keeps its cache in the folder that it is started in
        found["UV_CACHE_DIR"] = str(cache.reserve_folder("uv"))
    return found


def run(
    arguments: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    timeout_seconds: float | None = None,
    check: bool = True,
) -> process.Done:
    """Run uv. Raises what `_process.run` raises."""
    return process.run(
        [path(), "--quiet", "--no-config", *arguments],
        cwd=cwd,
        env=build_environment(),
        timeout_seconds=timeout_seconds,
        check=check,
    )


def run_pip(
    verb: str,
    arguments: Sequence[str | Path],
    *,
    options: Sequence[str] = (),
    cwd: Path | None = None,
    stdin: bytes | None = None,
    timeout_seconds: float | None = None,
    check: bool = True,
) -> process.Done:
    """Run `uv pip compile` or `uv pip install` on wheels alone: no code of a package is run.

    `options` are a requirements file's on where packages come from; folders among them are
    relative to `cwd`. They travel by the environment, so that a password among them is in no file
    and in no list of processes. Raises IndexUnavailableError where an index does not answer and
    StorageError where uv cannot write, with `check` or without, and what `_process.run` raises.
    """
    env = _add_indexes(build_environment(), options)
    fixed = ["--quiet", "--no-config", "--no-python-downloads", "--only-binary", ":all:"]
    # uv reads no variable of that name
    fixed += ["--no-index"] if env.pop(_NO_INDEX, "").lower() not in _OFF else []
    argv = [path(), "pip", verb, *fixed, *arguments]

    def ask() -> process.Done:
        return process.run(
            argv, cwd=cwd, env=env, timeout_seconds=timeout_seconds, stdin=stdin, check=False
        )

    done = ask()
    if done.returncode < 0 or (done.returncode and is_passing(done.stderr)):
        # the same question is safe to put again: uv writes a lock, or a package, whole
        _LOG.debug("uv is run once more: %s", _hide_secrets(done.stderr.strip()[-500:], env))
        process.pause(_PAUSE_SECONDS)
        done = ask()
    done = replace(done, stderr=_hide_secrets(done.stderr, env))
    if done.returncode < 0:
        # it said nothing of the packages: that is no refusal of them
        raise ToolError(
            f"uv {process.name_ending(done.returncode)}, before it answered, twice. Run the "
            "command again."
        )
    if done.returncode != 0:
        _raise_known_failure(done.stderr)
        if check:
            raise process.explain_failure(
                "uv", replace(done, stdout=_hide_secrets(done.stdout, env))
            )
    return done


def check_index(options: Sequence[str] = ()) -> None:
    """Ask for wheels that every index has, until there is one.

    `options` are as `run_pip` takes them. Raises IndexUnavailableError where no index has any, and
    ToolError where uv fails before it has asked.
    """
    env = _add_indexes(build_environment(), options)
    asked = frozenset(env.items())
    if asked in _ANSWERING or env.get(_NO_INDEX, "").lower() not in _OFF:
        return
    failures = []
    for name in EVERYWHERE:
        done = run_pip(
            "compile",
            ["--no-deps", "-"],
            options=options,
            stdin=f"{name}\n".encode(),
            timeout_seconds=_INDEX_SECONDS,
            check=False,
        )
        if done.returncode == 0:
            _ANSWERING.add(asked)
            return
        failures.append(done)
    if not any(is_unknown_package(each.stderr) for each in failures):
        # uv failed by itself, and says nothing of what the index has
        raise process.explain_failure("uv", failures[-1])
    raise IndexUnavailableError(explain_empty_index(env))


def list_secret_variables() -> tuple[str, ...]:
    """List what uv sees of this process's environment and could write into an address, sorted."""
    return tuple(
        sorted(
            name
            for name, value in build_environment().items()
            if (value and name.endswith(_SECRET)) or _WITH_PASSWORD.search(value)
        )
    )


def _raise_known_failure(said: str) -> None:
    """Raises IndexUnavailableError or StorageError for what tells nothing of the packages."""
    if why := explain_index_failure(said):
        raise IndexUnavailableError(why) from None
    if why := explain_storage_failure(said):
        raise StorageError(why) from None


def _hide_secrets(words: str, env: Mapping[str, str]) -> str:
    """Hide the passwords in what uv said: it fills them in where asked to."""
    secrets = {value for name, value in env.items() if name.endswith(_SECRET)}
    for value in env.values():
        secrets.update(_WITH_PASSWORD.findall(value))
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        words = words.replace(secret, "***")
    return words


def _add_indexes(env: dict[str, str], options: Sequence[str]) -> dict[str, str]:
    """`env` with a requirements file's indexes, none of which is asked before one of the user's.

    uv takes a package from the first index that has it, so that a name on the user's own index
    cannot be taken over.
    """
    values: dict[str, list[str]] = {}
    for name, _, value in (option.partition(" ") for option in options):
        values.setdefault(name, []).append(value)
    extra, instead = values.get("--extra-index-url", []), values.get("--index-url", [])
    links = values.get("--find-links")
    if extra or instead:
        own = [*env.pop("UV_INDEX", "").split(), *env.pop("UV_EXTRA_INDEX_URL", "").split()]
        default = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL")
        if default is None and instead:
            *extra_last, env["UV_DEFAULT_INDEX"] = instead
        else:
            own += [default] if default else []
            extra_last = instead
        env["UV_INDEX"] = " ".join(dict.fromkeys([*own, *extra, *extra_last]))
    if links:
        env["UV_FIND_LINKS"] = ",".join(filter(None, [env.get("UV_FIND_LINKS", ""), *links]))
    if "--no-index" in values:
        env[_NO_INDEX] = "1"
    return env

"""Settings that the tools which deploy take out of the artifact's folder, and no digest covers.

`sam deploy --guided` writes your answers into samconfig.toml, Terraform keeps its providers beside
its files, azd its environments. Each of them may change what is deployed, so that what a signature
holds says nothing of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

from packager.commands.artifact.added_files import AZD, SAM_BUILD, list_tools_own
from packager.commands.artifact.description import (
    DescribedArtifact,
    find_inside,
    is_regular,
    read_own_text,
)
from packager.system.file_tree import sha256
from packager.types import ArtifactCheck

SAMCONFIG: Final = "samconfig.toml"
CHECK: Final = "unsigned settings"
_GUIDED: Final = frozenset(
    {
        *("stack_name", "s3_bucket", "s3_prefix", "resolve_s3", "region", "profile"),
        *("confirm_changeset", "capabilities", "disable_rollback", "parameter_overrides"),
        *("image_repository", "image_repositories", "resolve_image_repos", "signing_profiles"),
    }
)
"""Keys that `sam deploy --guided` writes: `save_config` in samcli's guided_config.py, 1.150."""
_HARMLESS: Final = frozenset(
    {
        *("lint", "tags", "role_arn", "notification_arns", "fail_on_empty_changeset"),
        *("force_upload", "kms_key_id", "no_progressbar", "on_failure", "max_wait_duration"),
    }
)
"""Keys that choose neither a template nor code, whoever writes them."""
_SHOWN_CHARACTERS: Final = 200


def check_samconfig(artifact: DescribedArtifact) -> Iterator[str]:
    """Yield what `sam` would take out of a changed samconfig.toml, and no guided deployment writes.

    A key that is not known may name another template or other code: `template_file`, `hook_name`.
    """
    if not is_samconfig_changed(artifact):
        return
    for place, key, _ in _read_settings(artifact):
        if not key:
            yield f"{SAMCONFIG} has {place!r}, which is no table of a command. Remove it."
        elif _normalize(key) not in _GUIDED | _HARMLESS:
            yield (
                f"{SAMCONFIG} sets {key!r} in [{place}], which `sam deploy --guided` does not "
                "write: another template or other code may be deployed. Remove it."
            )


def note_samconfig(artifact: DescribedArtifact) -> Iterator[str]:
    """Tell of a changed samconfig.toml, and of the template's parameters that it sets."""
    if not is_samconfig_changed(artifact):
        return
    yield f"{SAMCONFIG} was changed. No digest and no signature covers your settings in it."
    for place, key, value in _read_settings(artifact):
        if _normalize(key) == "parameter_overrides":
            told = _describe_overrides(value)[:_SHOWN_CHARACTERS]
            yield f"{SAMCONFIG} sets parameters of the template in [{place}]: {told}."


def check_unsigned(artifact: DescribedArtifact) -> ArtifactCheck:
    """Name every setting of a tool that no signature covers, for whoever asks for one."""
    problems = []
    if is_samconfig_changed(artifact):
        problems.append(f"{SAMCONFIG} was changed")
    problems += [f"{name} was added" for name in list_tools_own(artifact)]
    problems += [
        f"{name} was added"
        for name, taken in ((SAM_BUILD, artifact.archive is None), (AZD, _has_azd(artifact)))
        if taken and (artifact.home / name).exists()
    ]
    return {
        "name": CHECK,
        "passed": not problems,
        "problems": [
            f"{each}: no signature covers it, and what deploys the artifact reads it. Look at it, "
            "and remove it or pass --allow-settings."
            for each in problems
        ],
    }


def is_samconfig_changed(artifact: DescribedArtifact) -> bool:
    """False where the artifact has none: that it is missing is told elsewhere."""
    built = artifact.emitted.get(SAMCONFIG)
    path = find_inside(artifact.home, SAMCONFIG)
    return built is not None and path is not None and is_regular(path) and sha256(path) != built


def _has_azd(artifact: DescribedArtifact) -> bool:
    return "azure.yaml" in artifact.emitted


def _read_settings(artifact: DescribedArtifact) -> Iterator[tuple[str, str, object]]:
    """Yield (table, key, value) of each setting; no key where a table is none of a command's.

    Raises ModelFormatError for a file that cannot be read, ValueError for what is no TOML.
    """
    try:
        told = tomllib.loads(read_own_text(artifact.home / SAMCONFIG))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{SAMCONFIG} is no TOML: {error}") from error
    for environment, commands in told.items():
        if environment == "version":
            continue
        for command, sections in _list_entries(commands):
            for section, settings in _list_entries(sections):
                place = ".".join(filter(None, (environment, command, section)))
                if not isinstance(settings, dict):
                    yield place, "", settings
                for key, value in _list_entries(settings):
                    if key:
                        yield place, key, value


def _list_entries(value: object) -> Iterator[tuple[str, object]]:
    """The entries of a table; what is no table is one without a name."""
    if isinstance(value, Mapping):
        yield from value.items()
    else:
        yield "", value


def _normalize(key: str) -> str:
    """As `sam` reads a key: options have hyphens."""
    return key.replace("-", "_").lower()


def _describe_overrides(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)

"""`packager replay`: ask what is deployed the recorded requests of its artifact's proof."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from packager.commands import artifact
from packager.commands.artifact.integrity import warn_of_changes
from packager.commands.artifact.recorded_requests import find_recorded
from packager.errors import CloudError, ConfigurationError, ModelFormatError
from packager.pipeline.answers.comparison import split_differences
from packager.pipeline.answers.over_http import Endpoint, EndpointError, UsageError, read_headers
from packager.pipeline.answers.recorded import Found, ask_again
from packager.system import process


class ReplayResult(Found):
    """Answers of a deployed app, compared with those that the proof recorded."""

    check: str
    url: str


def replay_deployed(
    folder: Path, url: str, *, headers: Iterable[str] = (), seconds: float = 600.0
) -> ReplayResult:
    """Ask the app at `url` what the artifact's registered model answered, and compare.

    `headers` are `NAME=VARIABLE`; `seconds` is the time for all of it. Raises ModelFormatError
    where `folder` is no artifact, ConfigurationError for an artifact without recorded requests or
    for what cannot be asked by, CloudError where the app cannot be asked.
    """
    recorded = _find_recorded(folder)
    warn_of_changes(folder)
    try:
        words = tuple(headers)
        named = process.inherit(word.partition("=")[2] for word in words)
        endpoint = Endpoint(url, read_headers(words, named), seconds)
    except UsageError as error:
        raise ConfigurationError(str(error)) from error
    try:
        found = ask_again(recorded, endpoint, split_differences, has_time=endpoint.has_time)
    except EndpointError as error:
        raise CloudError(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(
            f"{recorded} cannot be read as what a build wrote ({error}). Build the artifact again, "
            "or check it with `packager verify`."
        ) from error
    return ReplayResult(check="replay", url=endpoint.url, **found)


def _find_recorded(folder: Path) -> Path:
    if (found := find_recorded(artifact.read(folder).home)) is not None:
        return found
    raise ConfigurationError(
        f"{folder} has no recorded requests. An artifact for azure-functions or gpu-container has "
        "them if it is proven, one for AWS if it was built with --rollout: build it again."
    )


def describe_problem(found: ReplayResult) -> str:
    """Say in a sentence why the app must not get traffic."""
    if why := found.get("problem"):
        return f"{found['url']}: {why} Give more time with --timeout."
    places = "; ".join(f"{each['request']}: {each['where']}" for each in found["differences"])
    return (
        f"{found['differing']} of {found['requests']} recorded requests were answered otherwise "
        f"than the registered model answered them ({places}). Keep the traffic where it is, and "
        "compare what is deployed with the artifact: `packager verify`."
    )

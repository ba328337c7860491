"""A build that could prove nothing ends before anything is installed, and so does its dry run."""

from __future__ import annotations

import contextlib
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.environments import lockfile, virtual_environments
from packager.environments.lockfile import Wanted
from packager.errors import ConfigurationError, UnprovenError, UnresolvableError
from packager.pipeline import build
from packager.pipeline.plan import check_provable
from packager.targets import processor_emulation
from packager.types import BuildRequest, Lock, SavedExample, make_request
from tests import fake_plan

SIGNATURE = {"inputs": [{"type": "double", "name": "a", "required": True}]}
EXAMPLE = SavedExample(body=b'{"inputs": [1]}', content_type="application/json", source="test")
BARE = replace(fake_plan.model(), signature=None, example=None)
OTHER = "arm64" if platform.machine().lower() in {"x86_64", "amd64"} else "x86_64"


def _request(**changes: Any) -> BuildRequest:
    own = "x86_64" if OTHER == "arm64" else "arm64"
    return make_request(
        **{"model_uri": "m", "out_dir": Path("out"), "architecture": own, **changes}
    )


@pytest.mark.parametrize(
    ("changes", "model", "why"),
    [
        ({}, BARE, "neither a signature nor a saved example"),
        ({"rows": 0}, BARE, "neither a signature nor a saved example"),
        ({"architecture": OTHER}, replace(BARE, signature=SIGNATURE), "cannot boot it"),
        ({"architecture": OTHER}, replace(BARE, example=EXAMPLE), "cannot boot it"),
    ],
)
def test_what_nothing_could_be_compared_of_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], model: Any, why: str
) -> None:
    monkeypatch.setattr(processor_emulation, "find_qemu", lambda: None)
    attempts = (fake_plan.plan(),)
    with pytest.raises(UnprovenError, match=rf"{why}(?s:.)*--allow-unproven") as caught:
        check_provable(_request(**changes), model, attempts)
    assert caught.value.exit_code == 8
    check_provable(_request(**changes, allow_unproven=True), model, attempts)


@pytest.mark.parametrize("known", [{"signature": SIGNATURE}, {"example": EXAMPLE}])
def test_a_signature_or_an_example_will_do(known: dict[str, Any]) -> None:
    check_provable(_request(), replace(BARE, **known), ())
    check_provable(_request(rows=0), replace(BARE, **known), ())


@pytest.mark.parametrize("kept", [True, False])
def test_a_model_whose_own_environment_does_not_resolve_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """Nothing is installed for it; an environment that is there already resolved once."""
    attempts = (fake_plan.plan(),)
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path))
    monkeypatch.setattr(virtual_environments, "interpreter_of", lambda model, other: (other, ""))

    def lock(wanted: Wanted) -> Lock:
        raise UnresolvableError(f"no wheel of {wanted.requirements[0]}")

    monkeypatch.setattr(lockfile, "lock", lock)
    model = replace(fake_plan.model(), signature=SIGNATURE)
    if kept:
        monkeypatch.setattr(virtual_environments, "_name_entry", lambda wanted, label: label)
        (tmp_path / "environments" / "model").mkdir(parents=True)
        check_provable(_request(), model, attempts)
        return
    with pytest.raises(UnprovenError, match=r"cannot be installed(?s:.)*no wheel of scikit-learn"):
        check_provable(_request(), model, attempts)
    check_provable(_request(allow_unproven=True), model, attempts)


def _build(request: BuildRequest) -> object:
    return build.build(request, registry=None)  # type: ignore[arg-type]


def _dry_run(request: BuildRequest) -> object:
    with build.plan_build(request, registry=None, as_built=True) as found:  # type: ignore[arg-type]
        return found


def _inspect(request: BuildRequest) -> object:
    with build.plan_build(request, registry=None) as found:  # type: ignore[arg-type]
        return found


@pytest.mark.parametrize(
    ("run", "refused"),
    [(_build, True), (_dry_run, True), (_inspect, False)],
    ids=["build", "--dry-run", "inspect"],
)
def test_a_dry_run_ends_as_the_build_would_and_inspect_does_not(
    run: Callable[[BuildRequest], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    refused: bool,
) -> None:
    monkeypatch.setattr(build, "check", lambda request: None)
    monkeypatch.setattr(build, "resolve", lambda request, registry, work: BARE)
    monkeypatch.setattr(build, "plan", lambda request, model, target: ())
    with _expecting(refused=refused):
        run(_request(out_dir=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@contextlib.contextmanager
def _expecting(*, refused: bool) -> Iterator[None]:
    if refused:
        with pytest.raises(UnprovenError):
            yield
    else:
        yield


def test_a_dry_run_warns_of_a_folder_that_a_build_would_not_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is written, and the plan is what was asked for."""
    monkeypatch.setattr(build, "check", lambda request: None)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigurationError, match="no build made"):
        _build(_request(out_dir=tmp_path))

    build._warn_of_folder(tmp_path)

    assert re.search("The build itself would stop: .* no build made", caplog.text)


def test_what_resolves_on_this_machine_alone_is_asked_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path))
    monkeypatch.setattr(virtual_environments, "interpreter_of", lambda model, other: (other, ""))
    monkeypatch.setattr(virtual_environments, "choose_platform", lambda platform: platform)
    tried: list[str | None] = []

    def lock(wanted: Wanted) -> Lock:
        tried.append(wanted.platform)
        if wanted.platform:
            raise UnresolvableError("no wheel")
        return Lock(text="", packages=())

    monkeypatch.setattr(lockfile, "lock", lock)
    model, attempt = replace(fake_plan.model(), signature=SIGNATURE), fake_plan.plan()
    check_provable(_request(), model, (attempt,))
    assert tried == [attempt.platform, None]

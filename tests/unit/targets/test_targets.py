from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from packager import targets
from packager.errors import UnknownTargetError
from packager.system.resources import TEMPLATES
from packager.targets.hosts import HOSTS
from packager.types import HostKind

FOLDER = Path(targets.__file__).parent


def test_file_index_and_templates_do_not_drift() -> None:
    stems = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    assert {name.replace("-", "_") for name in targets.TARGETS} == stems
    assert stems <= {path.name for path in TEMPLATES.iterdir() if path.is_dir()}


@pytest.mark.parametrize("name", sorted(targets.TARGETS))
def test_a_target_is_made_of_its_own_facts(name: str) -> None:
    target = targets.load(name)
    assert target.name == name
    assert target.deployment.templates == name.replace("-", "_")
    assert target.runtimes
    assert target.way_out not in {"", name}


def test_every_kind_of_host_is_known_and_runs_a_target() -> None:
    kinds = {targets.load(name).program.host for name in targets.TARGETS}
    assert {*HOSTS} == {*HostKind} == kinds


def test_an_unknown_target_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownTargetError, match=r"'gcp'.*Known targets: aws-lambda"):
        targets.load("gcp")


def test_the_release_of_pyjwt_that_takes_parts_of_an_issuer_is_not_installed() -> None:
    """Version 2.10.0 does (CVE-2024-53861), and a model may pin it."""
    check = targets.load("gpu-container").program.token_check

    assert check is not None
    (pyjwt,) = (Requirement(each) for each in check.requires if each.startswith("pyjwt"))
    allowed = pyjwt.specifier.filter(["2.8.0", "2.9.0", "2.10.0", "2.10.1"])
    assert list(allowed) == ["2.8.0", "2.9.0", "2.10.1"]

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from packager import facts
from packager.errors import FactsError
from packager.facts import devices
from packager.system.resources import FACTS
from packager.types import Device

FILES = sorted(FACTS.glob("*.toml"))


def _entries(path: Path) -> list[tuple[str, dict[str, Any]]]:
    parsed = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        (f"{path.name} {key}", table)
        for key, value in parsed.items()
        for table in (value if isinstance(value, list) else [value])
    ]


@pytest.mark.parametrize(("where", "table"), [entry for path in FILES for entry in _entries(path)])
def test_every_fact_says_where_from_and_when(where: str, table: dict[str, Any]) -> None:
    assert str(table["source"]).startswith("https://"), where
    assert table["as_of"].year >= 2026, where


def test_lambda_s_limits() -> None:
    limits = facts.limits("aws-lambda")
    assert limits.unzipped_bytes == 262_144_000
    assert limits.request_bytes == 6 * 2**20
    assert limits.memory_mb == (128, 10_240)
    assert limits.timeout_seconds == 1800


def test_runtimes_come_in_the_order_of_their_python() -> None:
    names = [runtime.python_minor for runtime in facts.runtimes("aws-lambda")]
    assert names == ["3.10", "3.11", "3.12", "3.13", "3.14"]


def test_the_old_system_has_the_old_glibc() -> None:
    by_minor = {runtime.python_minor: runtime for runtime in facts.runtimes("aws-lambda")}
    assert (by_minor["3.11"].glibc, by_minor["3.11"].os) == ((2, 26), "Amazon Linux 2")
    assert (by_minor["3.12"].glibc, by_minor["3.12"].os) == ((2, 34), "Amazon Linux 2023")


@pytest.mark.parametrize("target", ["aws-lambda", "azure-functions"])
def test_a_wheel_s_platform_never_asks_for_more_than_the_system_s_glibc(target: str) -> None:
    for runtime in facts.runtimes(target):
        for tag in runtime.platforms.values():
            major, minor = tag.rsplit("_", 2)[-2:]
            assert (int(major), int(minor)) <= runtime.glibc


def test_the_emulator_is_pinned_for_both_architectures() -> None:
    files = facts.tools()["aws-sam-cli"].files
    assert {name.rsplit("-", 1)[1] for name in files} == {"x86_64", "arm64"}
    assert all(len(digest) == 64 for digest in files.values())


@pytest.mark.parametrize("name", ["libgomp.so.1", "libgomp.so.1.0.0"])
def test_the_system_has_no_libgomp_and_two_wheels_do(name: str) -> None:
    assert all(name not in r.libraries for r in facts.runtimes("aws-lambda"))
    donors = [donor.distribution for donor in facts.donors() if donor.library == name]
    assert donors == ["scikit-learn", "xgboost-cpu"]


def test_xgboost_has_a_build_for_machines_without_a_gpu() -> None:
    found = devices.builds(Device.CPU, None)
    assert [(s.name, s.by) for s in found.substitutes] == [
        ("xgboost", "xgboost-cpu"),
        ("tensorflow", "tensorflow-cpu"),
    ]
    assert "nvidia-*" in [excluded.pattern for excluded in found.excluded]


def test_a_folder_overrides_file_by_file(tmp_path: Path) -> None:
    text = (FACTS / "aws_lambda.toml").read_text(encoding="utf-8")
    own = text.replace("timeout_seconds = 1800", "timeout_seconds = 60")
    (tmp_path / "aws_lambda.toml").write_text(own, encoding="utf-8")
    assert facts.limits("aws-lambda", tmp_path).timeout_seconds == 60
    assert facts.tools(tmp_path) == facts.tools()


def test_everything_wrong_with_a_file_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "libraries.toml").write_text(
        '[[donors]]\nlibrary = "libgomp.so.1"\nglob = 3\n'
        'source = "http://example.com"\nas_of = "yesterday"\n',
        encoding="utf-8",
    )
    with pytest.raises(FactsError) as caught:
        facts.donors(tmp_path)
    for key in ("distribution", "glob", "source", "as_of"):
        assert f"libraries.toml [[donors]] 1: {key} must be" in str(caught.value)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "cpu.toml").write_text("[[", encoding="utf-8")
    with pytest.raises(FactsError, match=r"cpu\.toml cannot be read as TOML"):
        devices.builds(Device.CPU, None, tmp_path)


def test_a_runtime_on_an_unknown_system_is_refused(tmp_path: Path) -> None:
    text = (FACTS / "aws_lambda.toml").read_text(encoding="utf-8")
    own = text.replace('system = "al2"', 'system = "al3"')
    (tmp_path / "aws_lambda.toml").write_text(own, encoding="utf-8")
    with pytest.raises(FactsError, match="'al3' is not one of al2, al2023"):
        facts.runtimes("aws-lambda", tmp_path)


@pytest.mark.parametrize("value", ["0", "-1", "true", '"900"'])
def test_a_limit_is_a_whole_number_above_zero(tmp_path: Path, value: str) -> None:
    text = (FACTS / "aws_lambda.toml").read_text(encoding="utf-8")
    own = text.replace("timeout_seconds = 1800", f"timeout_seconds = {value}")
    (tmp_path / "aws_lambda.toml").write_text(own, encoding="utf-8")
    with pytest.raises(FactsError, match="timeout_seconds must be a whole number above 0"):
        facts.limits("aws-lambda", tmp_path)

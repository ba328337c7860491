"""Requirement lines that are refused before anything is resolved."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from packager.errors import PlanError
from packager.pipeline.plan.requirements import _refusals
from packager.types import Requirements
from tests import fake_plan, wheels


def _check(
    *lines: str,
    constraints: tuple[str, ...] = (),
    trusted: bool = False,
    python: str | None = "3.12.1",
) -> None:
    model = fake_plan.model(
        requirements=Requirements(lines=lines, constraints=constraints), python_version=python
    )
    _refusals.check(model, trusted=trusted)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("numpy @ file:///home/conda/feedstock_root/numpy_17/work", "write numpy==VERSION"),
        ("numpy @ file:///croot/numpy-2.0-py3-none-any.whl", "write numpy==2.0,"),
        ("numpy@file:///tmp/x", "write numpy==VERSION"),
        ("./local", "a file of the machine"),
        ("/abs/folder", "a file of the machine"),
        ("C:\\\\x\\\\own", "a file of the machine"),
        ("git+https://example.com/own.git", "never code from a repository"),
        ("git+ssh://git@example.com/own.git@v1#egg=own", "never code from a repository"),
        ("own @ git+https://example.com/own.git@main", "never code from a repository"),
        ("own @ hg+https://example.com/own", "never code from a repository"),
        ("git@example.com:me/own.git", "never code from a repository"),
        ("own @ GIT+https://example.com/own", "never code from a repository"),
        ("own @ code/own", "code would run here to build it"),
        ("own@own", "code would run here to build it"),
        ("own[all] @ git+code/own", "code would run here to build it"),
        ("own @ code/own-1.0.tar.gz#egg=own", "it is a source archive"),
        ("own @ code/own-1.0.tar.zst", "code would run here to build it"),
        ("own @ FILE:code/own", "write own==VERSION"),
        (
            "own @ code/own-1.0-py3-none-any.whl ; python_version > '3'",
            "write code/own-1.0-py3-none-any.whl",
        ),
        ("own @ https://[::1/own-1.0-py3-none-any.whl", "its address cannot be read"),
        (f'own ; {"(" * 900}python_version > "3"{")" * 900}', "cannot be read"),
        ("own @ https://example.com/own-1.0.tar.gz", "it is not a wheel"),
        ("own @ https://example.com/archive/main.zip", "it is not a wheel"),
        ("own @ https://example.com/own-1.0-py3-none-any.whl", "only the model names example.com"),
        ("own @ ftp://example.com/own-1.0-py3-none-any.whl", "nothing is fetched over ftp"),
        ("https://example.com/own-1.0-py3-none-any.whl", "package's name before it"),
        ("https://example.com/own.tar.gz", "it is not a wheel"),
        ("own-1.0.tar.gz", "it is a source archive"),
        ("own.whl", "it is not a wheel's name"),
        ("numpy=1.26.4", "write numpy==1.26.4"),
        ("numpy=1.26.4=py312h_0", "write numpy==1.26.4"),
        ("a b c", "it cannot be read"),
        ("numpy==", "it cannot be read"),
        ("pandas>=3,<2", "no version of pandas is all of that"),
    ],
)
def test_a_line_that_no_wheel_answers_is_refused(line: str, said: str) -> None:
    with pytest.raises(PlanError, match="cannot be locked") as caught:
        _check("six", line)
    assert said in str(caught.value)
    if "no version" not in said:
        with pytest.raises(PlanError) as caught:
            _check("six", constraints=(line,))
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "six",
        "torch==2.1+cpu",
        "six===1.16.0",
        "pandas[parquet]>=2,<4 ; python_version > '3.9'",
        "foo.bar_baz~=1.4",
    ],
)
def test_a_line_that_can_be_resolved_is_none_of_them(line: str) -> None:
    _check(line)


def test_a_wheel_is_fetched_from_an_address_that_is_trusted() -> None:
    line = "own @ https://example.com/own-1.0-py3-none-any.whl#sha256=" + "0" * 64
    _check(line, trusted=True)
    with pytest.raises(PlanError, match=r"keep them in ~/\.netrc") as caught:
        _check(line.replace("://", "://me:pw@"), trusted=True)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UV_INDEX_CORP_PASSWORD", "s3cret"),
        ("UV_DEFAULT_INDEX", "https://me:s3cret@example.com/simple"),
        ("HTTPS_PROXY", "http://me:s3cret@example.com:3128"),
    ],
)
def test_no_password_is_there_to_be_filled_into_what_a_trusted_wheel_requires(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "own @ https://example.com/own-1.0-py3-none-any.whl"
    _check(line, trusted=True)
    monkeypatch.setenv(name, value)
    with pytest.raises(PlanError, match=f"{name} would be filled in") as caught:
        _check(line, trusted=True)
    assert "s3cret" not in str(caught.value)
    _check("six", trusted=True)


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ("x @ http://example.com/${UV_INDEX_CORP_PASSWORD}/x-1-py3-none-any.whl", "placeholder"),
        ("x[a] @ https://example.com/x-1-py3-none-any.whl", "only the model names example.com"),
        ("x @\n  https://example.com/x-1-py3-none-any.whl", "only the model names example.com"),
        ("x @ git+https://example.com/x", "never code from a repository"),
        ("x @ file:///etc/x-1-py3-none-any.whl", "a file of the machine"),
        ("x>=1 ; extra == 'y'", ""),
    ],
)
def test_what_a_wheel_in_the_model_requires_is_looked_at(
    required: str, said: str, tmp_path: Path
) -> None:
    path = wheels.make(tmp_path, "own", {}, metadata=f"Requires-Dist: {required}\n")
    model = fake_plan.model(root=tmp_path, requirements=Requirements(lines=(path.name,)))
    if not said:
        _refusals.check(model, trusted=False)
        return
    with pytest.raises(PlanError, match=f"{path.name} requires x.*{said}"):
        _refusals.check(model, trusted=False)


@pytest.mark.parametrize(
    ("lines", "constraints", "said"),
    [
        (("pandas==3.1.1", "pandas<2"), (), "pandas==3.1.1 conflicts with pandas<2"),
        (("pandas==3.1.1",), ("pandas<2",), "pandas==3.1.1 conflicts with pandas<2"),
        (
            ("Pandas==3.1.1", "pandas[x]==3.1.0"),
            (),
            "Pandas==3.1.1 conflicts with pandas[x]==3.1.0",
        ),
        (("a==1.0 ; python_version < '3.13'", "a>1"), (), "conflicts with a>1"),
        (("a>1", "a!=1.5", "a<1.4", "a>1.4"), (), "a<1.4 conflicts with a>1.4"),
    ],
)
def test_lines_that_cannot_both_hold_are_named(
    lines: tuple[str, ...], constraints: tuple[str, ...], said: str
) -> None:
    with pytest.raises(PlanError) as caught:
        _check(*lines, constraints=constraints)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "constraints"),
    [
        (("a==1.0 ; python_version < '3.9'", "a>1"), ()),
        (("a==1.0", "a==1.*"), ()),
        (("a==1.0", "a==1.0+cpu"), ()),
        (("b",), ("a<1", "a>2")),
        (("a>=1", "a<2"), ("a!=1.5",)),
    ],
)
def test_lines_that_go_together_are_none_of_them(
    lines: tuple[str, ...], constraints: tuple[str, ...]
) -> None:
    _check(*lines, constraints=constraints)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        _check("a b", "git+https://example.com/x", "numpy @ file:///x")
    assert str(caught.value).count("\n  - ") == 3


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("lines", "constraints"),
    [
        (tuple(f"own>=1.{number}" for number in range(10_000)), ()),
        (("own",), tuple(f"own<{number}" for number in range(1, 10_000))),
        (tuple(f"own!=1.{number}" for number in range(10_000)), ()),
    ],
)
def test_thousands_of_lines_on_one_package_are_not_compared_with_each_other(
    lines: tuple[str, ...], constraints: tuple[str, ...]
) -> None:
    began = time.process_time()
    with pytest.raises(PlanError, match="own is on 10,000 lines; leave one of them"):
        _check(*lines, constraints=constraints)
    assert time.process_time() - began < 5


def test_thousands_of_packages_are_looked_at_quickly() -> None:
    began = time.process_time()
    _check(*(f"own{number}==1.0" for number in range(10_000)))
    assert time.process_time() - began < 5


@pytest.mark.parametrize("flags", [0x1, 0x0])
def test_a_wheel_whose_metadata_is_damaged_is_refused(flags: int, tmp_path: Path) -> None:
    path = wheels.make(tmp_path, "own", {}, metadata="Requires-Dist: six\n")
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02", content.rindex(b"Requires-Dist"))
    while b"METADATA" not in content[at : at + 120]:
        at = content.index(b"PK\x01\x02", at + 4)
    content[at + 8] |= flags  # it has a password
    content[at + 10] = content[at + 10] if flags else 99  # no such way to pack
    path.write_bytes(content)
    model = fake_plan.model(root=tmp_path, requirements=Requirements(lines=(path.name,)))
    with pytest.raises(PlanError, match="cannot be read as a wheel"):
        _refusals.check(model, trusted=False)

"""Lists that people save as requirements.txt: what programs print, beside or in place of pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from packager.errors import ModelFormatError
from packager.facts.modules import conda_names
from packager.pipeline.plan.requirements import _lines
from packager.pipeline.resolve import _environment
from tests import fake_plan

PINS = ("numpy==2.2.0", "six==1.16.0")
LISTS: dict[str, str | bytes] = {
    "pip list": "Package Version\n------- -------\nnumpy   2.2.0\nsix     1.16.0\n",
    "pip list -v": (
        "Package    Version  Location          Installer\n"
        "---------- -------- ----------------- ---------\n"
        "numpy      2.2.0    /usr/lib/python3  pip\nsix 1.16.0 /usr/lib/python3 conda\n"
    ),
    "an old pip's list": "numpy (2.2.0)\nsix (1.16.0)\n",
    "conda list": (
        "# packages in environment at /opt/conda:\n#\n# Name  Version  Build  Channel\n"
        "numpy   2.2.0   py313h8_0   conda-forge\nsix   1.16.0   pypi_0   pypi\n"
    ),
    "mamba list": (
        '  List of packages in environment: "/opt/conda"\n\n  Name   Version  Build  Channel\n'
        "─────────────────────────────\n  numpy  2.2.0  py313h8_0  conda-forge\n"
        "  six    1.16.0 pyh6c4a22f_0 conda-forge\n"
    ),
    "headings": "Package==Version\n-------\nnumpy==2.2.0\nsix==1.16.0\n",
    "warnings": (
        "WARNING: You are using pip version 21.2; use --upgrade pip\nDEPRECATION: 3.5 ends.\n"
        "You should consider upgrading via the 'pip install --upgrade pip' command.\n"
        "Using Python 3.12.1 environment at: .venv\nResolved 2 packages in 4ms\n"
        "numpy==2.2.0\nsix==1.16.0\n\n[notice] A new release of pip is available: 24.0 -> 25.1\n"
    ),
    "notes of pip-compile": "numpy==2.2.0\n  # via mlflow\nsix==1.16.0\n  via -r some.in\n",
    "quotes": "\"numpy==2.2.0\",\n'six==1.16.0'\n",
    "semicolons": "numpy==2.2.0;\nsix==1.16.0 ;\n",
    "letters that do not show": "\ufeffnumpy==2.2.0\u200b\nsix\u00a0==\u00a01.16.0\n",
    "commands": "!pip install -U numpy==2.2.0\npython3 -m pip install 'six==1.16.0'\n",
    "one line": "numpy==2.2.0 six==1.16.0\n",
    "a list in YAML": "- numpy==2.2.0\n- six==1.16.0\n",
    "a line that would go on": "numpy==2.2.0\nsix==1.16.0 \\",
    "PowerShell": "Package Version\r\n--- ---\r\nnumpy 2.2.0\r\nsix 1.16.0\r\n".encode("utf-16"),
}
USED = (
    *("numpy", "numpy==2.2.0", "numpy ==2.2.0", "numpy >= 2, < 3", "numpy==2.2.0 ; extra == 'x'"),
    *("numpy==2.2.0;python_version>='3.8'   and(sys_platform=='linux')", "via", "warning==1.0"),
    *("numpy (>=2.0)", "notice", "name==1.0", "package==1.0"),
)
"""Requirements, however odd."""


def _settle(root: Path, text: str | bytes) -> tuple[tuple[str, ...], int]:
    content = text if isinstance(text, bytes) else text.encode()
    (root / "requirements.txt").write_bytes(content)
    read = _environment.read(root, {}).requirements
    settled = _lines.settle_lines(fake_plan.model(requirements=read), conda_names()).requirements
    return tuple(line.replace(" ", "") for line in settled.lines), settled.declared


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_read_as_the_pins_that_it_has(name: str, tmp_path: Path) -> None:
    assert _settle(tmp_path, LISTS[name]) == (PINS, 2)


@pytest.mark.parametrize("line", USED)
def test_a_requirement_is_used_as_it_is(line: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(line, encoding="utf-8")
    read = _environment.read(tmp_path, {}).requirements
    assert (read.lines, read.changes) == ((line,), ())


def test_what_is_not_used_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "Package Version\n--- ---\nsix 1.16.0\nWARNING: pip is old\n", encoding="utf-8"
    )

    read = _environment.read(tmp_path, {})

    assert read.notes == (
        "The requirements' line `Package Version` is not used: it is the heading of a table.",
        "The requirements' line `--- ---` is not used: it is the heading of a table.",
        (
            "The requirements' line `WARNING: pip is old` is not used: it is a message that a"
            " program printed beside the list."
        ),
    )
    (change,) = read.requirements.changes
    assert (change.line, change.used) == ("six 1.16.0", "six==1.16.0")
    assert change.reason == "it is a row of `pip list`"


def test_a_project_that_is_installed_in_place_is_left_out(tmp_path: Path) -> None:
    text = "Package Version Editable project location\n--- --- ---\nchurn 0.1 /home/ola/churn\n"
    assert _settle(tmp_path, f"{text}six 1.16.0\n") == (("six==1.16.0",), 2)


def test_constraints_are_read_in_the_same_forms(tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("Package Version\n--- ---\nsix 1.16.0\n", encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("six\n-c limits.txt\n", encoding="utf-8")

    read = _environment.read(tmp_path, {}).requirements

    assert (read.lines, read.constraints) == (("six",), ("six==1.16.0",))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ERROR: Exception:", "packages may be missing"),
        ("Traceback (most recent call last):", "packages may be missing"),
        ("<<<<<<< HEAD", "a merge that was not finished"),
        ("=======", "a merge that was not finished"),
        ("[packages]", "TOML"),
        ('scikit-learn = "*"', "TOML"),
        ("dependencies = []", "TOML"),
        ("channels:", "a conda environment"),
        ("<!DOCTYPE html>", "HTML"),
        ('[{"name": "numpy", "version": "2.0"}]', "JSON"),
        ("├── mlflow v3.0", "a tree of what requires what"),
        ("!pip install six==${VERSION}", "a placeholder is never filled in"),
    ],
)
def test_what_is_of_no_whole_list_is_refused_before_work_begins(
    line: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFormatError, match=said):
        _settle(tmp_path, f"six\n{line}\n")


@pytest.mark.few(0)
def test_a_long_line_takes_no_time(tmp_path: Path) -> None:
    for line in ("a" * 200_000, "a 1" + "1" * 200_000 + " !", "a " * 50_000, "'" * 100_000):
        with pytest.raises(ModelFormatError):
            _settle(tmp_path, f"six\n{line} [\n")


def test_many_rows_are_one_sentence(tmp_path: Path) -> None:
    rows = "".join(f"own{number} 1.{number}\n" for number in range(9))
    (tmp_path / "requirements.txt").write_text(f"Package Version\n{rows}", encoding="utf-8")
    read = _environment.read(tmp_path, {}).requirements

    said = [*_lines.explain_changes(fake_plan.model(requirements=read))]

    assert said == [
        (
            "9 requirements are read as others, so own0 1.0 is read as own0==1.0: it is a row"
            " of `pip list`."
        )
    ]

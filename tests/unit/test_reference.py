"""The pages that are made of the code say what it says, and leave nothing out."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import packager
from handlers.container_server import accelerator, settings
from handlers.files import jobs
from handlers.observability import drift, lambda_telemetry
from packager.targets import TARGETS
from packager.types import list_settings
from tests import bicep
from tools.reference import pages, python_api
from tools.reference.diagrams import MOST_LETTERS, Diagram, read_diagrams
from tools.reference.pages import PAGES, ROOT, read_groups, read_metrics, read_variables

TREES: Final = ("packager", "handlers", "templates", "infra")


def read_tree() -> Iterator[str]:
    tracked = subprocess.run(
        ["git", "ls-files", *TREES], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in tracked.stdout.splitlines():
        yield (ROOT / name).read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_as_the_code_makes_it(name: str) -> None:
    """`make reference` writes it anew."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name]()


@pytest.mark.parametrize(("name", "diagram"), list(read_diagrams().items()))
def test_a_picture_has_room_for_its_words(name: str, diagram: Diagram) -> None:
    lines = [line for step in diagram.steps for line in (step.note, step.aside, step.inside)]

    assert [line for line in lines if len(line) > MOST_LETTERS] == []
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    assert f"![{diagram.title}](concepts/{name}.svg)" in page


def test_the_values_of_a_parameter_are_those_of_the_template() -> None:
    """Read by another parser than the page's: `key-and-entra` is one value."""
    page = PAGES["reference/template-parameters.md"]()
    declared = bicep.read(ROOT / "infra" / "azure" / "main.bicep")["parameters"]
    found = {}
    for name, each in declared.items():
        for said in each["decorators"]:
            if said["type"] == "allowed":
                found[name] = ", ".join(f"`{value}`" for value in said["argument"])

    assert {"httpAuth", "instanceMemoryMB"} <= {*found}
    for name, values in found.items():
        assert re.search(rf"^\| `{name}` \| [^|]* \| {re.escape(values)} \|", page, re.MULTILINE)


def test_python_has_every_name_and_every_setting_with_its_meaning() -> None:
    page = PAGES["reference/python-api.md"]()
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    names = [f"`{name}`" for name in packager.__all__]  # plain, __version__ would be bold

    assert headings == [*names, "Settings", "Values", "Errors"]
    settings_of_it = re.findall(r"^\| `(\w+)` \| `\w+\.\w+` \|", page, re.MULTILINE)
    assert settings_of_it == [name for name, _, _ in list_settings()]
    assert re.findall(r"^.*\|\s*\|$", page, re.MULTILINE) == []
    assert "| `memory_mb` | `target.memory_mb` | `int \\| None` | `None` | Memory in MB." in page


def test_python_has_the_errors_that_a_build_makes_and_no_other_commands() -> None:
    codes = {each.exit_code for each in python_api.list_build_errors()}
    page = PAGES["reference/python-api.md"]()

    assert {2, 3, 4, 5, 6, 7, 8, 9, 10, 16} <= codes
    assert not codes & {11, 13, 14, 15}
    for each in python_api.list_build_errors():
        assert f"| `{each.__name__}` | {each.exit_code} |" in page


def test_every_page_that_says_it_is_made_is_made() -> None:
    marked = {
        path.relative_to(ROOT / "docs").as_posix()
        for path in (ROOT / "docs").glob("*/*.md")
        if path.read_text(encoding="utf-8").startswith("<!-- made by `python -m tools.reference`")
    }
    assert marked == {name for name in PAGES if name.endswith(".md")}


def test_every_variable_is_described() -> None:
    named = {
        name for text in read_tree() for name in re.findall(r"PACKAGER_[A-Z0-9_]*[A-Z0-9]", text)
    }
    described = {name for name in read_variables() if name.startswith("PACKAGER_")}

    # one that the tests alone read
    assert named - {"PACKAGER_ENGINES"} == described


def test_every_variable_has_its_meaning_default_and_unit() -> None:
    for name, each in read_variables().items():
        assert set(each) == {"group", "default", "unit", "meaning"}, name
        assert each["group"] in read_groups(), name
        assert each["meaning"].endswith("."), name
        assert each["default"], name
        assert each["unit"], name


def test_the_defaults_are_those_of_the_code() -> None:
    made = settings.ServiceSettings.read({})
    named = {
        "PACKAGER_BATCH_ROWS": made.batch_rows,
        "PACKAGER_QUEUE_ROWS": made.queue_rows,
        "PACKAGER_QUEUE_BYTES": made.queue_bytes,
        "PACKAGER_QUEUE_SECONDS": made.queue_seconds,
        "PACKAGER_DRAIN_SECONDS": made.drain_seconds,
        "PACKAGER_LINGER_SECONDS": made.linger_seconds,
        "PACKAGER_TOLERANCE": made.tolerance,
        "PORT": made.port,
        "PACKAGER_CHUNK_BYTES": jobs.CHUNK_BYTES,
        "PACKAGER_BAD_ROWS": jobs.BAD_ROWS,
        "PACKAGER_DRIFT_ROWS": drift.ROWS,
        "PACKAGER_DRIFT_SECONDS": drift.SECONDS,
    }
    described = read_variables()
    assert {name: float(described[name]["default"]) for name in named} == named
    words = {"PACKAGER_PRECISION": made.precision, "PACKAGER_TIER": made.tier}
    words["PACKAGER_DEVICE"] = accelerator.read_device({})[0]
    assert {name: described[name]["default"] for name in words} == words


def list_metrics(module: Any) -> dict[str, str]:
    """Return the unit of every metric that a module writes."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            written = ast.unparse(node.targets[0])
            if found := re.fullmatch(r"values\['(\w+)'\]", written):
                names.add(found[1])
            elif written == "self._values" and isinstance(node.value, ast.Dict):
                names |= {each.value for each in node.value.keys if isinstance(each, ast.Constant)}
    return {str(name): module._UNITS.get(name, "Count") for name in names}


def test_every_metric_of_a_function_is_described() -> None:
    described = {name: unit for name, (unit, _) in read_metrics()["function"].items()}
    assert described == list_metrics(lambda_telemetry)


def test_every_metric_of_drift_is_described() -> None:
    text = Path(drift.__file__).read_text(encoding="utf-8")
    written = set(re.findall(r'"([A-Z]\w+)": (?:moved\.|max\(|float\()', text))
    assert set(read_metrics()["drift"]) == written


def test_every_field_of_the_evidence_is_described() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \| .* \| (.*) \|$", pages.make_evidence())
    assert len(rows) > 60
    assert [name for name, meaning in rows if not meaning] == []


def test_every_option_is_on_the_page_with_its_unit() -> None:
    page = pages.make_command_line()
    assert not re.search(r"`<(int|float|bool|str|path)>`", page)
    assert all(name in page for name in TARGETS)

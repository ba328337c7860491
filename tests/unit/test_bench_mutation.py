"""Mutants are small, whole and different from what they were made of."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import pytest

from bench import _reached, mutation
from bench._equivalent import EQUIVALENT
from bench._mutants import make_mutants


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("x = a < b", ["x = a <= b", "x = a >= b"]),
        ("x = a is None", ["x = a is not None"]),
        ("x = a and b", ["x = a or b"]),
        ("x = a + b", ["x = a - b"]),
        ("x = not a", ["x = not not a"]),
        ("x = 3", ["x = 4"]),
        ("x = True", ["x = False"]),
        ("x = 'words'", []),
        ("x: int | None", []),
        ("x = zip(a, b, strict=True)", []),
        ("@frozen(slots=True)\nclass A:\n    x: int | str", []),
        (
            "def f():\n    '''Words.'''\n    return a",
            ["def f():\n    '''Words.'''\n    return None"],
        ),
        ("def f():\n    return None", []),
        ("def f():\n    return False", ["def f():\n    return True"]),
        ("if TYPE_CHECKING:\n    import a", []),
        ("def f():\n    g()", ["def f():\n    pass"]),
        ("def f():\n    _LOG.info('x')", []),
        ("if a:\n    raise b", ["if False:\n    raise b", "if a:\n    pass"]),
    ],
)
def test_mutants_of_a_line(source: str, changes: list[str]) -> None:
    made = [ast.unparse(ast.parse(each.text)) for each in make_mutants(source)]
    assert made == [ast.unparse(ast.parse(each)) for each in changes]


@pytest.mark.parametrize(
    "module", ["packager/pipeline/answers/spread.py", "packager/pipeline/emit/_sizing.py"]
)
def test_each_mutant_has_a_name_of_its_own(module: str) -> None:
    made = list(make_mutants((mutation.ROOT / module).read_text(encoding="utf-8")))
    assert len(made) == len({each.name for each in made})
    assert len(made) == len({each.text for each in made})


@pytest.mark.parametrize("module", list(mutation.TESTS))
def test_what_is_to_notice_is_there(module: str) -> None:
    assert all((mutation.ROOT / name).is_file() for name in (module, *mutation.TESTS[module]))


def test_the_report_has_scores_and_survivors() -> None:
    tried = {"line 1, column 0: 1 + 1": True, "line 2, column 0: returns None": False}
    text = mutation.render({"packager/x.py": {"digest": "", "mutants": 9, "tried": tried}})
    assert "| packager/x.py | 9 | 2 | 1 | 50 % |" in text
    assert "| all | | 2 | 1 | 50 % |" in text
    assert "- `packager/x.py` line 2, column 0: returns None" in text


def test_what_changes_nothing_is_still_there() -> None:
    for module, known in EQUIVALENT.items():
        source = (mutation.ROOT / module).read_text(encoding="utf-8")
        assert known.keys() <= {f"{each.source} | {each.what}" for each in make_mutants(source)}


def test_tests_that_reach_the_line_come_first_the_quickest_before_others() -> None:
    reached = {"slow": (2.0, [3, 4]), "quick": (1.0, [4]), "elsewhere": (0.1, [9])}
    items: Any = [SimpleNamespace(nodeid=name) for name in ("new", "slow", "elsewhere", "quick")]
    _reached.Order(reached, range(4, 6)).pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["quick", "slow", "new", "elsewhere"]


def test_the_lines_of_one_file_are_noted() -> None:
    tracer = _reached.Tracer(make_mutants.__code__.co_filename)
    with tracer._tracing():
        assert list(make_mutants("x = 'words'")) == []
    first = make_mutants.__code__.co_firstlineno
    assert first + 2 in tracer.lines
    assert len(tracer.lines) > 10

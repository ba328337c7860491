"""Mutants are small, whole and different from what they were made of."""

from __future__ import annotations

import ast

import pytest

from bench import mutation
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
        ("@frozen(slots=True)\nclass A:\n    x: int | str", []),
        (
            "def f():\n    '''Words.'''\n    return a",
            ["def f():\n    '''Words.'''\n    return None"],
        ),
        ("def f():\n    g()", ["def f():\n    pass"]),
        ("def f():\n    _LOG.info('x')", []),
        ("if a:\n    raise b", ["if False:\n    raise b", "if a:\n    pass"]),
    ],
)
def test_mutants_of_a_line(source: str, changes: list[str]) -> None:
    made = [ast.unparse(ast.parse(each.text)) for each in make_mutants(source)]
    assert made == [ast.unparse(ast.parse(each)) for each in changes]


@pytest.mark.parametrize("module", ["packager/spread.py", "packager/emit/_sizing.py"])
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

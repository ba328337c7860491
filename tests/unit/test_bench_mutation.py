"""Mutants are small, whole and different from what they were made of."""

from __future__ import annotations

import ast
import sys
from types import FunctionType, ModuleType
from typing import Any

import pytest

from bench import _patch, mutation
from bench._equivalent import EQUIVALENT
from bench._mutants import list_changes, make_mutants
from bench._mutated import TESTS
from bench._reached import MUCH, REACHED, Run, list_lines, mark_lines, order_tests


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


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "module", ["packager/pipeline/answers/spread.py", "packager/pipeline/emit/_sizing.py"]
)
def test_each_mutant_has_a_name_of_its_own(module: str) -> None:
    made = list(make_mutants((mutation.ROOT / module).read_text(encoding="utf-8")))
    assert len(made) == len({each.name for each in made})
    assert len(made) == len({each.text for each in made})


@pytest.mark.parametrize("module", list(TESTS))
def test_what_is_to_notice_is_there(module: str) -> None:
    assert all((mutation.ROOT / name).is_file() for name in (module, *TESTS[module]))


def test_the_report_has_scores_and_survivors() -> None:
    tried = {"line 1, column 0: 1 + 1": True, "line 2, column 0: returns None": False}
    kept = {"digest": "", "mutants": 9, "drawn": [2, 7], "tried": tried}
    text = mutation.render({"packager/x.py": kept})
    assert "up to 2 of each module, drawn by seed 7" in text
    assert "| packager/x.py | 9 | 2 | 1 | 50 % |" in text
    assert "| all | 9 | 2 | 1 | 50 % |" in text
    assert "- `packager/x.py` line 2, column 0: returns None" in text


def test_what_was_found_to_change_nothing_counts_no_more() -> None:
    first, *others = make_mutants("x = a + b\ny = 3\n")
    tried = {first.name: False} | {each.name: True for each in others}
    assert mutation.drop_equivalent(tried, others) == {each.name: True for each in others}


def test_what_changes_nothing_is_still_there() -> None:
    for module, known in EQUIVALENT.items():
        source = (mutation.ROOT / module).read_text(encoding="utf-8")
        assert known.keys() <= list_changes(source)


def test_changes_are_listed_as_the_mutants_are_named() -> None:
    source = "x = a < b\nif TYPE_CHECKING:\n    y = 1\n\ndef f(z):\n    return z + 1\n"
    made = {f"{each.source} | {each.what}" for each in make_mutants(source)}
    assert list_changes(source) == made
    assert len(made) > 3


def test_tests_that_reach_the_line_come_first_the_quickest_before_others() -> None:
    runs = {
        "slow": Run(2.0, {"a.py": [3, 4]}),
        "quick": Run(1.0, {"a.py": [4]}),
        "elsewhere": Run(0.1, {"a.py": [9], "b.py": [4]}),
        "broken": Run(0.1, {"a.py": [4]}, passed=False),
    }
    assert order_tests(runs, "a.py", range(4, 6), everywhere=False) == [
        "quick", "slow", "elsewhere",
    ]  # fmt: skip
    assert order_tests(runs, "b.py", range(1, 2), everywhere=True) == ["elsewhere", "quick", "slow"]


def test_what_takes_long_and_does_not_reach_the_line_is_left_out() -> None:
    runs = {"near": Run(99.0, {"a.py": [1]}), "far": Run(MUCH, {"a.py": [2]})}
    assert order_tests(runs, "a.py", range(1, 2), everywhere=False) == ["near"]


MARKED = """from __future__ import annotations
def f(x):
    if (x and
            x > 1):
        return 2
    elif x == 1:
        y = [
            1,
        ]
        for each in y: x += 1
    try:
        {}[x]
    except KeyError:
        x = 0
    match x:
        case 0:
            return 1
        case _:
            return 2
"""


@pytest.mark.parametrize(
    ("x", "lines"),
    [
        (2, [3, 4, 5]),
        (1, [3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]),
        (0, [3, 4, 6, 11, 12, 13, 14, 15, 16, 17]),
    ],
)
def test_the_lines_that_run_are_noted(x: int, lines: list[int]) -> None:
    reached: set[tuple[int, int]] = set()
    names: dict[str, Any] = {}
    exec(compile(mark_lines(ast.parse(MARKED)), "m", "exec"), {REACHED: set()}, names)  # noqa: S102
    function = FunctionType(names["f"].__code__, {REACHED: reached, "KeyError": KeyError})
    function(x)
    assert list_lines(reached) == lines


SOURCE = """
import functools
LIMIT = 1
def plain(by=1):
    return LIMIT + by
class Kept:
    size = 1
    @functools.cache
    def wrapped(self):
        return 1
"""


@pytest.mark.parametrize(
    ("old", "new", "answers"),
    [
        ("LIMIT = 1", "LIMIT = 5", (6, 1, 5)),
        ("by=1", "by=7", (8, 1, 1)),
        ("LIMIT + by", "LIMIT - by", (0, 1, 1)),
        ("        return 1", "        return 9", (2, 9, 1)),
        ("nothing", "is changed", (2, 1, 1)),
    ],
)
def test_a_mutant_takes_the_place_of_what_is_imported(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, answers: tuple[int, ...]
) -> None:
    module, importer = ModuleType("packager.changed"), ModuleType("packager.importer")
    module.__file__ = "changed.py"
    exec(compile(SOURCE, "changed.py", "exec"), vars(module))  # noqa: S102 - the lines above
    vars(importer)["LIMIT"] = module.LIMIT
    monkeypatch.setitem(sys.modules, "packager.importer", importer)
    functions = _patch.list_functions(["changed.py"])["changed.py"]
    mutant = ast.parse(SOURCE.replace(old, new))
    _patch.apply_mutant(module, ast.parse(SOURCE), mutant, functions)
    assert (module.plain(), module.Kept().wrapped(), importer.LIMIT) == answers


@pytest.mark.parametrize("old", ["size = 1", "import functools", "Kept:"])
def test_what_is_of_a_class_or_of_the_module_wants_it_imported_anew(old: str) -> None:
    module = ModuleType("packager.changed")
    changed = SOURCE.replace(old, {"size = 1": "size = 2", "Kept:": "Kept(int):"}.get(old, "pass"))
    with pytest.raises(_patch.ImportAnewError):
        _patch.apply_mutant(module, ast.parse(SOURCE), ast.parse(changed), [])

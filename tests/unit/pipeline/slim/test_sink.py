"""Which imports may be moved to their first use, and what a module is then."""

from __future__ import annotations

import pickle
import sys
import threading
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from packager.workers.defer_imports import moving, surveying

PLAIN = "import os\nimport json as j\nfrom re import sub, match\n"
USES = "def f():\n    return os, j, sub, match\n"

RULES = {
    "all are used in functions alone": (USES, {"os", "j", "sub", "match"}),
    "a decorator": (f"@sub\n{USES}", {"os", "j", "match"}),
    "a base": (f"class A(j.X): pass\n{USES}", {"os", "sub", "match"}),
    "a default": (f"def g(x=os): pass\n{USES}", {"j", "sub", "match"}),
    "an annotation": (f"def g(x: os) -> j: pass\n{USES}", {"sub", "match"}),
    "an annotation of the body": (f"x: os = 1\n{USES}", {"j", "sub", "match"}),
    "a class body": (f"class A:\n    x = os\n{USES}", {"j", "sub", "match"}),
    "a method is a function": (
        f"class A:\n    def m(self): return j\n{USES}",
        {"os", "j", "sub", "match"},
    ),
    "a comprehension": (f"x = [os for _ in ()]\n{USES}", {"j", "sub", "match"}),
    "a lambda": (f"x = lambda: os\n{USES}", {"j", "sub", "match"}),
    "a branch": (f"if 1:\n    os\n{USES}", {"j", "sub", "match"}),
    "assigned again": (f"{USES}os = 1\n", {"j", "sub", "match"}),
    "assigned from a function": (
        f"{USES}def g():\n    global j\n    j = 1\n",
        {"os", "sub", "match"},
    ),
    "deleted": (f"{USES}del sub\n", {"os", "j", "match"}),
    "imported again under a guard": (
        f"{USES}try:\n    import os\nexcept ImportError:\n    pass\n",
        {"j", "sub", "match"},
    ),
    "a loop's variable": (f"{USES}for sub in (): pass\n", {"os", "j", "match"}),
    "a plain import that nothing uses": ("def f():\n    return j\n", {"j", "sub", "match"}),
    "a method of the same name": (
        f"class A:\n    def sub(self): pass\n{USES}",
        {"os", "j", "sub", "match"},
    ),
    "an argument of the same name": (f"def g(os): return os\n{USES}", {"os", "j", "sub", "match"}),
    "globals()": (f"{USES}def g(): return globals()\n", set()),
    "eval": (f"{USES}def g(x): return eval(x)\n", set()),
    "exec": (f"{USES}exec('')\n", set()),
    "vars() of the module": (f"{USES}x = vars()\n", set()),
    "vars() in a function": (f"{USES}def g(x): return vars(x)\n", {"os", "j", "sub", "match"}),
    "a look at frames": (f"{USES}def g(): return os._getframe(0)\n", set()),
    "itself out of sys.modules": (f"{USES}def g(m): return m[__name__]\n", set()),
    "eval out of builtins": (f"from builtins import eval as e\n{USES}", set()),
    "another module's eval": (
        f"from .computing import eval\n{USES}",
        {"os", "j", "sub", "match"},
    ),
    "another module's eval, called": (f"from .computing import eval\n{USES}eval(1)\n", set()),
    "a compiler": (f"import numba\n{USES}", set()),
    "a __getattr__ of its own": (
        f"{USES}def __getattr__(name): raise AttributeError(name)\n",
        {"os", "j", "sub", "match"},
    ),
    "a __getattr__ by other ways": (f"{USES}__getattr__ = os\n", set()),
}


@pytest.mark.parametrize("name", RULES)
def test_what_may_be_moved(name: str) -> None:
    body, expected = RULES[name]
    assert set(surveying.survey((PLAIN + body).encode(), "m", package=False)["moved"]) == expected


@pytest.mark.parametrize(
    "line",
    [
        "from re import *",
        "from __future__ import annotations",
        "from os import open",
        "from os import path as __p",
        "if 1:\n    import os",
        "try:\n    import os\nexcept ImportError:\n    os = None",
        "import os",
        # there for what they do
        "import a.b",
        "import a.b\nimport a.b.c",
        "import a.b\nfrom a.b import __c",
        "import a.b\ndef f(): return a.bc, x.a.b",
    ],
)
def test_what_is_never_moved(line: str) -> None:
    assert surveying.survey(f"{line}\n".encode(), "m", package=False)["moved"] == {}


@pytest.mark.parametrize(
    ("line", "package", "expected"),
    [
        ("import a.b\ndef f(): return a.b.c", False, {"a": [("a", None)], "a.b": [("a.b", None)]}),
        ("import a.b as c", False, {"c": [("a.b", None)]}),
        ("from a.b import c", False, {"c": [("a.b", "c")]}),
        ("from . import c", False, {"c": [("p.q", "c")]}),
        ("from . import c", True, {"c": [("p.q.m", "c")]}),
        ("from ..x import c", False, {"c": [("p.x", "c")]}),
        ("from .x import c as d", True, {"d": [("p.q.m.x", "c")]}),
    ],
)
def test_origins_are_absolute(line: str, package: bool, expected: Any) -> None:  # noqa: FBT001
    assert surveying.survey(line.encode(), "p.q.m", package=package)["moved"] == expected


def test_lines_stay_where_they_were() -> None:
    source = b"'''d'''\nimport os\n\n\ndef f():\n    x = 1\n    return os.nothing\n"
    space: dict[str, Any] = {"__name__": "m"}
    code = compile(moving.sunk(source, ["os"], []), "m.py", "exec")
    exec(code, space)  # noqa: S102 - made above
    with pytest.raises(AttributeError) as raised:
        space["f"]()
    assert raised.traceback[-1].lineno == 6
    assert space["__doc__"] == "d"


PACKAGE = {
    "__init__.py": "from .shapes import Square\nfrom .heavy import work\nfrom . import extra\n",
    "shapes.py": "from .heavy import Base, note\n\nclass Square:\n    def base(self): return Base\n"
    "    def is_base(self, x): return isinstance(x, Base)\n",
    "heavy.py": "import time\nfrom . import shapes\ntime.sleep(0.01)\nclass Base: pass\nnote = []\n"
    "def work(): return shapes.Square()\n",
    "extra.py": "value = 1\n",
    "own.py": "import json\nfrom .heavy import work\ndef __getattr__(name):\n"
    "    if name == 'made': return 'up'\n    raise AttributeError(f'no {name} here')\n"
    "def f(): return json.dumps(1)\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package whose imports are all moved, as bytecode alone."""
    folder = tmp_path / "sunk_here"
    folder.mkdir()
    for name, text in PACKAGE.items():
        stem = name.partition(".")[0]
        is_package = stem == "__init__"
        module = "sunk_here" if is_package else f"sunk_here.{stem}"
        moved = surveying.survey(text.encode(), module, package=is_package)["moved"]
        serve = ["shapes", "heavy", "extra", "own"] if is_package else []
        tree = moving.sunk(text.encode(), list(moved), serve)
        (folder / f"{stem}.pyc").write_bytes(moving.bytecode(tree, text.encode(), name))
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    yield import_module("sunk_here")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sunk_here"]:
        del sys.modules[name]


def loaded() -> set[str]:
    return {name.partition(".")[2] for name in sys.modules if name.startswith("sunk_here.")}


def test_nothing_is_loaded_before_it_is_asked_for(package: ModuleType) -> None:
    assert loaded() == set()
    square = package.Square()
    assert loaded() == {"shapes"}
    assert not square.is_base(1)
    assert loaded() == {"shapes", "heavy"}


def test_a_class_is_one_class_whichever_way_it_is_had(package: ModuleType) -> None:
    from sunk_here.heavy import Base

    derived = type("Derived", (Base,), {})
    assert package.Square().is_base(derived())
    assert package.Square().base() is Base is package.heavy.Base
    assert package.shapes.note is package.heavy.note


def test_a_submodule_is_an_attribute_and_an_import(package: ModuleType) -> None:
    assert package.extra.value == 1
    assert import_module("sunk_here.extra") is package.extra
    assert {"Square", "work", "extra"} <= set(dir(package))


def test_pickles_find_classes_that_are_not_loaded_yet(package: ModuleType) -> None:
    found = pickle.loads(b"csunk_here\nSquare\n)R.")  # noqa: S301 - written here
    assert type(found) is package.Square
    assert type(pickle.loads(pickle.dumps(found))) is package.Square  # noqa: S301


def test_modules_that_import_each_other(package: ModuleType) -> None:
    assert type(package.work()) is package.Square


def test_what_is_not_there_is_an_error_as_ever(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="module 'sunk_here' has no attribute 'nothing'"):
        _ = package.nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from sunk_here import nothing  # noqa: F401


def test_a_getattr_of_the_modules_own_goes_on(package: ModuleType) -> None:
    own = package.own
    assert own.made == "up"
    assert own.f() == "1"
    assert own.work is package.heavy.work
    with pytest.raises(AttributeError, match="no other here"):
        _ = own.other


def test_threads_that_ask_at_once_get_the_same(package: ModuleType) -> None:
    barrier, got = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        got.append(package.work)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert set(got) == {package.heavy.work}


def test_the_same_source_gives_the_same_bytes() -> None:
    source = (PLAIN + USES).encode()
    moved = sorted(surveying.survey(source, "a_module", package=False)["moved"])
    assert moved
    first, second = (
        moving.bytecode(moving.sunk(source, moved, []), source, "/var/task/a_module.py")
        for _ in range(2)
    )
    assert first == second

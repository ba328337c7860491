"""Imports by name in pickled functions, of every Python whose bytecode is known."""

from __future__ import annotations

import pickle
import platform
import time
import types
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from packager.models.pickles.pickled_code import read_named_imports

_CALLS = {
    "3.8": "7400a00164017c001700a1015300",
    "3.10": "7400a00164017c001700a1015300",
    "3.11": "9700740000000000000000000000a001000000000000000000000000000000000000000064017c007a00"
    "0000a6010000ab0100000000000000005300",
    "3.12": "9700740000000000000000006a0300000000000000000000000000000000000064017c007a000000ab01"
    "0000000000005300",
    "3.13": "95005b0000000000000000005203000000000000000000000000000000000000530155002d0000003501"
    "0000000000002400",
    "3.14": "80005c0000000000000000005003000000000000000000000000000000000000520056002c000000000000"
    "00000000000034010000000000002300",
}
"""`lambda kind: importlib.import_module("anyio." + kind)`, as each Python compiles it."""


class _Code:
    """Stands for a function's code, as cloudpickle pickles one."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return print, self.arguments


def _pickle(folder: Path, source: str) -> Path:
    module = types.ModuleType("__main__")
    exec(source, module.__dict__)  # noqa: S102 - the sources are in this file
    path = folder / "m.pkl"
    path.write_bytes(cloudpickle.dumps(module.__dict__["served"]))
    return path


@pytest.mark.parametrize("version", _CALLS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_each_python_s_bytecode_is_read(tmp_path: Path, version: str, protocol: int) -> None:
    names, variables = ("importlib", "import_module"), ("kind",)
    constants = ("anyio.",) if version == "3.14" else (None, "anyio.")
    code = _Code(1, 0, 0, 1, 4, 67, bytes.fromhex(_CALLS[version]), constants, names)
    code.arguments += (variables, "serve.py", "served", 1, b"", (), ())
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(code, protocol))
    found = read_named_imports(path, f"{version}.4")
    assert (found.families, found.modules, found.is_open) == ({"anyio"}, set(), False)


_IN = "import importlib\nfrom importlib import import_module\ndef served(k, other=None):\n    "


@pytest.mark.parametrize(
    ("text", "families", "modules"),
    [
        ("return importlib.import_module('anyio.' + k)", {"anyio"}, set()),
        ("return importlib.import_module(f'anyio._core.{k}')", {"anyio._core"}, set()),
        ("return import_module('anyio.{}'.format(k))", {"anyio"}, set()),
        ("return import_module('anyio.%s' % k)", {"anyio"}, set()),
        ("return __import__('anyio.' + k)", {"anyio"}, set()),
        ("return import_module('anyio.abc')", set(), {"anyio.abc"}),
        ("return import_module('anyio.abc', 'anyio')", set(), {"anyio.abc"}),
        ("import importlib as il\n    return il.import_module('anyio.' + k)", {"anyio"}, set()),
        (
            "from importlib import import_module\n    return import_module('anyio.' + k)",
            {"anyio"},
            set(),
        ),
        ("def g(x):\n        return import_module('a.' + x)\n    return g(k)", {"a"}, set()),
        (
            "return import_module('a.' + k) or import_module(f'b.{k}') or import_module('c')",
            {"a", "b"},
            {"c"},
        ),
        (
            ("from importlib import import_module\n    y = str(k)\n"
            "    return import_module('anyio.' + y)"),
            {"anyio"},
            set(),
        ),
        (
            ("try:\n        from importlib import import_module\n    except OSError:\n"
            "        k = 1\n    return import_module('anyio.' + k)"),
            {"anyio"},
            set(),
        ),
    ],
)  # fmt: skip
def test_a_name_that_begins_with_a_package_is_read(
    tmp_path: Path, text: str, families: set[str], modules: set[str]
) -> None:
    found = read_named_imports(_pickle(tmp_path, _IN + text), platform.python_version())
    assert (found.families, found.modules, found.is_open) == (families, modules, False)


@pytest.mark.parametrize(
    "text",
    [
        "return importlib.import_module(k)",
        "return importlib.import_module(k + '.own')",
        "return importlib.import_module(f'{k}.own')",
        "return importlib.import_module('any' + k)",
        "return importlib.import_module('.own', k)",
        "return importlib.import_module('a.b'.replace('a', k))",
        "return importlib.import_module('anyio.' + k) or importlib.import_module(k)",
        "return getattr(importlib, 'import_module')(k)",
        "return list(map(importlib.import_module, k))",
        "from importlib import import_module as call\n    return call(k)",
        "call = importlib.import_module\n    return call(k)",
        "def g(x=import_module):\n        return x(k)\n    return g()",
        "from importlib import import_module\n    return lambda x: import_module('a.' + x)",
        "from importlib import import_module\n    return map(k, import_module)",
        "from importlib import import_module\n    y = k\n    return import_module(y)",
    ],
)
def test_a_name_that_only_running_it_tells_is_open(tmp_path: Path, text: str) -> None:
    assert read_named_imports(_pickle(tmp_path, _IN + text), platform.python_version()).is_open


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("argument", "families"), [("'anyio.' + k", {"anyio"}), ("k", None)], ids=["named", "open"]
)
def test_a_closure_is_read_in_every_protocol(
    tmp_path: Path, argument: str, families: set[str] | None, protocol: int
) -> None:
    text = f"def g(x):\n        return import_module({argument}), x\n    return g"
    module = types.ModuleType("__main__")
    exec(_IN + text, module.__dict__)  # noqa: S102 - the sources are in this file
    path = tmp_path / "m.pkl"
    path.write_bytes(cloudpickle.dumps(module.__dict__["served"]("a"), protocol))
    found = read_named_imports(path, platform.python_version())
    assert (None if found.is_open else found.families) == families


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("return metadata.entry_points(group='own.kinds')", {"own.kinds"}),
        ("from importlib.metadata import entry_points\n    return entry_points(group='a')", {"a"}),
        ("return len(metadata.entry_points(group='a')) + k", {"a"}),
        ("return metadata.entry_points()", None),
        ("return metadata.entry_points(group=k)", None),
        ("return metadata.entry_points(name='a')", None),
        ("return metadata.entry_points(group='a' + k)", None),
        ("return metadata.distribution(k).entry_points", None),
        ("return metadata.entry_points(**k)", None),
    ],
)
def test_a_group_of_entry_points_is_read_where_the_code_has_it(
    tmp_path: Path, text: str, groups: set[str] | None
) -> None:
    path = _pickle(tmp_path, "from importlib import metadata\ndef served(k):\n    " + text)
    found = read_named_imports(path, platform.python_version())
    assert (None if found.is_open else found.groups) == groups


@pytest.mark.parametrize("version", [None, "", "3", "2.7.18", "3.99.1"])
def test_code_of_another_python_is_open(tmp_path: Path, version: str | None) -> None:
    path = _pickle(tmp_path, _IN + "return importlib.import_module('anyio.' + k)")
    assert read_named_imports(path, version).is_open


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04", b"\x80\x04R.", b"\x80\x04h\x05.", b"t.", b"no"]
)
def test_what_is_no_pickle_is_open(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(content)
    assert read_named_imports(path, "3.11.2").is_open


_FUNCTION = b"\x80\x04N(C\x02ab)))%bt"
"""Of bytes, constants, names and variables, and what comes after them."""
_DOUBLED = b")\x94" + b"".join(b"h%ch%c\x86\x94" % (place, place) for place in range(60))


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("content", "is_open"),
    [
        (_FUNCTION % (b")" + b"\x85" * 100_000) + b"R.", True),
        (_FUNCTION % _DOUBLED + b"R.", True),
        (b"\x80\x04(" + b"N" * 400_000 + b"t\x940" + b"N(C\x02ab)h\x00)tR0" * 90_000 + b".", True),
    ],
    ids=["deep", "doubled sixty times", "one tuple in every function"],
)
def test_a_pickle_that_stands_for_more_is_read_in_no_time(
    tmp_path: Path, content: bytes, *, is_open: bool
) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(content)
    begun = time.process_time()

    assert read_named_imports(path, "3.12.1").is_open == is_open
    assert time.process_time() - begun < 20

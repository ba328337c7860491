"""Code of the archive is what the build put there, or is named as damaged."""

from __future__ import annotations

import marshal
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, SourceFileLoader
from typing import Any, cast

import pytest

from handlers.importer.bytecode_importer import CodeLoader, DamagedStoreError, Store

PATH = "/var/task/used/a.py"


class Archive:
    """What a loader asks of the store."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def code(self, offset: int, length: int) -> bytes:
        return self._content[offset : offset + length]

    def relative(self, path: str) -> str:
        return path.removeprefix("/var/task/")


def make_loader(content: bytes) -> CodeLoader:
    return CodeLoader("used.a", PATH, cast("Store", Archive(content)), (0, len(content)))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xff", marshal.dumps(5), marshal.dumps(None), marshal.dumps("x = 1")],
)
def test_what_is_no_code_is_named_as_damage(content: bytes) -> None:
    with pytest.raises(DamagedStoreError, match=r"damaged at used/a\.py") as refused:
        make_loader(content).get_code("used.a")

    assert refused.value.name == "used.a"


def test_code_tells_the_place_that_it_is_loaded_from() -> None:
    content = marshal.dumps(compile("def f(): pass", "/build/used/a.py", "exec"))

    code = make_loader(content).get_code("used.a")

    assert code.co_filename == PATH
    assert {each.co_filename for each in code.co_consts if hasattr(each, "co_filename")} == {PATH}


@pytest.mark.parametrize(
    ("name", "loader"),
    [("a.py", SourceFileLoader), (f"a{EXTENSION_SUFFIXES[0]}", ExtensionFileLoader)],
)
def test_a_file_that_lies_in_its_place_is_loaded_as_python_loads_it(
    name: str, loader: type[Any]
) -> None:
    store = object.__new__(Store)

    found = store._loader(0, "a", f"/var/task/{name}")

    assert type(found) is loader
    assert found.path == f"/var/task/{name}"

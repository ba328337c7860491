"""Who loads a library that cannot be loaded, and whether that matters to serving."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from packager.pipeline.slim.native.library_loaders import find_loaders
from packager.pipeline.verify import linkage
from packager.system import file_tree
from packager.types import Bundle, Trace
from tests import fake_plan
from tests.tiny_elf import library, write

PROVIDED = frozenset({"libc.so.6"})
POOL = "pkg/pools/tbb.cpython-313-x86_64-linux-gnu.so"
LACKING = library(needed=("libtbb.so.12", "libc.so.6"))


def _loaders(root: Path, files: dict[str, bytes | str]) -> set[str]:
    content = {
        name: each.encode() if isinstance(each, str) else each for name, each in files.items()
    }
    write(root, {"pkg/__init__.py": b"", "pkg/pools/__init__.py": b"", POOL: LACKING, **content})
    return set(find_loaders(root, PROVIDED)[PurePosixPath(POOL)])


@pytest.mark.parametrize(
    "source",
    [
        "import pkg.pools.tbb",
        "from pkg.pools import tbb as lib",
        "from pkg.pools.tbb import run",
        "def start():\n    from pkg.pools import tbb",
        "from .pools import tbb",
        "import importlib\nimportlib.import_module('pkg.pools.tbb')",
        "import ctypes\nctypes.CDLL('tbb.cpython-313-x86_64-linux-gnu.so')",
        "try:\n    import pkg.pools.tbb\nexcept KeyError:\n    pass",
        "try:\n    import other\nexcept ImportError:\n    import pkg.pools.tbb",
        "try:\n    import pkg.pools.tbb\nfinally:\n    pass",
    ],
)
def test_an_import_that_must_not_fail_is_found(source: str, tmp_path: Path) -> None:
    assert _loaders(tmp_path, {"pkg/use.py": source}) == {"pkg.use"}


@pytest.mark.parametrize(
    "source",
    [
        "",
        "# tbb\nimport pkg.pools",
        "try:\n    from pkg.pools import tbb\nexcept ImportError:\n    tbb = None",
        "try:\n    import pkg.pools.tbb\nexcept (KeyError, OSError):\n    pass",
        "try:\n    import pkg.pools.tbb\nexcept Exception:\n    pass",
        "try:\n    import pkg.pools.tbb\nexcept:\n    pass",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import pkg.pools.tbb",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pkg.pools.tbb",
        "import tbb",
        "def broken(:",
    ],
)
def test_an_import_that_may_fail_is_none(source: str, tmp_path: Path) -> None:
    assert _loaders(tmp_path, {"pkg/use.py": source}) == set()


def test_importers_are_followed(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "pkg/use.py": "import pkg.pools.tbb",
        "pkg/fast.py": "from pkg import use",
        "other/__init__.py": "import pkg.fast",
        "third.py": "try:\n    import other\nexcept ImportError:\n    pass",
        "model/code/own.py": "import pkg.fast",
        "model/python_model.pkl": b"\x80pkg\x00use\x00",
    }
    assert _loaders(tmp_path, files) == {
        "pkg.use",
        "pkg.fast",
        "other",
        "model/code/own.py",
        "model/python_model.pkl",
    }


def test_what_is_linked_to_such_a_library_counts_as_loading_it(tmp_path: Path) -> None:
    found = _loaders(
        tmp_path,
        {
            "pkg/core.so": library(needed=("tbb.cpython-313-x86_64-linux-gnu.so",)),
            "pkg/use.py": "import pkg.core",
        },
    )
    assert found == {"pkg.use"}


def test_a_tree_that_lacks_nothing_has_none(tmp_path: Path) -> None:
    write(tmp_path, {"a.so": library(needed=("libx.so",)), "l/libx.so": library()})
    assert find_loaders(tmp_path, PROVIDED) == {}


def _trace(*modules: str, opened: tuple[str, ...] = ()) -> Trace:
    return fake_plan.trace(
        init=modules,
        opened=tuple(PurePosixPath(path) for path in opened),
    )


@pytest.mark.parametrize(
    ("loaders", "trace", "refused"),
    [
        (frozenset(), None, False),
        (frozenset(), _trace("pkg"), False),
        (frozenset({"pkg.use"}), None, True),
        (frozenset({"pkg.use"}), _trace("pkg"), False),
        (frozenset({"pkg.use"}), _trace("pkg", "pkg.use"), True),
        (frozenset({"model/code/own.py"}), _trace("pkg"), True),
        (frozenset(), _trace(opened=(POOL,)), False),
        (frozenset(), replace(_trace(), files={"pkg.pools.tbb": PurePosixPath(POOL)}), True),
        (None, _trace("pkg"), True),
    ],
)
def test_what_serving_cannot_reach_is_a_note(
    loaders: frozenset[str] | None, trace: Trace | None, tmp_path: Path, *, refused: bool
) -> None:
    write(tmp_path, {POOL: LACKING})
    bundle = Bundle(
        root=tmp_path,
        files=tuple(file_tree.records(tmp_path)),
        trace=trace,
        loaders={} if loaders is None else {PurePosixPath(POOL): loaders},
    )
    findings, sentences = linkage.check(bundle, fake_plan.plan())
    assert bool(findings) is refused
    assert ("libtbb.so.12" in sentences["linkage"]) is not refused


def test_a_library_that_is_no_module_counts_where_it_was_opened(tmp_path: Path) -> None:
    name = "pkg.libs/libplugin.so.1"
    write(tmp_path, {name: LACKING})
    files = tuple(file_tree.records(tmp_path))
    loaders: dict[PurePosixPath, frozenset[str]] = {PurePosixPath(name): frozenset()}
    for trace, refused in ((_trace(opened=(name,)), True), (_trace("pkg"), False)):
        bundle = Bundle(root=tmp_path, files=files, trace=trace, loaders=loaders)
        assert bool(linkage.check(bundle, fake_plan.plan())[0]) is refused

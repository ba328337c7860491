"""Whatever a tree of packages looks like, importing it through the store gives the same modules."""

from __future__ import annotations

import json
import py_compile
import random
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from packager.pipeline.slim.storing import archive, compressed_store, index
from packager.system import file_tree
from packager.types import Bundle
from tests import examples, tiny_elf
from tests.unit.pipeline.slim.storing.test_store import ask, plan, read_boot, trace

NAMES: Final = ("a", "b", "c", "_d")
LINES: Final = (
    "import {other}",
    "from . import {name}",
    "from .{name} import *",
    "from .. import {name}",
    "V = [__name__, __package__, __file__.rpartition('/f/')[2]]",
    "def f(x):\n    '''Doc.'''\n    return x, {{'k': (1, 2.5, None)}}",
    "class C:\n    y: int = 3",
    "import pkgutil; M = sorted(m.name for m in pkgutil.iter_modules(__path__))",
    "import importlib.resources as r; D = r.files(__package__).joinpath('data').is_file()",
)
LOOK: Final = """
import importlib, inspect, json, re, sys
found = {}
for name in json.loads(ORDER):
    try:
        m = importlib.import_module(name)
    except Exception as error:
        found[name] = [type(error).__name__, str(error).replace(ROOT, '')]
        continue
    try:
        # of an empty file: a blank line or nothing at all, by Python's version and the loader
        source = inspect.getsource(m).strip() or 'OSError'
    except (OSError, TypeError) as error:
        source = type(error).__name__
    kept = {k: re.sub('at 0x[0-9a-f]+', '', repr(v).replace(ROOT, ''))
            for k, v in sorted(vars(m).items())
            if k not in {'__builtins__', '__loader__', '__spec__', 'r', 'f', 'C'}}
    spec = m.__spec__
    found[name] = [kept, source, spec.parent, spec.has_location,
                   (spec.cached or '').replace(ROOT, ''), (spec.origin or '').replace(ROOT, '')]
for name in [n for n in list(sys.modules) if n.partition('.')[0] in 'abc_d' and found.get(n)]:
    if isinstance(found[name][0], dict):
        try:
            again = importlib.reload(sys.modules[name])
        except ImportError as error:
            found[name].append(str(error))
            continue
        found[name].append(again is sys.modules[name])
print(json.dumps(found, sort_keys=True))
"""


@st.composite
def trees(draw: st.DrawFn) -> Mapping[str, bytes]:
    """Up to three levels of packages, some without an `__init__`, with modules that import."""
    files: dict[str, bytes] = {}
    folders = draw(st.lists(st.lists(st.sampled_from(NAMES), max_size=3), min_size=1, max_size=4))
    for parts in [[], *folders]:
        for name in draw(st.lists(st.sampled_from(("__init__", *NAMES)), max_size=3, unique=True)):
            if not parts and name == "__init__":
                continue
            lines = draw(st.lists(st.sampled_from(LINES), max_size=3))
            text = "\n".join(
                line.format(name=draw(st.sampled_from(NAMES)), other=draw(st.sampled_from(NAMES)))
                for line in lines
            )
            files["/".join([*parts, f"{name}.py"])] = text.encode()
    return files


def modules(files: Mapping[str, bytes]) -> list[str]:
    names = {path.removesuffix(".py").replace("/", ".") for path in files}
    return sorted({name.removesuffix(".__init__") for name in names} | {"a", "b.c"})


def looked(root: Path, order: list[str]) -> object:
    code = f"ORDER, ROOT = {json.dumps(order)!r}, {str(root)!r}\n{LOOK}"
    return json.loads(ask(root, code).stdout)


@settings(max_examples=examples.count(6), deadline=None)
@given(files=trees(), seed=st.integers(0, 99))
def test_it_imports_as_from_plain_files(files: Mapping[str, bytes], seed: int) -> None:
    order = modules(files)
    random.Random(seed).shuffle(order)
    with tempfile.TemporaryDirectory() as name:
        plain = tiny_elf.write(Path(name, "plain", "f"), {**read_boot(), **files})
        root = tiny_elf.write(Path(name, "built", "f"), {**read_boot(), **files})
        for path in root.rglob("*.py"):
            py_compile.compile(
                str(path), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
        seen = [path for path in sorted(files) if random.Random(f"{seed}{path}").random() < 0.5]
        opened = replace(
            trace(root, ()), opened=tuple(
                PurePosixPath(path.relative_to(root))
                for source in seen
                for path in (root / source).parent.glob(f"__pycache__/{Path(source).stem}.*.pyc")
            ),
        )  # fmt: skip
        bundle = Bundle(root=root, files=tuple(file_tree.records(root)), trace=opened)
        for each in (compressed_store.PASS, archive.PASS):
            bundle = each.apply(bundle, plan())
        left = {file.path.as_posix() for file in bundle.files}
        found = index.modules(files, index.suffixes(plan()))
        packages = {key for key, file in found.items() if file == f"{key}/__init__.py"}
        moved = {file for file in found.values() if file.rpartition("/")[0] in {"", *packages}}
        assert left.isdisjoint(moved)
        assert looked(root, order) == looked(plain, order)

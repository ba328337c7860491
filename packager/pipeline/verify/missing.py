"""Files taken out that a failure asks for, or that the compressed store had to give."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from packager.types import Removal

_MODULE: Final = re.compile(r"No module named \\?['\"]([\w.]+)")
_UNLOGGED: Final = re.compile(r"ModuleNotFoundError: No module named \\?['\"]([\w.]+)")
_OPTIONAL: Final = re.compile(r"(?:[Mm]issing optional dependency|requires) \\?['\"`]([\w.]+)")
"""As pandas says it."""
_INSTALL: Final = re.compile(
    r"(?:install|[Ii]mport|requires?|needs?|[Mm]issing|package|module|library)"
    r"\s+(?:the\s+|a\s+|package\s+|module\s+|library\s+|-{1,2}[\w-]+\s+)*"
    r"[\\'\"`]*([A-Za-z][\w.-]{0,80}\w)"
)
"""`requires X to be installed`, `pip install -U X`, as each library says it in its own words."""
_INSTALLED: Final = re.compile(
    r"(?<![\w.-])([A-Za-z][\w.-]{0,80}\w)[\\'\"`]*\s+(?:package\s+|module\s+|library\s+)?"
    r"(?:(?:is|was|are|has|have|needs?|must|should|could|can)\s*(?:not\s+)?(?:to\s+)?(?:be\s+)?)?"
    r"(?:not\s+)?(?:installed|imported|required|needed|missing|found|available|unavailable)"
)
"""`X needs to be installed`, `X is required`, `X not found, please install it`."""
_NAME: Final = re.compile(r"cannot import name \\?['\"](\w+)\\?['\"] from \\?['\"]([\w.]+)")
_FILE: Final = re.compile(r"No such file or directory: \\?['\"]([^'\"\\]+)")
_LIBRARY: Final = re.compile(r"(\S+\.so[\w.]*): cannot open shared object file")
_MISS: Final = re.compile(r"compressed store: ([^\s\"\\]+)")
"""As handlers/importer/bytecode_importer.py logs one."""


def explain_unlogged(text: str) -> str:
    """Explain how to log a model that fails on a module which its environment has not; else ""."""
    found = [match[1].partition(".")[0] for match in _UNLOGGED.finditer(text)]
    if not found:
        return ""
    name = found[-1]
    return (
        f"Neither its requirements nor its code have the module {name}. Log the model again: with "
        f"code_paths=['path/to/{name}'] where {name} is your own, or with the distribution that "
        f"has it, as in extra_pip_requirements=['{name}'], where it is on a package index."
    )


def cold_store_misses(log: str) -> tuple[str, ...]:
    """Paths that a function's log says came from the compressed store, in that order."""
    return tuple(_MISS.findall(log))


def find_absent_modules(
    text: str, removed: Sequence[Removal], root: Path, unshipped: Collection[str] = ()
) -> tuple[str, ...]:
    """Modules that an error's text says are missing, and that nothing installed has or had.

    `unshipped` are words for what the author has and the function does not: of these, in lower
    case, any wording that asks for one counts.
    """
    had = {removal.path.parts[0].partition(".")[0] for removal in removed}
    named = {name for pattern in (_MODULE, _OPTIONAL) for name in pattern.findall(text)}
    said = (word for pattern in (_INSTALL, _INSTALLED) for word in pattern.findall(text))
    named |= {word for word in said if word.lower() in unshipped}
    return tuple(sorted({name for name in named if not _has_module(name, had, root)}))


def _has_module(name: str, had: Collection[str], root: Path) -> bool:
    top = name.partition(".")[0]
    return top in had or (root / top).is_dir() or any(root.glob(f"{top}.*"))


def _was_there(wanted: PurePosixPath, paths: Iterable[PurePosixPath]) -> bool:
    """True for a file that was taken out, and for a folder that something was taken out of."""
    return bool(wanted.name) and any(path == wanted or wanted in path.parents for path in paths)


def keep_rules(text: str, removed: Sequence[Removal], root: Path) -> tuple[str, ...]:
    """Globs that would keep what an error's text says was missed; () where nothing was removed."""
    paths = [removal.path for removal in removed]
    rules: set[str] = set()
    modules = [*_MODULE.findall(text), *(f"{base}.{name}" for name, base in _NAME.findall(text))]
    for module in modules:
        rules |= {rule for path in paths if (rule := _of_module(module, path))}
    for named in _FILE.findall(text):
        relative = named.removeprefix(f"{root}/")
        if _was_there(PurePosixPath(relative), paths):
            rules.add(relative)
    for name in _LIBRARY.findall(text):
        rules |= {path.as_posix() for path in paths if path.name == PurePosixPath(name).name}
    return tuple(sorted(rules))


def _of_module(module: str, path: PurePosixPath) -> str | None:
    """The rule that keeps the module which `path` is a file of, the whole of a package."""
    base = module.replace(".", "/")
    text = path.as_posix()
    if text == f"{base}/__init__.py":
        return base
    if text == f"{base}.py" or re.fullmatch(re.escape(base) + r"(\.[\w-]+)?\.so", text):
        return text
    return None

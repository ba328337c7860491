"""A folder of templates, rendered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def render(
    folders: Sequence[Path], values: Mapping[str, object], filters: Mapping[str, Callable[..., str]]
) -> dict[str, str]:
    """Path to text for every `NAME.j2` of the folders, of one name the first folder's.

    What starts with `_` is of another use. `filters` make a value safe for where it goes.
    """
    environment = _make_environment(tuple(folders), frozenset(filters.items()))
    names = sorted(
        {path.relative_to(folder).as_posix() for folder in folders for path in folder.rglob("*.j2")}
    )
    return {
        name.removesuffix(".j2"): environment.get_template(name).render(values)
        for name in names
        if not any(part.startswith("_") for part in name.split("/"))
    }


def render_file(path: Path, values: Mapping[str, object]) -> str:
    """Return one file of a folder of templates, whatever its name, by values alone."""
    return _make_environment((path.parent,), frozenset()).get_template(path.name).render(values)


@functools.lru_cache(maxsize=8)
def _make_environment(
    folders: tuple[Path, ...], filters: frozenset[tuple[str, Callable[..., str]]]
) -> jinja2.Environment:
    """Make one that keeps what it compiled: of every ten milliseconds, nine are for that."""
    import jinja2  # noqa: PLC0415 - only a build that writes an artifact needs it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, TOML, JSON and Markdown, whose filters escape
    )
    environment.filters.update(filters)
    return environment

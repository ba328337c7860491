"""Attempts without pyarrow, where nothing but text of pandas' in the model's pickles needs it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from packaging.utils import canonicalize_name

from packager.models.model_imports import ModelImports, list_pickles, read_model_imports
from packager.models.pickles.text_files import (
    ARROW_BYTES,
    LIBRARY_BYTES,
    holds_bytes,
    rewrite_into,
)
from packager.pipeline.plan._attempts import Attempt, list_unpickled
from packager.system.scratch import make_scratch
from packager.types import BuildRequest, ResolvedModel, RewrittenFile, Shipped, Tier

_LOG: Final = logging.getLogger(__name__)
ARROW: Final = "pyarrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStorage:
    """Pickles of a model that hold text of pandas' in pyarrow, and how they are without it."""

    logged: tuple[str, ...] = ()
    """Those with arrays of it, by their paths."""
    rewritten: tuple[RewrittenFile, ...] = ()
    """The same without pyarrow; none where that is not possible, or not wanted."""
    imports: ModelImports | None = None
    """What the model's own files name once these are rewritten."""
    why_not: str = ""
    """Why they are not, as a sentence; empty where they are, or where that was not asked for."""


def find_text(
    model: ResolvedModel,
    attempts: Sequence[Attempt],
    request: BuildRequest,
    imports: ModelImports,
) -> TextStorage:
    """Find the pickles, and write them anew in a folder for a moment.

    `imports` is what the model's own files name as they were logged. Raises OSError.
    """
    served = [each for each in attempts if not each.loader.alone]
    if not served:
        return TextStorage()
    with_pandas = {each.place for each in imports.modules if each.name.startswith("pandas")}
    pickles = (
        path.relative_to(model.root).as_posix()
        for path in list_pickles(model, list_unpickled(served))
    )
    names = [
        name
        for name in pickles
        if name in with_pandas and holds_bytes(model.root / name, ARROW_BYTES)
    ]
    logged = tuple(name for name in names if holds_bytes(model.root / name, LIBRARY_BYTES))
    if not names or _is_kept(request):
        return TextStorage(logged=logged)
    with make_scratch("text") as folder:
        try:
            rewritten = rewrite_into(model.root, names, folder)
        except ValueError as error:
            _LOG.debug("Text of pandas' is not rewritten: %s", error)
            return TextStorage(logged=logged, why_not=f"it cannot be rewritten ({error})")
        files = {name: folder / name for name in map(str, (each.path for each in rewritten))}
        left = read_model_imports(model, [each.loader for each in served], files)
    return TextStorage(logged=logged, rewritten=rewritten, imports=left)


def _is_kept(request: BuildRequest) -> bool:
    kept = {str(canonicalize_name(name)) for name in request.slimming.keep_packages}
    return request.slimming.requirements is Shipped.DECLARED or ARROW in kept


def add_attempts(attempts: Sequence[Attempt], text: TextStorage) -> list[Attempt]:
    """The attempts, each after the same one without pyarrow, where there is such a one."""
    found: list[Attempt] = []
    for each in attempts:
        if text.rewritten and not each.loader.alone and each.tier is not Tier.SKINNY:
            requires = tuple(name for name in each.loader.requires if name != ARROW)
            loader = replace(each.loader, requires=requires)
            found.append(replace(each, loader=loader, rewritten=text.rewritten))
        found.append(each)
    return found


def explain_text(attempt: Attempt, text: TextStorage, *, has_arrow: bool) -> tuple[str, ...]:
    """Say how an attempt has the text, and which option or setting has it otherwise."""
    if attempt.rewritten:
        return tuple(
            f"Text of pandas' in {each.path} is held without pyarrow: {_count(each)} written as "
            "pandas keeps text where pyarrow is not installed. --keep-package pyarrow ships it as "
            "it was logged."
            for each in attempt.rewritten
        )
    if not text.logged or not has_arrow or attempt.loader.alone:
        return ()
    because = f"; {text.why_not}" if text.why_not else ""
    line = (
        f"{', '.join(text.logged)} was pickled where pandas keeps text in pyarrow, so pyarrow "
        f"ships too, some 150 MB of it{because}. Fit and log the model under "
        'pandas.set_option("mode.string_storage", "python") to do without.'
    )
    return (line,)


def _count(file: RewrittenFile) -> str:
    counts = ((file.arrays, "array", ""), (file.types, "type", " of columns"))
    return " and ".join(
        f"{count} {what}{'' if count == 1 else 's'}{of}" for count, what, of in counts if count
    )

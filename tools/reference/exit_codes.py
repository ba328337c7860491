"""The page of exit codes: the codes and kinds of packager/errors.py, and what you do about each."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from tools.reference.markdown import join_parts, make_table, open_page
from tools.reference.messages import list_errors, make_kinds

_TEXTS: Final = Path(__file__).with_suffix(".toml")
_OF_NO_ERROR: Final = frozenset({0, 1, 129, 130, 141, 143})
"""Done; a command's own answer is no; ended by a signal, which adds its number to 128."""


def make_exit_codes() -> str:
    """Make the page. Raises ValueError where its texts and the classes have not the same codes."""
    texts: dict[str, dict[str, str]] = tomllib.loads(_TEXTS.read_text(encoding="utf-8"))
    described = {int(code) for codes in texts for code in codes.split(",")}
    known = _OF_NO_ERROR | {each.exit_code for each in list_errors().values()}
    if described != known:
        raise ValueError(f"{_TEXTS.name} and packager/errors.py differ: {described ^ known}")
    rows = ((codes, each["meaning"], each["action"]) for codes, each in texts.items())
    return join_parts(
        [
            open_page(
                "Exit codes",
                "Each way to stop has a code of its own, so that your pipeline can tell them "
                "apart. [Troubleshooting](../support/troubleshooting.md#by-exit-code) goes on from "
                "each.",
            ),
            make_table(("code", "meaning", "what you do"), rows),
            "## Kinds of error",
            (
                "With `--json` an error is an object on stdout: "
                '`{"error": KIND, "message": TEXT}`. '
                "Several kinds can have one code."
            ),
            make_kinds(),
        ]
    )

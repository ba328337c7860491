"""bench/results/zoo.json: each model's last result, and of which version of the packager it is."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = ROOT / "bench" / "results" / "zoo.json"
_FIELDS: Final = frozenset(
    {
        *(
            "outcome",
            "target",
            "engine",
            "tier",
            "frame",
            "requirements",
            "declared",
            "shipped",
            "added",
        ),
        *("unzipped_bytes", "size_bytes", "rows", "largest", "wrong", "tried", "seconds"),
        *("error", "sentence", "ways", "commit", "date"),
    }
)
_CODE: Final = ("packager", "handlers", "templates", "pyproject.toml")
"""What a result depends on, beside the model."""


def read_results(file: Path = FILE) -> dict[str, dict[str, Any]]:
    """Read the last result of each model; of none where there is no file."""
    if not file.is_file():
        return {}
    read: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return read


def keep_result(name: str, result: Mapping[str, Any], file: Path = FILE) -> None:
    """Put a model's result in place of its last; a plan never takes the place of a build."""
    with _lock_folder(file.parent):
        _put_result(name, result, file)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Have a folder alone: another run may put the results of other models there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _put_result(name: str, result: Mapping[str, Any], file: Path) -> None:
    kept = read_results(file)
    of_a_build = name in kept and kept[name]["outcome"] != "planned"
    if result.get("is_plan") and of_a_build:
        return
    kept[name] = _shorten(result)
    lines = (
        f"{json.dumps(each)}: {json.dumps(kept[each], ensure_ascii=False, sort_keys=True)}"
        for each in sorted(kept)
    )
    written = file.with_name(f".{file.name}.{os.getpid()}")
    written.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    written.replace(file)


def _shorten(result: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the page needs of a result, and of the ways that its refusal offers."""
    short = {key: value for key, value in result.items() if key in _FIELDS}
    if "ways" in short:
        short["ways"] = {way: _shorten(tried) for way, tried in short["ways"].items()}
    return short


def stamp_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result with the commit of the code that it is of, and today's date."""
    return {**result, "commit": find_commit(), "date": f"{datetime.now(UTC):%Y-%m-%d}"}


def count_runs(results: Iterable[Mapping[str, Any]]) -> list[tuple[int, str, str]]:
    """Count results by day and commit, the most first: each a count, a day and a commit."""
    counted = Counter(map(find_run, results))
    counts = ((count, day, commit) for (commit, day), count in counted.items())
    return sorted(counts, reverse=True)


def find_run(result: Mapping[str, Any]) -> tuple[str, str]:
    """Find the commit and the day that a result is of."""
    return result.get("commit", ""), result.get("date", "")


def find_commit() -> str:
    """The last commit that changed the code, with `+` where files of it are changed since."""
    last = _run_git("log", "-1", "--format=%h", "--", *_CODE)
    changed = _run_git("status", "--porcelain", "--untracked-files=no", "--", *_CODE)
    return f"{last}+" if changed else last


def _run_git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()

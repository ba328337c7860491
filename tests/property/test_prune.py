"""Globs and rules over any path."""

from __future__ import annotations

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from packager.pipeline.slim.globs import matches

PART = st.text("abtes._-[]*0", min_size=1, max_size=6).filter(lambda part: part not in {".", ".."})
PATH = st.lists(PART, min_size=1, max_size=4).map(lambda parts: PurePosixPath(*parts))
PLAIN = st.lists(st.text("abtes._0", min_size=1, max_size=6), min_size=1, max_size=4).filter(
    lambda parts: not {".", ".."} & set(parts)
)


@given(path=PATH)
def test_two_stars_cover_everything(path: PurePosixPath) -> None:
    assert matches(path, ["**"])
    assert matches(path, [f"**/{'*'}"])


@given(parts=PLAIN)
def test_a_path_covers_itself_and_what_is_in_it_and_nothing_beside_it(parts: list[str]) -> None:
    path = PurePosixPath(*parts)
    assert matches(path, [path.as_posix()])
    assert matches(path / "inner" / "file", [path.as_posix()])
    assert not matches(path.with_name(f"{path.name}x"), [path.as_posix()])


@given(parts=PLAIN)
def test_one_star_stays_within_a_folder(parts: list[str]) -> None:
    path = PurePosixPath("top", *parts, "leaf.py")
    assert matches(path, ["top/*"])  # by the folder that it names, or the file
    assert matches(path, ["*/leaf.py"]) == (not parts)
    assert matches(path, ["**/leaf.py"])


@given(path=PATH)
def test_no_pattern_covers_nothing(path: PurePosixPath) -> None:
    assert not matches(path, [])

"""A damaged library is a ValueError or a reading of it: never another exception, never a hang."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from packager.system import elf
from tests import examples, tiny_elf

WHOLE = tiny_elf.library(
    needed=("liba.so", "libc.so.6"),
    soname="x",
    runpath="$ORIGIN",
    glibc=("GLIBC_2.17", "GLIBC_2.3"),
)


@settings(max_examples=examples.count(300), deadline=None)
@given(
    length=st.integers(0, len(WHOLE)),
    changes=st.dictionaries(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), max_size=6),
)
def test_damage(length: int, changes: dict[int, int]) -> None:
    content = bytearray(WHOLE)
    for at, value in changes.items():
        content[at] = value
    with TemporaryDirectory() as folder:
        path = Path(folder, "x.so")
        path.write_bytes(content[:length])
        try:
            found = elf.read(path)
        except ValueError as error:
            assert "x.so" in str(error)  # noqa: PT017 - either outcome is right
        else:
            assert isinstance(found.needed, tuple)

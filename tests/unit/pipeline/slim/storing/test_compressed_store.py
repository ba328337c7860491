"""The compressed store by itself: what it gives out, what of it is damaged, and what it unpacks."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handlers.importer.bytecode_importer import DamagedStoreError
from handlers.importer.compressed_store import FOOTER, MAGIC, CompressedStore

FILES = {"a/one.py": b"one = 1\n", "a/two.txt": b"two", "lib/x.so": b"\x7fELF library"}


def write(path: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    """A store of FILES in one block, with another table where `change` makes it one."""
    block = b"".join(FILES.values())
    packed = lzma.compress(block)
    table: dict[str, Any] = {
        "blocks": [[len(MAGIC), len(packed), len(block)]],
        "files": {},
        "digests": {},
        "needs": {},
        "trees": {},
    }
    offset = 0
    for name, content in FILES.items():
        table["files"][name] = [0, offset, len(content)]
        offset += len(content)
    change(table)
    told = lzma.compress(json.dumps(table).encode())
    footer = FOOTER.pack(len(MAGIC) + len(packed), len(told))
    path.write_bytes(MAGIC + packed + told + footer)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return write(tmp_path / "store.cold")


def open_store(path: Path) -> CompressedStore:
    return CompressedStore(str(path.parent), str(path))


def test_each_file_is_given_out_and_no_other(path: Path) -> None:
    store = open_store(path)
    assert {name: store.read(name) for name in FILES} == FILES
    assert store.read("a/none.py") is None
    assert store.read("a") is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda whole: b"", "it does not start as one"),
        (lambda whole: MAGIC[:-1], "it does not start as one"),
        (lambda whole: b"X" + whole[1:], "it does not start as one"),
        (lambda whole: whole[:20] + whole[-FOOTER.size :], "it was cut short"),
        (lambda whole: whole + whole[-FOOTER.size :], "it was cut short"),
        (lambda whole: whole[: -FOOTER.size - 4] + bytes(4) + whole[-FOOTER.size :], ""),
    ],
    ids=["empty", "short", "another start", "a hole", "more at its end", "its table"],
)
def test_a_store_that_is_none_says_why(
    path: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedStoreError, match=f"is damaged: .*{words}.*Deploy the artifact"):
        open_store(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["files"].update({"a/one.py": [0, 20, 99]}), "is damaged at a/one.py"),
        (lambda t: t["files"].update({"a/one.py": [1, 0, 8]}), "Block 1 of"),
        (lambda t: t["blocks"][0].__setitem__(2, 99), "Block 0 of .* was cut short"),
        (lambda t: t["blocks"][0].__setitem__(0, 9), "Block 0 of .* is damaged"),
    ],
)
def test_a_file_beyond_its_block_is_not_given_out(
    path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    store = open_store(write(path, change))
    with pytest.raises(DamagedStoreError, match=words):
        store.read("a/one.py")


def test_what_is_unpacked_already_is_left_as_it_lies(path: Path) -> None:
    first = Path(open_store(path).unpack_file("lib/x.so"))
    os.utime(first, (1, 1))

    again = Path(open_store(path).unpack_file("lib/x.so"))

    assert again == first
    assert (again.read_bytes(), again.stat().st_mtime) == (FILES["lib/x.so"], 1)
    assert [each.name for each in first.parent.iterdir()] == [first.name]


def test_a_file_that_cannot_be_put_in_place_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises((OSError, ImportError), match=r"No space|room"):
        open_store(path).unpack_file("lib/x.so")
    assert not [each for each in (path.parent / "tmp").rglob("*") if each.is_file()]


@pytest.mark.parametrize("gone", [True, False])
def test_the_first_error_is_told_where_nothing_was_written(
    *, path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    def fail(self: Path, *_: object) -> None:
        if gone:
            self.unlink()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises((OSError, ImportError), match=r"Input/output"):
        open_store(path).unpack_file("lib/x.so")

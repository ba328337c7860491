"""The zip that is written is read by the standard library, whatever the tree."""

from __future__ import annotations

import random
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packager.system import zip_file
from packager.system.zip_file import write_zip
from tests import examples

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0\n"), min_size=1, max_size=12)
CONTENTS = st.one_of(
    st.binary(max_size=300),
    st.binary(min_size=1, max_size=8).map(lambda piece: piece * 5000),
    st.just(random.Random(0).randbytes(4096)),
)
FILES = st.dictionaries(
    st.tuples(st.sampled_from(["", "a/", "a/b/"]), NAMES.filter(lambda name: name.strip("."))),
    st.tuples(CONTENTS, st.booleans()),
    max_size=6,
)


def made(root: Path, files: dict[tuple[str, str], tuple[bytes, bool]]) -> dict[str, Any]:
    expected = {}
    for (folder, name), (content, executable) in files.items():
        if (folder, name) in {("", "a"), ("a/", "b")} or len(name.encode()) > 200:
            continue  # a folder here
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o640)
        expected[folder + name] = (content, 0o100755 if executable else 0o100644)
    return expected


@given(files=FILES)
@settings(max_examples=examples.count(60), deadline=None)
def test_what_is_packed_is_what_is_read(files: dict[Any, Any]) -> None:
    with tempfile.TemporaryDirectory() as work:
        root, out = Path(work, "tree"), Path(work, "out.zip")
        root.mkdir()
        expected = made(root, files)
        first = write_zip(root, out).read_bytes()
        with zipfile.ZipFile(out) as archive:
            infos = archive.infolist()
            read = {i.filename: (archive.read(i), i.external_attr >> 16) for i in infos}
        assert read == expected
        assert [i.filename for i in infos] == sorted(expected)
        assert {i.date_time for i in infos} <= {(1980, 1, 1, 0, 0, 0)}
        assert write_zip(root, out).read_bytes() == first


def test_it_is_smaller_than_what_zlib_makes(tmp_path: Path) -> None:
    source = Path(zipfile.__file__).read_bytes() * 8
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "module.py").write_bytes(source)
    size = write_zip(tmp_path / "tree", tmp_path / "out.zip").stat().st_size
    assert size < len(zlib.compress(source, 9))


def test_more_files_than_a_zip_can_state_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(zip_file, "_MOST_FILES", 2)
    root = tmp_path / "tree"
    root.mkdir()
    for name in "abc":
        (root / name).write_text(name)
    with pytest.raises(OSError, match="a zip of more than 2 files or 4 GiB"):
        write_zip(root, tmp_path / "out.zip")


def test_a_zip_that_does_not_read_back_is_an_error(tmp_path: Path, monkeypatch: Any) -> None:
    good = zlib.compress(b"y" * 100, wbits=-15)
    monkeypatch.setattr("deflate.deflate_compress", lambda *_: good)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "x").write_bytes(b"x" * 100)
    with pytest.raises(OSError, match="x does not read back"):
        write_zip(tmp_path / "tree", tmp_path / "out.zip")

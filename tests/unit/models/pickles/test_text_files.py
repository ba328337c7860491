"""Files are written without pyarrow beside those that were logged, which stay as they are."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packager.models.pickles.text_files import holds_bytes, rewrite_into

pytest.importorskip("pyarrow")
pd: Any = pytest.importorskip("pandas", minversion="3")


def _text() -> bytes:
    return pickle.dumps(pd.array(["a", None], dtype=pd.StringDtype("pyarrow", na_value=np.nan)))


@pytest.mark.parametrize(
    ("pack", "unpack"),
    [
        (gzip.compress, gzip.decompress),
        (bz2.compress, bz2.decompress),
        (lzma.compress, lzma.decompress),
        (lambda data: lzma.compress(data, lzma.FORMAT_ALONE), lzma.decompress),
        (zlib.compress, zlib.decompress),
    ],
    ids=["gzip", "bz2", "xz", "lzma", "zlib"],
)
def test_a_compressed_file_is_compressed_again(
    tmp_path: Path, pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "a.pkl").write_bytes(pack(_text()))
    (file,) = rewrite_into(tmp_path, ["a.pkl"], tmp_path / "out")
    written = (tmp_path / "out" / "a.pkl").read_bytes()
    assert b"StringArray" in unpack(written)
    assert b"pyarrow" not in unpack(written)
    assert written[:2] == (tmp_path / "a.pkl").read_bytes()[:2]
    assert file.sha256 == hashlib.sha256(written).hexdigest()
    assert rewrite_into(tmp_path, ["a.pkl"], tmp_path / "again") == (file,)


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(_text())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.pkl").symlink_to(tmp_path / "a.pkl")
    rewrite_into(tmp_path, ["a.pkl"], tmp_path / "out")
    assert (tmp_path / "a.pkl").read_bytes() == _text()
    assert not (tmp_path / "out" / "a.pkl").is_symlink()


@pytest.mark.parametrize("content", [b"", b"pyarrow", gzip.compress(b"pyarrow", mtime=0)[:-9]])
def test_what_is_no_pickle_is_left_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    assert rewrite_into(tmp_path, ["a.pkl"], tmp_path / "out") == ()


def test_a_torn_array_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(_text()[:-9])
    with pytest.raises(ValueError, match=r"^a\.pkl: "):
        rewrite_into(tmp_path, ["a.pkl"], tmp_path / "out")


def test_bytes_are_found_across_parts_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"." * ((1 << 20) - 3) + b"pyarrow")
    assert holds_bytes(tmp_path / "a", b"pyarrow")
    assert not holds_bytes(tmp_path / "a", b"pyarrow.lib")

"""Pickles in a model are found whatever they are called, and read however they are packed."""

from __future__ import annotations

import bz2
import collections
import fractions
import gzip
import io
import lzma
import pickle
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest

from packager.models.pickles.pickle_files import is_pickle, open_unpacked, read_names
from packager.pipeline.slim.storing.named_files import read_model_words

HELD = [np.arange(3000.0), collections.OrderedDict(a=np.ones(5)), fractions.Fraction(1, 3)]
"""What is named last comes after arrays, which joblib writes between opcodes."""
PACKS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "zlib": zlib.compress,
    "zlib, least": lambda content: zlib.compress(content, 1),
    "zlib, most": lambda content: zlib.compress(content, 9),
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
}


def _tops(path: Path) -> set[str]:
    names, _ = read_names(path)
    return {name.partition(".")[0] for name in names.globals}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("name", ["model.sav", "model", "encoder.bin"])
def test_a_pickle_is_known_by_its_content(tmp_path: Path, name: str, pack: str) -> None:
    path = tmp_path / name
    path.write_bytes(PACKS[pack](pickle.dumps(HELD)))
    assert is_pickle(path)
    names, whole = read_names(path)
    assert whole
    assert {"fractions.Fraction", "collections.OrderedDict"} <= names.globals


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"a,b\n1,2\n", b"x\x9cnot", b"\x1f\x8b\x08cut", b"BZh9", bytes(100)]
)
def test_other_files_are_no_pickles(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table"
    path.write_bytes(content)
    assert not is_pickle(path)
    path.write_bytes(gzip.compress(content))
    assert not is_pickle(path)


@pytest.mark.parametrize("protocol", [*range(pickle.HIGHEST_PROTOCOL + 1)])
@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_what_joblib_names_after_an_array_is_found(
    tmp_path: Path, compress: int | tuple[str, int], protocol: int
) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(HELD, path, compress=compress, protocol=protocol)
    assert {"joblib", "collections", "fractions"} <= _tops(path)


def test_a_second_pickle_in_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "both.pkl"
    path.write_bytes(pickle.dumps(complex(1)) + pickle.dumps(fractions.Fraction(1, 3)))
    assert "fractions" in _tops(path)


@pytest.mark.parametrize("compress", [0, 3])
def test_a_file_that_is_cut_off_names_what_it_has(tmp_path: Path, compress: int) -> None:
    path = tmp_path / "cut.joblib"
    joblib.dump([fractions.Fraction(1, 3), np.random.default_rng(0).random(9000)], path, compress)
    path.write_bytes(path.read_bytes()[:20_000])
    assert "fractions" in _tops(path)


def test_a_module_s_name_across_chunks_is_found(tmp_path: Path) -> None:
    path = tmp_path / "long.joblib"
    wanted = pickle.dumps(fractions.Fraction(1, 3))
    for before in range((1 << 20) - 40, (1 << 20) + 8, 6):
        path.write_bytes(b"\x80\x04." + bytes(before) + wanted)
        assert "fractions" in _tops(path)


def test_decompressing_goes_forwards_alone(tmp_path: Path) -> None:
    path = tmp_path / "table"
    lines = b"".join(b"%d\n" % number for number in range(400_000))
    path.write_bytes(zlib.compress(lines))
    with open_unpacked(path) as file:
        assert file.readline() == b"0\n"
        assert file.read() == lines[2:]
        assert not file.seekable()
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0)


@pytest.mark.parametrize("compress", [0, 3])
def test_packed_words_of_a_model_keep_what_they_name(tmp_path: Path, compress: int) -> None:
    (tmp_path / "model").mkdir()
    joblib.dump(HELD, tmp_path / "model" / "late.sav", compress=compress)
    assert "fractions" in read_model_words(tmp_path)


def test_a_large_pickle_has_words_and_large_weights_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packager.pipeline.slim.storing.named_files._LARGEST", 1000)
    (tmp_path / "model").mkdir()
    joblib.dump(HELD, tmp_path / "model" / "late.sav")
    (tmp_path / "model" / "weights").write_bytes(b" torch" * 1000)
    words = read_model_words(tmp_path)
    assert "fractions" in words
    assert "torch" not in words


@pytest.mark.few(3)
@pytest.mark.parametrize("filler", [b"c", b"ca.", b"\x8c\xffa", b"\x8c\x02ab\x94", b"c\n", b"\x8c"])
def test_a_long_run_of_anything_is_searched_in_no_time(tmp_path: Path, filler: bytes) -> None:
    path = tmp_path / "long.pkl"
    path.write_bytes(b"\x80\x04." + filler * (3_000_000 // len(filler)))
    began = time.process_time()
    read_names(path)
    assert time.process_time() - began < 5


def _write_archive(path: Path, *values: object) -> bytes:
    """Write an archive of pickles as torch does, not compressed."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/code/model.py", "import colorsys\n")
        for number, value in enumerate(values):
            archive.writestr(f"archive/{number}.pkl", pickle.dumps(value))
    return path.read_bytes()


@pytest.mark.parametrize("value", [fractions.Fraction(1, 3), collections.Counter])
def test_every_pickle_of_an_archive_is_read(tmp_path: Path, value: object) -> None:
    path = tmp_path / "model" / "model.pt"
    path.parent.mkdir()
    _write_archive(path, {"a": 1}, value)

    names, _ = read_names(path)
    words = read_model_words(tmp_path)

    assert {"fractions", "collections"} & {each.partition(".")[0] for each in names.globals}
    assert {"fractions", "collections"} & words
    assert "colorsys" in words


@pytest.mark.parametrize("size", [300, 3_000_000])
def test_an_archive_with_a_wrong_digest_is_no_fault_of_ours(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model" / "model.pt"
    path.parent.mkdir()
    content = bytearray(_write_archive(path, b"x" * size))
    for at in _find_all(bytes(content), b"PK\x03\x04"):
        content[at + 14 : at + 18] = bytes(4)
    for at in _find_all(bytes(content), b"PK\x01\x02"):
        content[at + 16 : at + 20] = bytes(4)
    path.write_bytes(content)

    is_pickle(path)
    read_names(path)
    read_model_words(tmp_path)


def _find_all(content: bytes, mark: bytes) -> list[int]:
    found, at = [], content.find(mark)
    while at >= 0:
        found.append(at)
        at = content.find(mark, at + 1)
    return found

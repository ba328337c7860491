"""The zip and the folder: the same tree gives the same bytes, and nothing else gets in."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packager.errors import StorageError, VerificationError
from packager.pipeline.package import package
from packager.system import zip_file
from packager.system.file_tree import sha256, walk
from packager.types import Artifact, Bundle, Limits, VerifiedBundle
from tests import examples, fake_plan

_NAMES = st.text("aZ0_-. é日", min_size=1, max_size=6).filter(lambda n: n.strip(".") != "")


def _possible(tree: dict[tuple[str, ...], tuple[bytes, bool]]) -> bool:
    """A name may not be a file and a folder at once."""
    return not any(parts[:cut] in tree for parts in tree for cut in range(1, len(parts)))


_TREES = st.dictionaries(
    st.lists(_NAMES, min_size=1, max_size=3).map(tuple),
    st.tuples(st.binary(max_size=2000), st.booleans()),
    max_size=6,
).filter(_possible)


def _fill(root: Path, tree: dict[tuple[str, ...], tuple[bytes, bool]], *, umask: int) -> None:
    before = os.umask(umask)
    try:
        for parts, (content, executable) in tree.items():
            path = root.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod((0o777 if executable else 0o666) & ~umask)
            os.utime(path, (umask * 1e6, umask * 1e6))
    finally:
        os.umask(before)


def _pack(root: Path, out: Path) -> Artifact:
    out.mkdir()
    return package(fake_plan.verified(root), fake_plan.plan(), out)


@settings(max_examples=examples.count(40), deadline=None)
@given(tree=_TREES)
def test_same_tree_on_two_paths_gives_the_same_bytes(
    tree: dict[tuple[str, ...], tuple[bytes, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first, second = Path(one, "a"), Path(two, "longer", "b")
        second.parent.mkdir()
        first.mkdir()
        second.mkdir()
        _fill(first, tree, umask=0o022)
        _fill(second, dict(reversed(tree.items())), umask=0o077)

        left, right = _pack(first, Path(one, "out")), _pack(second, Path(two, "out"))

        assert left.sha256 == right.sha256
        assert left.path.read_bytes() == right.path.read_bytes()
        assert _modes(left.folder) == _modes(right.folder)
        with zipfile.ZipFile(left.path) as archive:
            inside = {name: archive.read(name) for name in archive.namelist()}
        assert inside == {p.as_posix(): (first / p).read_bytes() for p in walk(first)}
        assert left.unzipped_bytes == sum(map(len, inside.values()))


def _modes(root: Path) -> dict[str, int]:
    return {str(p.relative_to(root)): p.stat().st_mode for p in sorted(root.rglob("*"))}


def test_modes_are_those_that_lambda_can_read(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True, mode=0o700)
    (root / "bin" / "tool").write_bytes(b"x")
    (root / "bin" / "tool").chmod(0o700)
    (root / "data").write_bytes(b"x")
    (root / "data").chmod(0o600)

    artifact = _pack(root, tmp_path / "out")

    modes = {name: oct(mode & 0o777) for name, mode in _modes(artifact.folder).items()}
    assert modes == {"bin": "0o755", "bin/tool": "0o755", "data": "0o644"}
    with zipfile.ZipFile(artifact.path) as archive:
        packed = {i.filename: oct(i.external_attr >> 16) for i in archive.infolist()}
    assert packed == {"bin/tool": "0o100755", "data": "0o100644"}
    assert artifact.sha256 == sha256(artifact.path)


def test_the_verified_tree_is_left_as_it_was(tmp_path: Path) -> None:
    root = fake_plan.tree(tmp_path / "tree", fake_plan.plan())
    (root / "link.py").symlink_to("numpy/__init__.py")

    artifact = _pack(root, tmp_path / "out")

    assert list(walk(root)) == list(walk(artifact.folder))
    assert not (artifact.folder / "link.py").is_symlink()


@pytest.mark.parametrize("what", ["changed", "added", "gone"])
def test_a_tree_that_was_not_verified_is_refused(tmp_path: Path, what: str) -> None:
    root = fake_plan.tree(tmp_path / "tree", fake_plan.plan())
    verified = fake_plan.verified(root)
    if what == "changed":
        (root / "numpy" / "__init__.py").write_bytes(b"import antigravity")
    elif what == "added":
        (root / "numpy" / "extra.py").write_bytes(b"")
    else:
        (root / "numpy" / "__init__.py").unlink()
    out = tmp_path / "out"
    out.mkdir()

    with pytest.raises(VerificationError, match=r"1 files differ.*numpy/.*build again"):
        package(verified, fake_plan.plan(), out)


@pytest.mark.parametrize("to", ["/etc/hostname", "nowhere", "numpy"])
def test_a_link_that_a_zip_cannot_hold_is_refused(tmp_path: Path, to: str) -> None:
    root = fake_plan.tree(tmp_path / "tree", fake_plan.plan())
    (root / "link").symlink_to(to)
    out = tmp_path / "out"
    out.mkdir()

    with pytest.raises(VerificationError, match="link is a link"):
        package(
            VerifiedBundle(bundle=Bundle(root=root, files=()), evidence=fake_plan.EVIDENCE),
            fake_plan.plan(),
            out,
        )


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (replace(fake_plan.LIMITS, zipped_bytes=5000), "The zip"),
        (replace(fake_plan.LIMITS, unzipped_bytes=5000), "The unpacked function"),
    ],
)
def test_over_a_limit_names_the_way_out(tmp_path: Path, limits: Limits, what: str) -> None:
    root = fake_plan.tree(tmp_path / "tree", fake_plan.plan(), {"big": os.urandom(5000)})
    target = replace(fake_plan.TARGET, limits=limits)
    out = tmp_path / "out"
    out.mkdir()

    with pytest.raises(VerificationError, match=rf"{what} has .*5,000.*aws-lambda-image"):
        package(fake_plan.verified(root), fake_plan.plan(target=target), out)


def test_exactly_at_the_limit_is_not_over_it(tmp_path: Path) -> None:
    root = fake_plan.tree(tmp_path / "tree", fake_plan.plan())
    verified = fake_plan.verified(root)
    limits = replace(fake_plan.LIMITS, unzipped_bytes=verified.bundle.size_bytes)
    out = tmp_path / "out"
    out.mkdir()

    plan = fake_plan.plan(target=replace(fake_plan.TARGET, limits=limits))
    assert package(verified, plan, out).unzipped_bytes == verified.bundle.size_bytes


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    root = fake_plan.tree(tmp_path / "tree", fake_plan.plan())

    with pytest.raises(StorageError, match="cannot be written"):
        package(fake_plan.verified(root), fake_plan.plan(), tmp_path / "missing")


def test_what_is_compressed_already_is_stored_and_the_rest_is_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    noise = random.Random(1).randbytes(3_000_000)
    root = tmp_path / "f"
    (root / "one").mkdir(parents=True)
    content = {"noise": noise, "late": noise[:2_000_000] + bytes(1_000_000), "text": b"ab" * 50_000}
    for name, data in content.items():
        (root / "one" / name).write_bytes(data)
    first = zip_file.write_zip(root, tmp_path / "first.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        stored = {i.filename for i in archive.infolist() if i.compress_type == zipfile.ZIP_STORED}
    assert stored == {"one/noise"}
    kept = list((tmp_path / "cache" / "deflated").iterdir())
    assert len(kept) == 2
    shutil.rmtree(tmp_path / "cache")
    fresh = zip_file.write_zip(root, tmp_path / "fresh.zip", changing={"one"}).read_bytes()
    assert fresh == first
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr("packager.system.cache.remember", lambda _kind, _key, compute: compute())
    assert zip_file.write_zip(root, tmp_path / "second.zip").read_bytes() == first

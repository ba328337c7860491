"""Each package is the one whose digest the suite's release file leads to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from packager.errors import ToolError
from packager.targets.processor_emulation import debian_archive
from packager.targets.processor_emulation.debian_archive import choose_packages, fetch_packages
from tests.unit.targets.processor_emulation.debian_mirror import (
    LIST,
    Mirror,
    make_deb,
    serve_mirror,
)

_NO_KEYS = Path("/nonexistent/keyring.gpg")
_SUITE = "trixie"
_CONTENT = make_deb({"./usr/lib/libz.so.1": b"library"})


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with serve_mirror(tmp_path) as found:
        found.publish(
            _SUITE,
            {
                "python3.13-minimal": (_CONTENT, "libc6 (>= 2.38), zlib1g | zlib2, debconf"),
                "libc6": (_CONTENT, ""),
                "zlib1g": (_CONTENT, "libc6"),
            },
        )
        yield found


def _open(mirror: Mirror) -> debian_archive.Suite:
    return debian_archive.open_suite(_SUITE, mirror.address, keyring=_NO_KEYS)


def test_a_package_is_fetched_with_the_libraries_that_it_needs(mirror: Mirror) -> None:
    suite = _open(mirror)

    chosen = choose_packages(suite, ["python3.13-minimal"])

    assert [each.name for each in chosen] == ["libc6", "python3.13-minimal", "zlib1g"]
    assert fetch_packages(suite, chosen) == [_CONTENT] * 3
    assert str(_NO_KEYS) in suite.unsigned


def test_a_package_with_another_digest_is_not_used(mirror: Mirror) -> None:
    suite = _open(mirror)
    (mirror.folder / "pool/libc6.deb").write_bytes(_CONTENT[:-1] + b"x")

    with pytest.raises(ToolError, match=r"package libc6 1\.0-5 .* not the file whose digest"):
        fetch_packages(suite, choose_packages(suite, ["libc6"]))


def test_a_package_that_is_larger_than_listed_is_not_read_to_its_end(mirror: Mirror) -> None:
    suite = _open(mirror)
    (mirror.folder / "pool/libc6.deb").write_bytes(_CONTENT * 2)

    with pytest.raises(ToolError, match="cannot be fetched: the answer has more than"):
        fetch_packages(suite, choose_packages(suite, ["libc6"]))


def test_a_list_with_another_digest_is_not_read(mirror: Mirror) -> None:
    path = mirror.folder / "dists" / _SUITE / LIST
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(ToolError, match=r"list of packages .* not the file whose digest"):
        _open(mirror)


def test_a_list_leads_to_nothing_outside_of_the_pool(mirror: Mirror) -> None:
    mirror.write_list(
        _SUITE, f"Package: libc6\nFilename: pool/../../etc/passwd\nSize: 1\nSHA256: {'0' * 64}\n"
    )

    with pytest.raises(ToolError, match="has no package libc6 for arm64"):
        choose_packages(_open(mirror), ["libc6"])


def test_another_suites_release_is_refused(mirror: Mirror) -> None:
    mirror.write_release(_SUITE, "", called="bookworm")

    with pytest.raises(ToolError, match="the release file of bookworm for Debian trixie"):
        _open(mirror)


def test_a_page_in_place_of_a_release_is_refused(mirror: Mirror) -> None:
    (mirror.folder / "dists" / _SUITE / "InRelease").write_text("<html>Log in</html>")

    with pytest.raises(ToolError, match="no signed release file"):
        _open(mirror)


def test_a_mirror_that_lacks_the_suite_is_named(mirror: Mirror) -> None:
    with pytest.raises(ToolError, match=f"{mirror.address}/dists/sid/InRelease cannot be fetched"):
        debian_archive.open_suite("sid", mirror.address, keyring=_NO_KEYS)


@pytest.mark.skipif(shutil.which("gpgv") is None, reason="gpgv is not on this machine")
def test_a_release_that_nobody_signed_is_refused_where_keys_are_there(
    mirror: Mirror, tmp_path: Path
) -> None:
    keyring = tmp_path / "keyring.gpg"
    keyring.write_bytes(b"")

    with pytest.raises(ToolError, match="is not signed by a key of"):
        debian_archive.open_suite(_SUITE, mirror.address, keyring=keyring)

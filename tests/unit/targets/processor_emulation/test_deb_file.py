"""Packages of Debian's are unpacked as a stranger's: nothing of them leaves the folder."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from packager.errors import ToolError
from packager.targets.processor_emulation.deb_file import unpack_package
from tests.unit.targets.processor_emulation.debian_mirror import make_deb, wrap_data


def _list_files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def test_programs_and_libraries_are_unpacked_below_usr(tmp_path: Path) -> None:
    content = make_deb(
        {
            "./usr/bin/python3.13": b"program",
            "./lib/aarch64-linux-gnu/libz.so.1.3": b"library",
            "./usr/share/doc/zlib1g/copyright": b"text",
            "./etc/python3.13/sitecustomize.py": b"raise SystemExit",
        },
        {"./lib/aarch64-linux-gnu/libz.so.1": "libz.so.1.3"},
    )

    unpack_package(content, tmp_path, "zlib1g 1.3")

    assert _list_files(tmp_path) == [
        "usr/bin/python3.13",
        "usr/lib/aarch64-linux-gnu/libz.so.1",
        "usr/lib/aarch64-linux-gnu/libz.so.1.3",
    ]
    assert (tmp_path / "usr/lib/aarch64-linux-gnu/libz.so.1").read_bytes() == b"library"


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({"./usr/lib/../../../evil": b"x"}, {}),
        ({"/usr/lib/evil": b"x"}, {}),
        ({"../evil": b"x"}, {}),
        ({}, {"./usr/lib/evil": "../../../../evil"}),
        ({"./usr/lib/evil/file": b"x"}, {"./usr/lib/evil": "../../.."}),
    ],
    ids=["inner dots", "absolute", "outer dots", "link out", "link out after a folder"],
)
def test_a_path_that_leads_out_is_refused(
    tmp_path: Path, files: dict[str, bytes], links: dict[str, str]
) -> None:
    inside = tmp_path / "a/b/c/inside"
    inside.mkdir(parents=True)

    with pytest.raises(ToolError, match=r"The package hostile cannot be unpacked: .+ not used"):
        unpack_package(make_deb(files, links), inside, "hostile")

    assert not [name for name in _list_files(tmp_path) if "inside/usr" not in name]


def test_a_link_to_a_place_of_this_machine_is_left_out(tmp_path: Path) -> None:
    unpack_package(make_deb({}, {"./usr/lib/passwd": "/etc/passwd"}), tmp_path, "linked")

    assert _list_files(tmp_path) == []


def test_more_bytes_than_a_package_has_are_not_unpacked(tmp_path: Path) -> None:
    content = make_deb({"./usr/lib/zeros": bytes(300_000), "./usr/lib/more": bytes(300_000)})

    with pytest.raises(ToolError, match="more than 500,000 bytes"):
        unpack_package(content, tmp_path, "large", most_bytes=500_000)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>not found</html>", "no package of Debian's"),
        (b"!<arch>\n", "no data.tar"),
        (make_deb({"./usr/lib/file": b"x"})[:-40], "cut short"),
        (wrap_data(b"no archive"), "truncated header"),
        (wrap_data(lzma.compress(b"x" * 5000)), "invalid header"),
    ],
    ids=["a page", "empty", "cut short", "no tar", "packed noise"],
)
def test_what_is_no_package_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ToolError, match=f"cannot be unpacked: .*{why}"):
        unpack_package(content, tmp_path, "broken")

"""Whether the target's loader would load the tree: one table of trees, one of what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from packager.pipeline.verify import linkage
from packager.system import file_tree
from packager.types import Bundle, Finding, Removal, Trace
from tests import fake_plan
from tests.tiny_elf import library, write


def check(root: Path, files: dict[str, bytes]) -> tuple[list[Finding], dict[str, str]]:
    write(root, files)
    return linkage.check(Bundle(root=root, files=tuple(file_tree.records(root))), fake_plan.plan())


@pytest.mark.parametrize(
    "files",
    [
        {"a.so": library(needed=("libc.so.6",))},
        {"p/a.so": library(needed=("x.so",), runpath="$ORIGIN/../l"), "l/x.so": library()},
        {"p/a.so": library(needed=("libx.so",), rpath="${ORIGIN}"), "p/libx.so": library()},
        {"p/a.so": library(needed=("libgomp.so.1",)), "lib/libgomp.so.1": library()},
        {"p/a.so": library(needed=("libx.so",)), "libx.so": library()},
        {"p/a.so": library(glibc=("GLIBC_2.34",))},
        {"p/not_code.txt": b"text", "p/code.py": b"", "model/other.dylib.json": b""},
        {"model/weights.so": b"no library, but the model's own business"},
    ],
)  # fmt: skip
def test_loads(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert check(tmp_path, files)[0] == []


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"p/a.so": library(needed=("libgomp.so.1",))},
         "libgomp.so.1 is neither in the tree nor in Amazon Linux 2023; needed by p/a.so."),
        ({"p/a.so": library(glibc=("GLIBC_2.17", "GLIBC_2.38"))},
         "p/a.so: needs GLIBC 2.38, and Amazon Linux 2023 (python3.13) has 2.34."),
        ({"p/a.so": library(architecture="arm64")},
         "p/a.so: built for arm64, not for x86_64."),
        ({"p/a.so": b"\xcf\xfa\xed\xfe Mach-O"},
         "p/a.so is named like a Linux shared library and is not one"),
        ({"p/a.dylib": b"\xcf\xfa\xed\xfe", "p/b.pyd": b"MZ"},
         "p/a.dylib, p/b.pyd: libraries of another operating system."),
        ({"p/a.so": b"\x7fELF damaged"}, "p/a.so is damaged"),
    ],
)  # fmt: skip
def test_does_not_load(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    (finding,) = check(tmp_path, files)[0]
    assert finding.check == "linkage"
    assert words in finding.message
    assert finding.hint


def test_everything_is_said_at_once_and_grouped(tmp_path: Path) -> None:
    old = library(glibc=("GLIBC_2.99",), needed=("libodd.so",))
    findings, _ = check(tmp_path, {f"p/{name}.so": old for name in "abcde"})
    files = "p/a.so, p/b.so, p/c.so and 2 more"
    assert [finding.message.partition(", and Amazon")[0] for finding in findings] == [
        f"libodd.so is neither in the tree nor in Amazon Linux 2023; needed by {files}.",
        f"{files}: needs GLIBC 2.99",
    ]


def test_three_files_are_all_named(tmp_path: Path) -> None:
    (finding,), _ = check(tmp_path, {f"p/{name}.so": library(needed=("l.so",)) for name in "abc"})
    assert finding.message.endswith("needed by p/a.so, p/b.so, p/c.so.")


A_MODULE, A_LIBRARY = PurePosixPath("p/a.so"), PurePosixPath("p/liba.so")
NOTHING = Trace(init=(), answering=(), refusing=(), files={}, opened=(), own_cpu_ms={}, answers=())


@pytest.mark.parametrize(
    ("path", "loaders", "trace", "used"),
    [
        # nobody knows what loads it
        (A_MODULE, None, NOTHING, True),
        # without a trace: whatever imports it may be reached
        (A_MODULE, {"p.x"}, None, True),
        (A_MODULE, set(), None, False),
        # an extension module counts once it is imported, a library once it is opened
        (A_MODULE, set(), replace(NOTHING, files={"p.a": A_MODULE}), True),
        (A_MODULE, set(), replace(NOTHING, opened=(A_MODULE,)), False),
        (A_LIBRARY, set(), replace(NOTHING, opened=(A_LIBRARY,)), True),
        (A_LIBRARY, set(), replace(NOTHING, files={"p.a": A_LIBRARY}), False),
        # what loads it was imported, or is the model's own
        (A_LIBRARY, {"p.x"}, replace(NOTHING, init=("p.x",)), True),
        (A_LIBRARY, {"p.x"}, replace(NOTHING, init=("p.y",)), False),
        (A_LIBRARY, {"model/code/x.py"}, NOTHING, True),
    ],
)
def test_a_need_that_is_not_met_counts_where_the_library_is_used(
    tmp_path: Path,
    path: PurePosixPath,
    loaders: set[str] | None,
    trace: Trace | None,
    *,
    used: bool,
) -> None:
    write(tmp_path, {path.as_posix(): library(needed=("libodd.so",))})
    known = {} if loaders is None else {path: frozenset(loaders)}
    files = tuple(file_tree.records(tmp_path))
    bundle = Bundle(root=tmp_path, files=files, loaders=known, trace=trace)
    assert bool(linkage.check(bundle, fake_plan.plan())[0]) is used


def test_a_library_that_only_a_preload_finds_is_said_not_refused(tmp_path: Path) -> None:
    files = {"p/a.so": library(needed=("libx.so",)), "q/libx.so": library()}
    findings, sentences = check(tmp_path, files)
    assert findings == []
    assert "1 of them only when another library is loaded first" in sentences["linkage"]


def test_a_search_path_out_of_the_tree_finds_nothing(tmp_path: Path) -> None:
    files = {"a.so": library(needed=("libx.so",), runpath="$ORIGIN/../../lib")}
    (finding,) = check(tmp_path, files)[0]
    assert finding.message.startswith("libx.so is neither in the tree")
    assert finding.missing is None


def test_a_library_that_a_pass_took_out_can_be_kept(tmp_path: Path) -> None:
    write(tmp_path, {"a.so": library(needed=("libx.so",))})
    bundle = Bundle(
        root=tmp_path,
        files=tuple(file_tree.records(tmp_path)),
        removed=(Removal(PurePosixPath("p/capi/libx.so"), 1, "rule"),),
    )
    (finding,) = linkage.check(bundle, fake_plan.plan())[0]
    assert finding.missing == "p/capi/libx.so"


def test_the_sentences_say_what_was_looked_at(tmp_path: Path) -> None:
    _, sentences = check(tmp_path, {"a.so": library(glibc=("GLIBC_2.28",))})
    assert sentences["glibc"] == "The newest symbol is of GLIBC 2.28; Amazon Linux 2023 has 2.34."
    assert sentences["linkage"].startswith("1 shared libraries for x86_64;")


def test_the_runtime_decides(tmp_path: Path) -> None:
    write(tmp_path, {"a.so": library(glibc=("GLIBC_2.28",))})
    plan = fake_plan.plan(runtime=replace(fake_plan.RUNTIME, glibc=(2, 26), os="Amazon Linux 2"))
    (finding,) = linkage.check(
        Bundle(root=tmp_path, files=tuple(file_tree.records(tmp_path))), plan
    )[0]
    assert "needs GLIBC 2.28, and Amazon Linux 2" in finding.message


@pytest.mark.parametrize(
    ("count", "told"),
    [(1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more"), (9, "0, 1, 2 and 6 more")],
)
def test_of_many_paths_some_are_named(count: int, told: str) -> None:
    assert linkage._some([PurePosixPath(str(i)) for i in range(count)]) == told

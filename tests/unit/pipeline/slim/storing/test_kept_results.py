"""A compressed store of an earlier build: taken for the same files, for no others, and whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlers.importer.compressed_store import CompressedStore
from packager.pipeline.slim.storing import bytecode, compressed_store
from packager.system import cache, file_tree
from packager.types import Bundle
from tests import tiny_elf
from tests.unit.pipeline.slim.storing.test_store import SEEN, TREE, plan, read_boot, trace

STORE = "handlers/store.cold"
OF_VERSION = {"model-manifest.json": b"{}"}


class Stores:
    """How often a store was written."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times, self._folder, self._made = 0, folder, 0
        write = compressed_store.write

        def count(*given: Any) -> None:
            self.times += 1
            write(*given)

        monkeypatch.setattr(compressed_store, "write", count)

    def make(
        self, changes: dict[str, bytes] | None = None, seen: tuple[str, ...] = SEEN, **more: Any
    ) -> Bundle:
        self._made += 1
        root = self._folder / f"f{self._made}"
        tiny_elf.write(root, {**read_boot(), **OF_VERSION, **TREE, **(changes or {})})
        bundle = Bundle(root=root, files=tuple(file_tree.records(root)), trace=trace(root, seen))
        made = plan(**more)
        return compressed_store.PASS.apply(bytecode.PASS.apply(bundle, made), made)


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    return Stores(tmp_path, monkeypatch)


def read(bundle: Bundle) -> dict[str, bytes]:
    return {
        path.as_posix(): (bundle.root / path).read_bytes() for path in file_tree.walk(bundle.root)
    }


def test_another_version_takes_the_store_of_the_one_before(stores: Stores) -> None:
    first = stores.make()
    changed = {"model/weights.bin": b"other", "model-manifest.json": b'{"version": 2}'}
    again = stores.make(changed)

    assert stores.times == 1
    assert {n: c for n, c in read(again).items() if n not in changed} == {
        n: c for n, c in read(first).items() if n not in changed
    }
    assert again.removed == first.removed
    assert "in an earlier build of the same files" in again.ledger[-1].proof
    assert "earlier" not in first.ledger[-1].proof


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "given",
    [
        {"changes": {"single.py": b"X = 4\n"}},
        {"changes": {"used/data.txt": b"dat4"}},
        {"changes": {"model/code/mine.py": b"import single\n"}},
        {"changes": {"model/extra.so": b"library"}},
        {"changes": {"more.py": b""}},
        {"seen": ("used", "used.a", "used.b")},
        {"keep": ("single.py",)},
        {"passes": ("bytecode", "cold")},
    ],
    ids=["source", "data", "model's code", "model's library", "more", "trace", "keep", "passes"],
)
def test_whatever_it_hangs_on_makes_another_store(stores: Stores, given: dict[str, Any]) -> None:
    stores.make()
    made = stores.make(**given)

    assert stores.times == 2
    store = CompressedStore(str(made.root), str(made.root / STORE))
    given_files = {**TREE, **given.get("changes", {})}
    assert all(store.read(name) == given_files[name] for name in store.files if name in given_files)


def test_another_program_makes_its_own_store(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.make()
    monkeypatch.setattr(cache, "digest_program", lambda: "another")
    stores.make()

    assert stores.times == 2


def _damage_store(entry: Path) -> None:
    whole = bytearray((entry / "store").read_bytes())
    whole[20] ^= 1
    (entry / "store").write_bytes(whole)


def _change_list(entry: Path) -> None:
    text = (entry / "about.json").read_text()
    (entry / "about.json").write_text(text.replace("single.py", "used/a.py"))


def _cut_short(entry: Path) -> None:
    (entry / "store").unlink()


def _drop_manifest(entry: Path) -> None:
    (entry / ".packager-manifest.json").write_text("{}")


@pytest.mark.few(1)
@pytest.mark.parametrize("spoil", [_damage_store, _change_list, _cut_short, _drop_manifest])
def test_what_was_changed_in_the_cache_is_made_again(
    tmp_path: Path, stores: Stores, spoil: Any
) -> None:
    first = stores.make()
    entries: Iterator[Path] = (tmp_path / "cache" / "stores").glob("[!.]*")
    spoil(next(entries))
    again = stores.make()

    assert stores.times == 2
    assert read(again) == read(first)
    stores.make()
    assert stores.times == 2


def test_nothing_is_left_beside_the_tree(tmp_path: Path, stores: Stores) -> None:
    stores.make()
    stores.make()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cache", "f1", "f2"]

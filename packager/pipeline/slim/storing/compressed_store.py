"""Put what no traced request opened into one compressed file, which handlers/importer serves.

Nothing goes that could be asked for without a way back: data files that lie in a package which is
used stay, as native code may open them, and so do libraries that nothing links to, and the modules
of a package that looks into its own folder.
What goes, and how it comes back:

    a module that was not imported       by importing it
    an extension module, and libraries   by importing it: they are unpacked below /tmp
      that only such modules link to
    a package none of whose files was    by importing it: where it has data files, all of it is
      opened                             unpacked below /tmp
    the source of an archived module     by asking its loader (tracebacks, inspect), or opening it
    stubs, documents, installers'        by opening it: it is unpacked below /tmp
      records
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import lzma
import os
import re
import sys
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from handlers.importer import bytecode_importer
from handlers.importer.compressed_store import FOOTER, MAGIC, CompressedStore
from packager.errors import StorageError, ToolError
from packager.pipeline.slim import prune
from packager.pipeline.slim.globs import matches
from packager.pipeline.slim.native import stored_libraries
from packager.pipeline.slim.passes import Pass, account_for, drop_empty_folders
from packager.pipeline.slim.prune import LICENCES, is_set_aside
from packager.pipeline.slim.storing import archive, index, kept_results
from packager.system import cache
from packager.types import BuildPlan, Bundle, Json, PassName, Removal, Trace

_LOG = logging.getLogger(__name__)
_COUNTED: Final = {"counted": True}
_BLOCK_BYTES: Final = 1 << 20
"""What a miss decompresses at least: about 12 ms."""
_OWN_BLOCK_BYTES: Final = 1 << 19
_OWN_PLACE: Final = re.compile(rb"\b__(?:file|path)__\b")
_LOOKS: Final = re.compile(rb"\b(?:listdir|scandir|iterdir|walk|i?glob|rglob)\(")
_LZMA2: Final = {"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": _BLOCK_BYTES}
_OF_CODE: Final = {"x86_64": {"id": lzma.FILTER_X86}}
"""Makes the jumps in machine code alike, for 6 % less; Python has none for aarch64."""


@dataclass(slots=True, kw_only=True)
class Chosen:
    """Files by path: those that go into the store, and those it makes, which are only dropped."""

    files: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    trees: dict[str, list[str]] = field(default_factory=dict)
    """A package's `__init__.py` to all that is unpacked with it."""
    needs: dict[str, list[str]] = field(default_factory=dict)
    """A library to those in the tree that it is linked to, directly or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A store that gives back what was put in."""

    chosen: Chosen
    spared: set[str]
    """Files that were found not to bear it."""
    loaded: str
    """A sentence on its libraries."""
    is_kept: bool = False
    """Whether an earlier build made it."""


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Move files; without a trace none.

    Raises ToolError where the store does not give back what was put in.
    """
    if bundle.trace is None:
        return account_for(bundle, PASS, proof=f"nothing is cold: {bundle.untraced}")
    root, sizes = bundle.root, index.by_path(bundle.files)
    path = root / index.HOME / bytecode_importer.COLD_FILE
    made = _provide_store(path, bundle, plan, bundle.trace)
    chosen, going = made.chosen, sorted(made.chosen.files | made.chosen.dropped)
    if not going:
        return account_for(
            bundle, PASS, proof="everything was opened", reverted=tuple(sorted(made.spared))
        )
    removed = [Removal(PurePosixPath(each), sizes[each].size_bytes, "cold") for each in going]
    for each in going:
        (root / each).unlink()
    drop_empty_folders(root)
    index.write(root, plan, code={})
    size = sum(sizes[each].size_bytes for each in chosen.files)
    before = " (in an earlier build of the same files)" if made.is_kept else ""
    return account_for(
        bundle,
        PASS,
        removed=removed,
        proof=f"{len(chosen.files)} files that no traced request opened, {size / 1e6:.1f} MB as "
        f"{path.stat().st_size / 1e6:.1f}, each read back the same; {made.loaded}{before}; "
        f"{len(chosen.dropped)} bytecode files that a miss makes anew",
        reverted=tuple(sorted(made.spared)),
    )


def _provide_store(path: Path, bundle: Bundle, plan: BuildPlan, trace: Trace) -> Made:
    """Make the store, or take the one that an earlier build made of the same files.

    What is kept was read back, and its libraries loaded, when it was made. Raises ToolError.
    """
    seen = [sorted(map(str, trace.opened)), sorted(trace.modules), sys.version_info[:2]]
    key = kept_results.make_key(PASS.name, bundle, plan, seen)
    about = kept_results.recall_store(key, path, bundle.root.parent)
    if about is not None:
        return _read_made(about)
    made = _make_store(path, bundle, plan, trace)
    if made.chosen.files:
        kept_results.keep_store(key, path, _describe_made(made))
    return made


def _make_store(path: Path, bundle: Bundle, plan: BuildPlan, trace: Trace) -> Made:
    """Write it, read it back and load its libraries; without the file where nothing goes."""
    root, spared = bundle.root, set[str]()
    while True:
        chosen = choose(bundle, plan, trace, spared)
        if not chosen.files | chosen.dropped:
            path.unlink(missing_ok=True)
            return Made(chosen=chosen, spared=spared, loaded="")
        write(path, root, chosen, plan.request.target.architecture)
        _read_back(path, root, chosen.files)
        failing, loaded = stored_libraries.load_libraries(root, plan, chosen.needs, chosen.files)
        if failing <= spared:
            return Made(chosen=chosen, spared=spared, loaded=loaded)
        spared |= failing


def _describe_made(made: Made) -> Mapping[str, Json]:
    return {
        "files": sorted(made.chosen.files),
        "dropped": sorted(made.chosen.dropped),
        "spared": sorted(made.spared),
        "loaded": made.loaded,
    }


def _read_made(about: Mapping[str, Json]) -> Made:
    chosen = Chosen(files={*about["files"]}, dropped={*about["dropped"]})
    return Made(chosen=chosen, spared={*about["spared"]}, loaded=about["loaded"], is_kept=True)


def choose(bundle: Bundle, plan: BuildPlan, trace: Trace, spared: Collection[str] = ()) -> Chosen:
    """Decide what goes; `spared` are files that were found not to bear it."""
    files = index.by_path(bundle.files)
    opened = {path.as_posix() for path in trace.opened}
    found = index.modules(files, index.suffixes(plan))
    stays = {path for path in files if path in opened or path in spared or _stays(path, plan)}
    chosen = Chosen()
    _whole_packages(files, found, stays, trace, chosen)
    single = _list_single_modules(bundle.root, found, stays, chosen)
    sources = [file for file in single if file.endswith(".py")]
    _choose_sources(sources, files, opened, plan, chosen)
    if prune.PASS.name in plan.passes:
        chosen.files.update(
            path for path in files if path not in stays and is_set_aside(PurePosixPath(path))
        )
    extensions = {file for file in single if not file.endswith(".py") and ".so" in file}
    found_needs = stored_libraries.read_needs(bundle.root, files, plan)
    in_trees = chosen.files & found_needs.direct.keys()
    going = stored_libraries.choose_libraries(found_needs, extensions, in_trees, stays)
    chosen.files |= going
    chosen.needs = {path: sorted(needs) for path in going if (needs := found_needs.every.get(path))}
    return chosen


def _list_single_modules(
    root: Path, found: Mapping[str, str], stays: Collection[str], chosen: Chosen
) -> list[str]:
    """Modules that may go by themselves: in a package that does not look at its folder's files."""
    taken = {path for tree in chosen.trees.values() for path in tree}
    listed = _find_listing_folders(root, found.values())
    return [
        file
        for file in found.values()
        if not (file in stays or file in taken)
        and _in_package(file, found)
        and listed.isdisjoint(PurePosixPath(file).parents)
    ]


def _choose_sources(
    sources: Iterable[str],
    files: Collection[str],
    opened: Collection[str],
    plan: BuildPlan,
    chosen: Chosen,
) -> None:
    """Sources whose bytecode was not opened, with it; all of them where bytecode is archived."""
    for file in sources:
        bytecode = index.bytecode_of(PurePosixPath(file), plan.interpreter).as_posix()
        if bytecode not in files:
            continue  # it does not compile, so it is no module
        if bytecode not in opened:
            chosen.files.add(file)
            chosen.dropped.add(bytecode)
        elif archive.PASS.name in plan.passes:
            chosen.files.add(file)


def _stays(path: str, plan: BuildPlan) -> bool:
    top = path.partition("/")[0]
    return (
        top in {"model", "lib", "model-manifest.json"}
        or path in index.BOOT
        or (top.endswith(".dist-info") and not is_set_aside(PurePosixPath(path)))
        or matches(PurePosixPath(path), (*LICENCES, *plan.keep))
    )


def _group_by_top(files: Iterable[str]) -> dict[str, list[str]]:
    """Files below each folder at the top."""
    within: dict[str, list[str]] = {}
    for path in files:
        top, inside, _ = path.partition("/")
        if inside:
            within.setdefault(top, []).append(path)
    return within


def _is_data(path: str) -> bool:
    return not path.endswith((".py", ".pyc")) and ".so" not in path


def _whole_packages(
    files: Iterable[str],
    found: Mapping[str, str],
    stays: set[str],
    trace: Trace,
    chosen: Chosen,
) -> None:
    """Packages at the top with data files, of which nothing was opened and nothing is kept."""
    loaded = {name.partition(".")[0] for name in trace.modules}
    for top, paths in _group_by_top(files).items():
        init = found.get(top)
        going = [path for path in paths if path not in stays]
        used = any(path in stays and not _is_licence(path) for path in paths)
        if top in loaded or used or init != f"{top}/__init__.py" or init in stays:
            continue
        if not any(map(_is_data, going)):
            continue
        chosen.trees[init] = sorted(path for path in going if not path.endswith(".pyc"))
        chosen.files.update(chosen.trees[init])
        chosen.dropped.update(path for path in going if path.endswith(".pyc"))


def _in_package(file: str, found: Mapping[str, str]) -> bool:
    """Tell whether the file's folder is the top or has an `__init__`.

    A namespace package is a folder that must be there; without files no zip would have it.
    """
    folder = file.rpartition("/")[0]
    return not folder or found.get(folder, "").startswith(f"{folder}/__init__.")


def _find_listing_folders(root: Path, files: Iterable[str]) -> set[PurePosixPath]:
    """Folders that a module in them may list to find its like: what is not there is not missed."""
    found = set()
    for file in files:
        if file.endswith(".py") and "/" in file:
            text = (root / file).read_bytes()
            if _LOOKS.search(text) and _OWN_PLACE.search(text):
                found.add(PurePosixPath(file).parent)
    return found


def _is_licence(path: str) -> bool:
    return matches(PurePosixPath(path), LICENCES)


@contextlib.contextmanager
def compressing_ahead(bundle: Bundle, plan: BuildPlan) -> Iterator[None]:
    """Compress into the cache, while the block runs, what would go if nothing were deferred.

    Most of it goes in the end, large libraries above all; what is done by then `write` finds. The
    block traces which files are opened: they are read by hard links in a folder nobody watches.
    """
    trace, ended = bundle.trace, threading.Event()
    if trace is None or PASS.name not in plan.passes:
        yield
        return
    blocks = _list_blocks(choose(bundle, plan, trace), bundle.root)

    def compress(folder: Path) -> None:
        try:
            for number, names in enumerate(blocks):
                if ended.is_set():
                    return
                content = b"".join(
                    (folder / f"{number}-{place}").read_bytes() for place in range(len(names))
                )
                _compress(content, _choose_filters(names, plan.request.target.architecture))
        except (OSError, StorageError) as error:
            _LOG.debug("Nothing more is compressed beforehand: %s", error)

    with (
        tempfile.TemporaryDirectory(dir=bundle.root.parent) as scratch,
        ThreadPoolExecutor(1, "compress") as pool,
    ):
        if _link_blocks(blocks, bundle.root, Path(scratch)):
            pool.submit(compress, Path(scratch))
        try:
            yield
        finally:
            ended.set()


def _link_blocks(blocks: Sequence[Sequence[str]], root: Path, folder: Path) -> bool:
    """Link each block's files by their numbers; False where the file system has no hard links."""
    try:
        for number, names in enumerate(blocks):
            for place, name in enumerate(names):
                (folder / f"{number}-{place}").hardlink_to(root / name)
    except OSError as error:
        _LOG.debug("Nothing is compressed beforehand: %s", error)
        return False
    return True


def write(path: Path, root: Path, chosen: Chosen, architecture: str) -> None:
    """Blocks of files that lie near each other; the same files give the same bytes."""
    blocks = _list_blocks(chosen, root)
    places: dict[str, tuple[int, int, int]] = {}
    digests: dict[str, str] = {}
    unpacked = {file for tree in chosen.trees.values() for file in tree}
    unpacked |= {file for file in chosen.files if _kind(file) == "library"}

    def compress_block(numbered: tuple[int, Sequence[str]]) -> tuple[int, bytes]:
        number, names = numbered
        content = bytearray()
        for name in names:
            data = (root / name).read_bytes()
            places[name] = (number, len(content), len(data))
            if name in unpacked:
                digests[name] = hashlib.sha256(data).hexdigest()
            content += data
        compressed = _compress(bytes(content), _choose_filters(names, architecture))
        _LOG.info("Compressed %d of %d blocks", next(ready), len(blocks), extra=_COUNTED)
        return len(content), compressed

    ready = itertools.count(1)
    rows: list[tuple[int, int, int]] = []
    # what is logged there is logged as here: beside another stage, or not
    named = threading.current_thread().name
    with path.open("wb") as out, ThreadPoolExecutor(os.cpu_count(), named) as pool:
        out.write(MAGIC)
        for size, data in pool.map(compress_block, enumerate(blocks)):
            rows.append((out.tell(), len(data), size))
            out.write(data)
        table = {
            "blocks": rows,
            "files": places,
            "digests": digests,
            "needs": chosen.needs,
            "trees": chosen.trees,
        }
        text = json.dumps(table, sort_keys=True, separators=(",", ":"))
        data = lzma.compress(text.encode())
        start = out.tell()
        out.write(data)
        out.write(FOOTER.pack(start, len(data)))
    path.chmod(0o644)


def _list_blocks(chosen: Chosen, root: Path) -> list[list[str]]:
    return _blocks(sorted(chosen.files, key=lambda file: (_kind(file), file)), root)


def _choose_filters(names: Sequence[str], architecture: str) -> list[dict[str, int]]:
    if _kind(names[0]) != "library":
        return [_LZMA2]
    return [*filter(None, [_OF_CODE.get(architecture)]), _LZMA2]


def _compress(content: bytes, filters: list[dict[str, int]]) -> bytes:
    """Compress a block, or take it from the cache: that is half of a build's CPU."""
    key = cache.make_key([filters, sys.version_info[:2]], content)
    return cache.remember("blocks", key, lambda: lzma.compress(content, filters=filters))


def _kind(file: str) -> str:
    return "library" if ".so" in file.rpartition("/")[2] else "text"


def _blocks(files: Iterable[str], root: Path) -> list[list[str]]:
    """Files of one kind and package until a block is full; none is split, so one block holds it.

    A large library is a block of its own. So two models with the same packages share most blocks,
    whatever else they hold, and these are in the cache.
    """
    blocks: list[list[str]] = []
    size, last = 0, None
    for file in files:
        length = (root / file).stat().st_size
        own = length >= _OWN_BLOCK_BYTES and _kind(file) == "library"
        group = file if own else (_kind(file), file.partition("/")[0])
        if group != last or size + length > _BLOCK_BYTES:
            blocks.append([])
            size, last = 0, group
        blocks[-1].append(file)
        size += length
    return blocks


def _read_back(path: Path, root: Path, files: Iterable[str]) -> None:
    """Raises ToolError for a file that does not come back as it was."""
    cold = CompressedStore(str(root), str(path))
    for file in sorted(files, key=lambda name: cold.files[name]):
        try:
            same = cold.read(file) == (root / file).read_bytes()
        except bytecode_importer.DamagedStoreError:
            same = False
        if not same:
            raise ToolError(
                f"{path.name} does not give back {file} as it was. Compressed blocks are kept "
                "between builds: remove them with `packager cache clear`, and build again."
            )


PASS: Final = Pass(
    name=PassName.COLD,
    reason="what serving was never seen to open can be compressed, if it comes back when asked for",
    apply=apply,
)

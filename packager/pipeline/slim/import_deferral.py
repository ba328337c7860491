"""Imports of a tree that can be moved, and its bytecode with some of them moved.

The sources stay as they are; packager/workers/defer_imports does the work on one module.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias

from packager.pipeline.slim.globs import matches
from packager.pipeline.slim.storing.index import bytecode_of
from packager.pipeline.slim.storing.packed_files import pack_files, unpack_files
from packager.system import cache, file_tree, process
from packager.system.resources import WORKERS
from packager.system.scratch import make_scratch
from packager.types import BuildPlan, Bundle, Trace

_LOG = logging.getLogger(__name__)
_READING: Final = "Deferring imports: reading the %d modules of %s"

Name: TypeAlias = tuple[str, str]
"""A module, and a name that it binds by an import; `a.b` where it is `import a.b` that is moved."""

_WORKER: Final = WORKERS / "defer_imports"
_SECONDS: Final = 300
_SHARDS: Final = 4
"""Fixed, however many cores there are: how an interpreter has shared strings so far decides bytes
of what it writes next, so the same modules are always rewritten together."""
_Change: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""Names that are moved in a module, and its submodules that it serves."""
_WATCHED: Final[_Change] = (("*",), ())
_TOLD: Final = ("filename", "optimize", "sink", "serve")
"""What bytecode hangs on beside the module's source and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """One module: what could be moved out of it."""

    path: PurePosixPath
    moved: Mapping[str, Sequence[tuple[str, str | None]]]
    served: bool
    stars: tuple[str, ...]
    open: bool
    borrowed: tuple[str, ...]


class Sinking:
    """The modules of a tree that are imported at its start, and what is moved in them by now."""

    def __init__(self, bundle: Bundle, plan: BuildPlan, before: Trace) -> None:
        self._bundle, self._plan, self._before = bundle, plan, before
        self._originals: dict[Path, bytes | None] = {}
        self._written: dict[str, _Change] = {}
        self._below: dict[str, list[str]] = {}
        for name in before.files:
            package, _, last = name.rpartition(".")
            self._below.setdefault(package, []).append(last)
        self.modules = self._survey()

    def _survey(self) -> dict[str, Surveyed]:
        started = frozenset(self._before.init)
        files = {
            name: path
            for name, path in self._before.files.items()
            if path.suffix == ".py"
            and path.parts[0] != "handlers"  # import late already
            and not matches(path, self._plan.keep)
            and name in started
        }
        by_package: dict[str, dict[str, PurePosixPath]] = {}
        for name, path in sorted(files.items()):
            by_package.setdefault(name.partition(".")[0], {})[name] = path
        digests = {file.path: file.sha256 for file in self._bundle.files}
        surveyed: dict[str, Any] = {}
        _LOG.info("Deferring imports: reading %d modules", len(files))
        for package, modules in by_package.items():
            count = len(modules)
            _LOG.info(_READING, count, package, extra={"counted": True})
            surveyed |= self._survey_package(modules, digests)
        return {
            name: Surveyed(
                path=files[name],
                moved={each: [(m, a) for m, a in o] for each, o in found["moved"].items()},
                served=found["served"],
                stars=tuple(found["stars"]),
                open=found["open"],
                borrowed=tuple(found["borrowed"]),
            )
            for name, found in surveyed.items()
        }

    def _survey_package(
        self, modules: Mapping[str, PurePosixPath], digests: Mapping[PurePosixPath, str]
    ) -> dict[str, object]:
        """Read the sources of a package's modules, or take what they said in an earlier build."""
        asked = [
            {
                "name": name,
                "path": str(self._bundle.root / path),
                "package": path.name == "__init__.py",
            }
            for name, path in modules.items()
        ]
        sources = [(name, path.as_posix(), digests.get(path)) for name, path in modules.items()]
        if not all(digest for _, _, digest in sources):
            return self._sink("survey", asked)
        key = cache.make_key([self._identify_worker(), sources])
        found: dict[str, Any] = json.loads(
            cache.remember("surveys", key, lambda: json.dumps(self._sink("survey", asked)).encode())
        )
        return found

    def _identify_worker(self) -> tuple[str, str]:
        reader = (each for each in file_tree.records(_WORKER) if each.path.suffix == ".py")
        return self._plan.interpreter.version, file_tree.digest(reader)

    def _write_shard(self, command: str, asked: Sequence[Mapping[str, Any]]) -> None:
        """Write the bytecode of these modules, or what it came to in an earlier build."""
        paths = {each["name"]: Path(each["bytecode"]) for each in asked}
        digests = {file.path: file.sha256 for file in self._bundle.files}
        sources = {name: digests.get(self.modules[name].path) for name in paths}
        if not all(sources.values()):
            self._sink_some(command, asked)
            return

        def compute() -> bytes:
            self._sink_some(command, asked)
            return pack_files({name: path.read_bytes() for name, path in paths.items()})

        told = [[sources[each["name"]], *(each[key] for key in ("name", *_TOLD))] for each in asked]
        key = cache.make_key([self._identify_worker(), command, told])
        for name, content in unpack_files(cache.remember("deferred", key, compute)):
            paths[name].write_bytes(content)

    def _sink(self, command: str, asked: Sequence[Mapping[str, object]]) -> dict[str, object]:
        """Run the worker on all, in as many processes as `_SHARDS` says; answers by module."""
        shards = [asked[start::_SHARDS] for start in range(_SHARDS)]
        with ThreadPoolExecutor(max_workers=_SHARDS) as pool:
            done = pool.map(lambda shard: self._sink_some(command, shard), shards)
            return {name: found for each in done for name, found in each.items()}

    def _sink_some(self, command: str, asked: Sequence[Mapping[str, object]]) -> dict[str, object]:
        with make_scratch("defer") as folder:
            question, answer = folder / "asked.json", folder / "answered.json"
            question.write_text(json.dumps(asked), encoding="utf-8")
            process.run(
                [
                    *(self._plan.interpreter.path, "-s", "-S", "-B", "-W", "ignore"),
                    *(_WORKER, command, question, answer),
                ],
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},
                timeout_seconds=_SECONDS,
            )
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found

    def movable(self) -> frozenset[Name]:
        """Find what the modules' own sources allow, less what other modules do to them."""
        present = self._before.modules
        taken_whole = {star for each in self.modules.values() for star in each.stars}
        borrowed = {
            name for each in self.modules.values() for name in each.borrowed if name in present
        }
        return frozenset(
            (module, name)
            for module, each in self.modules.items()
            if not (each.open and module in taken_whole)
            for name in each.moved
            if self._may_move(module, name, borrowed)
        )

    def _may_move(self, module: str, name: str, borrowed: AbstractSet[str]) -> bool:
        present, moved = self._before.modules, self.modules[module].moved
        origins = moved[name]
        if any(m not in present for m, _ in origins):
            return False  # it was put there for a while only, or has been taken away
        if "." in name:
            return name in self._before.files
        clash = f"{module}.{name}" in present and origins != [(module, name)]
        kept = any(self._is_kept(m, a) for m, a in origins)
        loads = {m for m, _ in origins}
        loads |= {other for other in moved if other.startswith(f"{name}.")}
        lent = bool((loads & borrowed) - self._before.files.keys())
        return not (clash or kept or lent)

    def _is_kept(self, module: str, attribute: str | None) -> bool:
        files = [self._before.files.get(each) for each in (module, f"{module}.{attribute}")]
        return any(path is not None and matches(path, self._plan.keep) for path in files)

    def needs(self, name: Name, moved: frozenset[Name]) -> set[str]:
        """The modules that binding the name would load."""
        needed: set[str] = set()
        todo, seen = [name], {name}
        while todo:
            module, bound = todo.pop()
            for origin, attribute in self.modules[module].moved[bound]:
                parts = origin.split(".")
                needed |= {".".join(parts[: at + 1]) for at in range(len(parts))}
                if attribute is None:
                    needed |= self._with_submodules(module, bound, moved)
                following = (origin, attribute or "")
                if f"{origin}.{attribute}" in self._before.modules:
                    needed.add(f"{origin}.{attribute}")
                elif following in moved and following not in seen:
                    seen.add(following)
                    todo.append(following)
        return needed

    def _with_submodules(self, module: str, bound: str, moved: frozenset[Name]) -> set[str]:
        """Find what other imports load that bind the same name, `import a.b` for `a`."""
        return {
            name
            for name in self.modules[module].moved
            if name.startswith(f"{bound}.") and (module, name) not in moved
        }

    def write(self, moved: frozenset[Name], loaded: frozenset[str] | None) -> None:
        """Bytecode with just these imports moved; every other module's is as it was.

        `loaded` are the modules that were loaded in spite of what was moved, where that is known:
        the packages among them serve those of their submodules that were not.
        """
        names: dict[str, list[str]] = {}
        for module, name in sorted(moved):
            names.setdefault(module, []).append(name)
        wanted = {
            module: (tuple(names.get(module, ())), self._list_served(module, moved, loaded))
            for module in self.modules
        }
        wanted = {module: what for module, what in wanted.items() if any(what)}
        self._write(wanted)

    def watch(self, movable: frozenset[Name]) -> None:
        """Bytecode with every import in its place that tells watch.py of the uses of these."""
        names: dict[str, list[str]] = {}
        for module, name in sorted(movable):
            names.setdefault(module, []).append(name)
        self._write({module: (tuple(each), ()) for module, each in names.items()}, "watch")
        # none of it is what `write` would have written
        self._written = dict.fromkeys(names, _WATCHED)

    def _write(self, wanted: dict[str, _Change], command: str = "write") -> None:
        lies = self._plan.target.tree.root / self._plan.target.tree.home
        asked = []
        for module in sorted({*wanted, *self._written}):
            if wanted.get(module) == self._written.get(module):
                continue
            path = self._bytecode(module)
            original = self._originals.setdefault(
                path, path.read_bytes() if path.is_file() else None
            )
            if module in wanted:
                sink, serve = wanted[module]
                source = self.modules[module].path
                asked.append(
                    {
                        "name": module,
                        "path": str(self._bundle.root / source),
                        "bytecode": str(path),
                        "filename": str(lies / source),
                        "optimize": self._plan.request.slimming.optimize,
                        "sink": sink,
                        "serve": serve,
                    }
                )
                path.parent.mkdir(exist_ok=True)
            elif original is None:
                path.unlink()
            else:
                path.write_bytes(original)
        shards = [shard for start in range(_SHARDS) if (shard := asked[start::_SHARDS])]
        with ThreadPoolExecutor(max_workers=_SHARDS) as pool:
            for _ in pool.map(lambda shard: self._write_shard(command, shard), shards):
                pass
        self._written = wanted

    def rewrite(self) -> None:
        """All that was written over several calls, as one call writes it: the same bytes again."""
        wanted, self._written = self._written, {}
        self._write(wanted)

    def _list_served(
        self, module: str, moved: frozenset[Name], loaded: frozenset[str] | None
    ) -> tuple[str, ...]:
        """Submodules that code may take as attributes of a package: they were loaded before."""
        if not moved or not self.modules[module].served:
            return ()
        if loaded is not None and module not in loaded:
            return ()
        own = self.modules[module].moved
        return tuple(
            sorted(
                name
                for name in self._below.get(module, ())
                if (module, name) in moved
                or (name not in own and (loaded is None or f"{module}.{name}" not in loaded))
            )
        )

    def _bytecode(self, module: str) -> Path:
        source = self._bundle.root / self.modules[module].path
        return source.parent / bytecode_of(Path(source.name), self._plan.interpreter)

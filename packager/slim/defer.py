"""Have modules that serving never uses loaded when they are first asked for.

Most of a start is the import of modules that some other module names at its top and this model
never calls. Their imports are moved to where the names are used (packager/workers/sink.py), in the
bytecode alone: the sources stay as they are. No hook and no stand-in object ships.

What is moved is found by trial. All that may be moved is, the function is traced again, and each
import whose module was loaded after all is put back, until nothing changes. Then each deferred
module is loaded in a fork of the started function: one that does not load there, that gives other
names than before, or that changes anything outside itself, is put back too.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias

from packager import _process
from packager.emulator import run_script
from packager.errors import ToolError
from packager.slim import trace
from packager.slim.globs import matches
from packager.slim.passes import Pass, accounted
from packager.slim.trace import UntraceableError
from packager.types import BuildPlan, Bundle, Trace

_LOG = logging.getLogger(__name__)

Name: TypeAlias = tuple[str, str]
"""A module, and a name that it binds by an import."""

_WORKERS: Final = Path(__file__).parent.parent / "workers"
_SHARDS: Final = 4
_TASK_ROOT: Final = "/var/task"
_SECONDS: Final = 300
_ROUNDS: Final = 30
_LISTED: Final = 6
_CACHES: Final = re.compile(
    r"""sys\.(path_importer_cache|modules) | linecache\.cache | threading\._active_limbo_lock
    | re\._cache2? | re:RegexFlag\._(value2member|member)_map_
    | platform\._sys_version_cache | threading\._threading_atexits
    | numpy\._core\.overrides\.ARRAY_FUNCTIONS
    | _?ctypes\._(pointer_type|c_functype)_cache | _cython_\w+\.\w+""",
    re.VERBOSE,
)
"""Tables that grow by any import, or by what any code asks of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """One module: what could be moved out of it."""

    path: PurePosixPath
    moved: Mapping[str, Sequence[tuple[str, str | None]]]
    served: bool
    stars: tuple[str, ...]
    open: bool
    borrowed: tuple[str, ...]


class GivenUpError(Exception):
    """Why nothing is deferred: for the ledger."""


def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
    """Defer what can be; a function without a trace, or that does not settle, is left as it is."""
    if bundle.trace is None:
        return accounted(bundle, PASS, proof=f"nothing deferred: {bundle.untraced}")
    attempt = Attempt(bundle, plan, bundle.trace)
    try:
        traced = attempt.settle()
    except GivenUpError as error:
        attempt.write(frozenset())
        return accounted(bundle, PASS, proof=f"nothing deferred: {error}")
    after = accounted(bundle, PASS, proof=attempt.proof(traced), reverted=attempt.reverted())
    return replace(after, trace=traced)


class Attempt:
    """The tree, what is moved in it at the moment, and what may not be moved again."""

    def __init__(self, bundle: Bundle, plan: BuildPlan, before: Trace) -> None:
        self._bundle, self._plan, self._before = bundle, plan, before
        self._originals: dict[Path, bytes | None] = {}
        self._written: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._banned: set[Name] = set()
        self._why: dict[str, str] = {}
        self._moved: frozenset[Name] = frozenset()
        self._surveyed = self._survey()

    def settle(self) -> Trace:
        """Move, trace and put back until neither changes. Raises GivenUpError."""
        movable = self._movable()
        ordered = sorted(movable)
        expected = self._loaded([[each for each in ordered if "." not in each[1]]])[0][0]
        if "error" in expected:
            raise GivenUpError(f"the function does not fork: {expected['error']}")
        names = dict(
            zip((each for each in ordered if "." not in each[1]), expected["names"], strict=True)
        )
        moved = movable
        for _ in range(_ROUNDS):
            self.write(moved)
            traced = self._traced()
            if traced is None or self._strangers(traced):
                moved -= self._banned
                continue
            kept = frozenset(
                each
                for each in moved
                if each[0] in traced.modules and self._needs(each, moved) - _serving(traced)
            )
            _LOG.debug("%d imports moved, %d modules loaded", len(kept), len(traced.modules))
            if kept == moved:
                kept -= self._disproved(moved, traced, names)
                if kept == moved:
                    self._same_answers(traced)
                    # what was written over several rounds, as one round writes it
                    self._written.clear()
                    self.write(moved)
                    return traced
            moved = kept
        raise GivenUpError(f"it did not settle in {_ROUNDS} rounds")

    def _strangers(self, traced: Trace) -> bool:
        """Whether modules came that were not there before: an import was moved out of a setting
        that was made for it. Those imports are banned."""
        causes = {
            traced.asked[name]
            for name in traced.modules - self._before.modules
            if name in traced.asked
        }
        for module, name in sorted(causes):
            origins = self._surveyed[module].moved.get(name)
            same = {
                (module, other)
                for other, each in self._surveyed[module].moved.items()
                if origins is None or {m for m, _ in each} & {m for m, _ in origins}
            }
            self._banned |= same
            self._why[module] = f"{name} must be imported when {module} is"
        return bool(causes)

    def _survey(self) -> dict[str, Surveyed]:
        started = frozenset(self._before.init)
        files = {
            name: path
            for name, path in self._before.files.items()
            if path.suffix == ".py" and not matches(path, self._plan.keep) and name in started
        }
        asked = [
            {
                "name": name,
                "path": str(self._bundle.root / path),
                "package": path.name == "__init__.py",
            }
            for name, path in sorted(files.items())
        ]
        return {
            name: Surveyed(
                path=files[name],
                moved={each: [(m, a) for m, a in o] for each, o in found["moved"].items()},
                served=found["served"],
                stars=tuple(found["stars"]),
                open=found["open"],
                borrowed=tuple(found["borrowed"]),
            )
            for name, found in self._sink("survey", asked).items()
        }

    def _sink(self, command: str, asked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The same modules always share processes: see `_SHARDS` of slim/bytecode.py."""
        shards = [asked[start::_SHARDS] for start in range(_SHARDS)]
        with ThreadPoolExecutor(max_workers=_SHARDS) as pool:
            done = pool.map(lambda shard: self._sink_some(command, shard), shards)
            return {name: found for each in done for name, found in each.items()}

    def _sink_some(self, command: str, asked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="packager-defer-") as folder:
            question, answer = Path(folder, "asked.json"), Path(folder, "answered.json")
            question.write_text(json.dumps(asked), encoding="utf-8")
            _process.run(
                [
                    *(self._plan.interpreter.path, "-s", "-S", "-B", "-W", "ignore"),
                    *(_WORKERS / "sink.py", command, question, answer),
                ],
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},
                timeout_seconds=_SECONDS,
            )
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found

    def _movable(self) -> frozenset[Name]:
        """What the modules' own sources allow, less what other modules do to them."""
        present = self._before.modules
        taken_whole = {star for each in self._surveyed.values() for star in each.stars}
        borrowed = {
            name for each in self._surveyed.values() for name in each.borrowed if name in present
        }
        found = set()
        for module, each in self._surveyed.items():
            if each.open and module in taken_whole:
                continue
            for name, origins in each.moved.items():
                if any(m not in present for m, _ in origins):
                    continue  # it was put there for a while only, or has been taken away
                if "." in name:
                    if name in self._before.files:
                        found.add((module, name))
                    continue
                own = f"{module}.{name}"
                clash = own in present and origins != [(module, name)]
                kept = any(self._is_kept(m, a) for m, a in origins)
                lent = any(m in borrowed and m not in self._before.files for m, _ in origins)
                if not (clash or kept or lent):
                    found.add((module, name))
        return frozenset(found)

    def _is_kept(self, module: str, attribute: str | None) -> bool:
        files = [self._before.files.get(each) for each in (module, f"{module}.{attribute}")]
        return any(path is not None and matches(path, self._plan.keep) for path in files)

    def _needs(self, name: Name, moved: frozenset[Name]) -> set[str]:
        """The modules that binding the name would load."""
        needed: set[str] = set()
        todo, seen = [name], {name}
        while todo:
            module, bound = todo.pop()
            for origin, attribute in self._surveyed[module].moved[bound]:
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
        """What the module's other imports load that bind the same name, `import a.b` for `a`."""
        return {
            name
            for name in self._surveyed[module].moved
            if name.startswith(f"{bound}.") and (module, name) not in moved
        }

    def write(self, moved: frozenset[Name]) -> None:
        """Bytecode with just these imports moved; every other module's is as it was."""
        wanted = {
            module: (
                tuple(sorted(name for owner, name in moved if owner == module)),
                self._submodules(module, moved) if moved and each.served else (),
            )
            for module, each in self._surveyed.items()
        }
        wanted = {module: what for module, what in wanted.items() if any(what)}
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
                source = self._surveyed[module].path
                asked.append(
                    {
                        "name": module,
                        "path": str(self._bundle.root / source),
                        "bytecode": str(path),
                        "filename": f"{_TASK_ROOT}/{source}",
                        "sink": sink,
                        "serve": serve,
                    }
                )
                path.parent.mkdir(exist_ok=True)
            elif original is None:
                path.unlink()
            else:
                path.write_bytes(original)
        if asked:
            self._sink("write", asked)
        self._written, self._moved = wanted, moved

    def _submodules(self, module: str, moved: frozenset[Name]) -> tuple[str, ...]:
        """Of a package: those that were loaded before, which code may take as attributes of it."""
        own = self._surveyed[module].moved
        below = (each.rpartition(".") for each in self._before.files)
        return tuple(
            sorted(
                last
                for base, _, last in below
                if base == module and (last not in own or (module, last) in moved)
            )
        )

    def _bytecode(self, module: str) -> Path:
        source = self._bundle.root / self._surveyed[module].path
        tag = f"cpython-{self._plan.interpreter.minor.replace('.', '')}"
        return source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"

    def _traced(self) -> Trace | None:
        """None where it does not start: what the traceback names is then banned."""
        try:
            return trace.record(self._bundle, self._plan)
        except UntraceableError as error:
            at = {
                name: error.log.rfind(f'/{each.path}"')
                for name, each in self._surveyed.items()
                if any(owner == name for owner, _ in self._moved)
            }
            culprit = max(at, key=lambda name: at[name], default="")
            if at.get(culprit, -1) < 0:
                raise GivenUpError(str(error)) from error
            _LOG.debug("Imports of %s stay: %s", culprit, error)
            self._banned |= {each for each in self._moved if each[0] == culprit}
            self._why[culprit] = str(error)
            return None

    def _loaded(self, groups: Sequence[Iterable[Name]]) -> list[list[dict[str, Any]]]:
        """What came of each group, in the one order and in the other."""
        with tempfile.TemporaryDirectory(prefix="packager-defer-") as folder:
            question, answer = Path(folder, "asked.json"), Path(folder, "answered.json")
            question.write_text(json.dumps([list(group) for group in groups]), encoding="utf-8")
            try:
                done = run_script(
                    self._bundle.root,
                    _WORKERS / "deferred.py",
                    [self._bundle.root, self._plan.target.entrypoint, question, answer],
                    interpreter=self._plan.interpreter,
                    provided=self._plan.provided,
                    timeout_seconds=_SECONDS,
                )
            except ToolError as error:
                raise GivenUpError(str(error)) from error
            if done.returncode != 0:
                raise GivenUpError(done.stderr.strip()[-500:])
            found: list[list[dict[str, Any]]] = json.loads(answer.read_text(encoding="utf-8"))
        return found

    def _disproved(
        self, moved: frozenset[Name], traced: Trace, names: Mapping[Name, str]
    ) -> set[Name]:
        """Those that do not load, turn out to be something else, or change what is there."""
        groups: dict[frozenset[str], list[Name]] = {}
        for each in sorted(moved):
            key = frozenset(self._needs(each, moved) - traced.modules)
            groups.setdefault(key, []).append(each)
        ordered = sorted(groups, key=sorted)
        asked = [
            [
                *(each for each in groups[key] if "." not in each[1]),
                *self._as_attributes(key, traced),
            ]
            for key in ordered
        ]
        bad: set[Name] = set()
        for answers in self._loaded(asked):
            for key, group, found in zip(ordered, asked, answers, strict=True):
                if why := _wrong(group, found, names):
                    bad |= set(groups[key])
                    self._why[min(key)] = why
                    _LOG.debug("%s stays: %s", ", ".join(sorted(key)), why)
        return bad

    def _as_attributes(self, modules: Iterable[str], traced: Trace) -> list[Name]:
        """Deferred modules as code may have them: as attributes of the packages that are loaded."""
        pairs = (each.rpartition(".") for each in sorted(modules))
        return [
            (base, last)
            for base, _, last in pairs
            if base in traced.modules and base in self._before.files
        ]

    def _same_answers(self, traced: Trace) -> None:
        if traced.answers == self._before.answers:
            return
        moved = self._moved
        self.write(frozenset())
        again = trace.record(self._bundle, self._plan)
        self.write(moved)
        for first, second, now in zip(
            self._before.answers, again.answers, traced.answers, strict=True
        ):
            if first == second != now:
                raise GivenUpError("an answer was another one")

    def proof(self, traced: Trace) -> str:
        gone = sorted(self._before.modules - traced.modules)
        spent = sum(self._before.own_cpu_ms.get(name, 0.0) for name in gone)
        top = Counter[str]()
        for name in gone:
            top[".".join(name.split(".")[:2])] += self._before.own_cpu_ms.get(name, 0.0)
        largest = ", ".join(f"{name} {ms:.0f}" for name, ms in top.most_common(_LISTED))
        return (
            f"{len(gone)} modules are loaded when first used, {spent:.0f} ms of CPU here "
            f"({largest}); {len(self._moved)} imports moved in "
            f"{len({module for module, _ in self._moved})} modules; each of the deferred loads by "
            "itself in the started function and changes nothing else, all load together in two "
            f"orders, and {len(traced.answers)} answers are the same"
        )

    def reverted(self) -> tuple[str, ...]:
        return tuple(sorted(f"{module}: {why}" for module, why in self._why.items()))


def _wrong(group: Sequence[Name], found: Mapping[str, Any], names: Mapping[Name, str]) -> str:
    """What speaks against deferring a group; nothing where it did what it would have done."""
    if "error" in found:
        return str(found["error"])
    for name, what in zip(group, found["names"], strict=True):
        if names.get(name, what) != what:
            return f"{'.'.join(name)} is {what}, not {names[name]}"
    effects = [each for each in found["effects"] if not _CACHES.fullmatch(each)]
    return f"changes {', '.join(effects[:_LISTED])}" if effects else ""


def _serving(traced: Trace) -> frozenset[str]:
    """What a request that is answered needs is paid for at the start."""
    return frozenset((*traced.init, *traced.answering))


PASS: Final = Pass(
    name="defer",
    reason="modules that serving never uses need not be imported to start",
    apply=apply,
)

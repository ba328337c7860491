"""Hold a model and the libraries under it to one thread, so that its sums have one order.

Used on both sides of the proof: in the function, and by the oracle's worker, which loads this file
by its path in the model's own environment. The standard library alone is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_BLAS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
"""OpenBLAS under the names that numpy's and scipy's wheels have given it."""
_SETTINGS = {
    "catboost": ("thread_count",),
    "lightgbm": ("n_jobs", "num_threads"),
    "xgboost": ("n_jobs", "nthread"),
}
"""By library; any other object's is `n_jobs`, as scikit-learn and joblib have it."""
_USUAL = ("n_jobs",)
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type, ModuleType)
_SKIPPED = ("logging", "threading")
_LONG = 1000
"""A list of so many numbers or words is not gone through."""
_MOST = 200_000
"""Objects that are looked at; a forest of ten thousand trees has fewer."""


def limit_libraries() -> None:
    """Pools of libraries: by variables for those not loaded yet, else by their own calls."""
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
    if "numpy" in sys.modules:
        _limit_blas()


def limit_model(model: object) -> None:
    """Every setting of a number of threads within reach of the model becomes 1."""
    for each in list(_reachable(model)):
        for name in _settings(each):
            _set(each, name)
        if type(each).__name__ == "Booster" and _library(each) == "xgboost":
            booster: Any = each
            booster.set_param({"nthread": 1})
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def read_threaded(model: object) -> list[str]:
    """Classes within reach of the model that are set to more than one thread, sorted."""
    found = set()
    for each in _reachable(model):
        counts = [getattr(each, name) for name in _settings(each)]
        if any(count not in {None, 0, 1} for count in counts):
            found.add(f"{type(each).__module__}.{type(each).__qualname__}")
    return sorted(found)


def _set(owner: object, name: str) -> None:
    try:
        setattr(owner, name, 1)
    except (AttributeError, TypeError):
        return  # frozen: what it then adds up is compared as it is


def _settings(each: object) -> Iterator[str]:
    """The object's attributes that say how many threads; None counts where it means all."""
    library, held = _library(each), _attributes(each) or {}
    for name in _SETTINGS.get(library, _USUAL):
        count = held.get(name, False)
        if isinstance(count, bool) or (count is None and library not in _SETTINGS):
            continue
        if count is None or hasattr(count, "__index__"):
            yield name


def _library(each: object) -> str:
    return type(each).__module__.partition(".")[0]


def _reachable(model: object) -> Iterator[object]:
    """Every object with attributes that hangs on the model; nothing of it is called."""
    waiting, seen = [model], {id(model)}
    while waiting and len(seen) < _MOST:
        each = waiting.pop()
        if _attributes(each) is not None and not isinstance(each, (FunctionType, MethodType)):
            yield each
        for inner in _held_by(each):
            if id(inner) not in seen and not isinstance(inner, _PLAIN):
                seen.add(id(inner))
                waiting.append(inner)


def _attributes(each: object) -> dict[str, object] | None:
    """Its own, without asking what a proxy or a lazy object would make of the question."""
    if _library(each) in _SKIPPED:
        return None
    try:
        held = object.__getattribute__(each, "__dict__")
    except (AttributeError, TypeError):
        held = None
    slots = _slots(each)
    return {**slots, **held} if type(held) is dict else slots or None


def _slots(each: object) -> dict[str, object]:
    """Attributes that a class keeps in slots, as dataclass(slots=True) does."""
    found = {}
    for kind in type(each).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else tuple(names):
            slot = kind.__dict__.get(name)
            if type(slot) is MemberDescriptorType:
                try:
                    found[name] = slot.__get__(each)
                except AttributeError:
                    continue  # not filled yet
    return found


def _holds_plain(items: Collection[object]) -> bool:
    """True for many items, the first of which can hold no threads' count."""
    return len(items) >= _LONG and isinstance(next(iter(items)), _PLAIN)


def _held_by(each: Any) -> Iterator[object]:
    if isinstance(each, dict):
        yield from list(each.values())
    elif _is_of(each, "functools", "partial"):
        yield from (each.func, *each.args, *each.keywords.values())
    elif isinstance(each, (list, tuple, set, frozenset)) or _is_of(each, "collections", "deque"):
        yield from () if _holds_plain(each) else each
    elif isinstance(each, MethodType):
        yield each.__self__
    elif isinstance(each, FunctionType):
        yield from _held_by_function(each)
    elif type(each).__name__ == "ndarray" and getattr(each.dtype, "hasobject", False):
        yield from each.flat
    elif (held := _attributes(each)) is not None:
        yield from list(held.values())
        yield from _held_by_class(type(each))


def _is_of(each: object, module: str, name: str) -> bool:
    """Tell whether the standard library's class made it, which is not imported for that."""
    kind = type(each)
    return kind.__module__ == module and kind.__name__ == name


def _held_by_class(kind: type) -> Iterator[object]:
    """Yield what a PythonModel's class and its module hold, which its instance may use."""
    if hasattr(kind, "load_context"):
        yield getattr(kind, "predict", None)
        for each in kind.__mro__[:-1]:
            yield from (held for held in vars(each).values() if not callable(held))


def _held_by_function(function: FunctionType) -> Iterator[object]:
    """Yield what it closes over, and its module's objects, other functions not."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue  # not filled yet
    yield function.__dict__.get("__wrapped__")
    for name, value in list(function.__globals__.items()):
        # how the module was imported leads anywhere, and to nothing of the model's
        if not name.startswith("__") and not isinstance(value, (FunctionType, MethodType)):
            yield value


def _limit_blas() -> None:
    """OpenBLAS reads its variable when it is loaded; numpy's is, before the model."""
    import ctypes

    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123 - pathlib need not be loaded
        mapped = {line.split(maxsplit=5)[-1].strip() for line in maps if ".so" in line}
    for path in sorted(path for path in mapped if "blas" in path.rpartition("/")[2]):
        library = ctypes.CDLL(path)
        for name in _BLAS:
            if (limit := getattr(library, name, None)) is not None:
                limit(1)

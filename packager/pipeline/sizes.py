"""Sizes in a function's folder, what a smaller one would gain, and what can lie outside of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

from handlers.importer import bytecode_importer
from handlers.loaders.weights.download import SPARE_BYTES, STEP_MB
from packager.types import BuildPlan, Bundle, FileRecord, Runtime, Target, Weights

SHOWN: Final = 10
REST: Final = "other files"
LEAST_WEIGHT_BYTES: Final = 1 << 20
"""A smaller file costs a start more as a request than as a part of the zip."""
_MB: Final = 1 << 20
_MODEL: Final = PurePosixPath("model")
_CODE: Final = (".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".whl", ".egg", ".zip", ".jar")
_ELF: Final = b"\x7fELF"
_SHARE: Final = 0.01
_HOME: Final = PurePosixPath("handlers")
_ARCHIVES: Final = {
    _HOME / bytecode_importer.COLD_FILE: "compressed store",
    _HOME / bytecode_importer.CODE_FILE: "bytecode archive",
    _HOME / bytecode_importer.INDEX: "bytecode archive",
}


def by_package(files: Iterable[tuple[PurePosixPath, int]]) -> list[tuple[str, int]]:
    """Bytes by top-level name, largest first; a wheel's `.libs` counts with it.

    What the archives hold is of many packages: they are named by themselves.
    """
    sizes: Counter[str] = Counter()
    for path, size_bytes in files:
        sizes[_name_package(path)] += size_bytes
    return sorted(sizes.items(), key=lambda each: (-each[1], each[0]))


def by_part(files: Iterable[tuple[PurePosixPath, int]]) -> dict[str, dict[str, int]]:
    """Bytes by top-level name, as `by_package` has them, and below it by the next name.

    Parts below a hundredth of their package are summed up, and all those of a package that is
    below a hundredth of the whole.
    """
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path, size_bytes in files:
        found[_name_package(path)][path.parts[min(1, len(path.parts) - 1)]] += size_bytes
    least = sum(sum(parts.values()) for parts in found.values()) * _SHARE
    return {name: _sum_up(parts, least) for name, parts in sorted(found.items())}


def _sum_up(parts: Counter[str], least: float) -> dict[str, int]:
    whole = sum(parts.values())
    if whole < least:
        return {REST: whole}
    kept = {name: size for name, size in sorted(parts.items()) if size >= whole * _SHARE}
    rest = whole - sum(kept.values())
    return kept | ({REST: rest + kept.get(REST, 0)} if rest else {})


def _name_package(path: PurePosixPath) -> str:
    return _ARCHIVES.get(path) or path.parts[0].removesuffix(".libs")


def unlocking(
    packages: Sequence[tuple[str, int]],
    target: Target,
    runtime: Runtime,
    *,
    snapshot: bool = True,
) -> str:
    """Explain how far the tree is from fitting, by package; or how much room is left.

    What fits can start from a snapshot, unless the place of its weights excludes one (`snapshot`):
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html
    """
    limit = target.limits.unzipped_bytes
    snapshots = snapshot and any(each.snapstart for each in target.runtimes)
    over = sum(size_bytes for _, size_bytes in packages) - limit
    if over <= 0:
        left = f"{_mb(-over)} are left of the {_mb(limit)} that {target.name} takes"
        if not snapshots:
            return f"{left}."
        start = (
            f"{runtime.name} can start it from a snapshot (SnapStart)"
            if runtime.snapstart
            else f"a newer runtime than {runtime.name} could start it from a snapshot (SnapStart)"
        )
        return f"{left}; {start}."
    named = _name_first(packages, over)
    start = ", and SnapStart with it" if snapshot and runtime.snapstart else ""
    return (
        f"{_mb(over)} less would fit {target.name}{start}: as much as "
        f"{' and '.join(named)} {'take' if len(named) > 1 else 'takes'}."
    )


def _name_first(packages: Sequence[tuple[str, int]], least: int) -> list[str]:
    """Name the first packages, each with its size, until they have `least` bytes."""
    named: list[str] = []
    found = 0
    for name, size_bytes in packages:
        named.append(f"{name} ({_mb(size_bytes)})")
        found += size_bytes
        if found >= least:
            break
    return named


def list_weights(bundle: Bundle, plan: BuildPlan) -> tuple[FileRecord, ...]:
    """List the files that can lie outside of the tree: large ones of the model without code."""
    code = [_MODEL / name for name in plan.loader.options.get("code", ())]
    return tuple(
        file
        for file in bundle.files
        if file.path.is_relative_to(_MODEL)
        and file.size_bytes >= LEAST_WEIGHT_BYTES
        and not any(file.path.is_relative_to(each) for each in code)
        and not _holds_code(bundle, file)
    )


def _holds_code(bundle: Bundle, file: FileRecord) -> bool:
    if ".so." in file.path.name or file.path.name.lower().endswith(_CODE):
        return True
    with (bundle.root / file.path).open("rb") as opened:
        return opened.read(len(_ELF)) == _ELF


def choose_tmp_mb(bundle: Bundle, plan: BuildPlan) -> int:
    """Choose the size of the function's /tmp: its platform's own, or what fetched weights need."""
    if plan.weights_way is Weights.MOUNT:
        return plan.target.limits.tmp_bytes // _MB
    return fit_tmp_mb(plan.target, bundle.outside_bytes)


def fit_tmp_mb(target: Target, fetched_bytes: int) -> int:
    """Fit /tmp to what a start fetches to it: the platform's own size at least."""
    own = target.limits.tmp_bytes // _MB
    if not fetched_bytes:
        return own
    steps = -(-(fetched_bytes + SPARE_BYTES) // (STEP_MB * _MB))
    return max(own, steps * STEP_MB)


def leaves_snapshot(bundle: Bundle, plan: BuildPlan) -> bool:
    """Tell whether the place of the bundle's weights leaves a start from a snapshot possible."""
    mounted = plan.weights_way is Weights.MOUNT
    return allows_snapshot(plan.target, bundle.outside_bytes, mounted=mounted)


def allows_snapshot(target: Target, outside_bytes: int, *, mounted: bool) -> bool:
    """Tell whether a function whose weights lie outside can start from a snapshot (SnapStart).

    Neither a mounted file system nor a larger /tmp goes with one:
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html
    """
    if mounted and outside_bytes:
        return False
    return fit_tmp_mb(target, outside_bytes) <= target.limits.tmp_bytes // _MB


def estimate_fetch_seconds(bundle: Bundle, plan: BuildPlan) -> float:
    """Estimate how long a start fetches: their size over a speed that a page states."""
    if plan.target.weights is None or plan.weights_way is not Weights.FETCH:
        return 0.0
    return bundle.outside_bytes / plan.target.weights.fetch_bytes_per_second


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"

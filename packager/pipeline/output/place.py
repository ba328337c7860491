"""Places for an artifact: never where something of the user's would be in the way."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from packager.errors import ConfigurationError
from packager.models import model_uri
from packager.system.resources import find_home
from packager.types import BuildRequest

_MOST_NAME: Final = 255
"""Bytes of a name, on every common file system."""
_CONTROL: Final = re.compile(r"[\0-\x1f\x7f]")
_SQLITE: Final = re.compile(r"sqlite(?:\+\w+)?:///(?:file:)?([^?]+)")
_DEFAULT_REGISTRIES: Final = ("mlflow.db", "mlruns")


def check_place(request: BuildRequest) -> None:
    """Raises ConfigurationError where --out cannot be a folder's name, or is not free to be one."""
    out = request.output.folder
    if why := _refuse_name(out):
        raise ConfigurationError(f"--out {str(out)!r}: {_escape(why)}. Name another folder.")
    # links in its parents lead where it truly lies
    final = out.resolve() if out.name in {"", ".."} else out.parent.resolve() / out.name
    if why := next(_refuse_place(final, request), None):
        raise ConfigurationError(f"--out {out}: {why}. Name another folder.")


def check_outputs(folders: Mapping[str, Path]) -> None:
    """Raises ConfigurationError where an artifact would replace another of the same run."""
    seen: dict[Path, str] = {}
    for title, folder in folders.items():
        path = folder.resolve()
        for other, of in seen.items():
            if path == other or path in other.parents or other in path.parents:
                raise ConfigurationError(
                    f"{of} would be written to {other} and {title} to {path}: one would replace "
                    "the other. Give each build an `out` of its own."
                )
        seen[path] = title


def _escape(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _refuse_name(out: Path) -> str | None:
    text = str(out)
    if _CONTROL.search(text):
        return "a folder's name has no line breaks and no other control characters here"
    if model_uri.escape_name(text) != text:
        return "its name is not UTF-8"
    long = [part for part in out.parts if len(os.fsencode(part)) > _MOST_NAME]
    if long:
        return f"{long[0][:30]}... is longer than a name may be ({_MOST_NAME} bytes)"
    return None


def _refuse_place(final: Path, request: BuildRequest) -> Iterator[str]:
    here, home = Path.cwd(), _resolve_home()
    if final == final.parent or final in home.parents:
        yield "other folders than an artifact's lie in it"
    if final == home:
        yield "it is your home"
    if final == here or final in here.parents:
        yield "it is the folder that you are in, which a build would take away"
    yield from _refuse_used(final)
    yield from _refuse_sources(final, request)


def _refuse_used(final: Path) -> Iterator[str]:
    """Reasons in what is there: a mounted file system, or a model."""
    if _holds(final.is_mount):
        yield "a file system is mounted there, which no build can replace; a folder in it will do"
    if holding := next((each for each in final.parents if _is_model(each)), None):
        yield f"it lies in the folder of a model, {holding}"
    if _is_model(final):
        yield "it is the folder of a model"


def _refuse_sources(final: Path, request: BuildRequest) -> Iterator[str]:
    for path in _list_sources(request):
        if path == final or final in path.parents:
            yield f"{path} lies in it, which the build reads"
        elif _holds(path.is_dir) and path in final.parents:
            yield f"it lies in {path}, which the build reads"


def _resolve_home() -> Path:
    """The home folder; "/" for a user who has none to lose, or may not look at it."""
    with contextlib.suppress(OSError):
        return (find_home() or Path("/")).resolve()
    return Path("/")


def _is_model(folder: Path) -> bool:
    return _holds((folder / "MLmodel").is_file)


def _holds(test: Callable[[], bool]) -> bool:
    """Return what `test` does, False for a path that this user may not look at."""
    try:
        return test()
    except OSError:
        return False


def _list_sources(request: BuildRequest) -> Iterator[Path]:
    """The local folders and files that the model may be read from.

    One that this user may not look at is for its reader to tell of, so nothing is raised for it.
    """
    model = model_uri.local_path(request.model.uri)
    if model is not None:
        yield model.resolve()
        return
    told = (request.model.tracking_uri, request.model.registry_uri)
    set_before = (os.environ.get("MLFLOW_TRACKING_URI"), os.environ.get("MLFLOW_REGISTRY_URI"))
    for uri in filter(None, (*told, *set_before, *_DEFAULT_REGISTRIES)):
        match = _SQLITE.match(uri)
        path = Path(match.group(1)) if match else model_uri.local_path(uri)
        if path is not None and _holds(path.exists):
            yield path.resolve()

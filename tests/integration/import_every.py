"""Run in a function's folder: import every module of the packages that are named, each in a fork.

Prints a JSON object of each module to what its import raised, or null.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import pkgutil
import sys
import warnings

import handlers  # noqa: F401 - installs the importer

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


def names(package: str) -> list[str]:
    module = importlib.import_module(package)
    found = [package]
    for each in pkgutil.iter_modules(module.__path__, f"{package}."):
        if each.name.rpartition(".")[2] in {"tests", "test", "conftest", "__main__"}:
            continue
        if each.ispkg:
            try:
                found += names(each.name)
            except Exception:  # noqa: BLE001 - whatever a module raises when it is imported
                found.append(each.name)
        else:
            found.append(each.name)
    return found


def why_not(name: str) -> str | None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = None
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001
            said = type(error).__name__
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else "the process ended"


def main() -> None:
    listed: list[str] = []
    for package in sys.argv[1:]:
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.write(writer, json.dumps(names(package)).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            listed += json.loads(pipe.read())
        os.waitpid(child, 0)
    sys.stdout.write(json.dumps({name: why_not(name) for name in listed}) + "\n")


main()

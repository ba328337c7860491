"""List every type in a skops file, when all of them are trusted.

    python skops_types.py FILE TRUSTED_JSON

Run with the target's interpreter and the bundle on sys.path. TRUSTED_JSON is a JSON list: the
`skops_trusted_types` of the model's MLmodel. Nothing of the file is constructed.

Exit 0: every type is trusted by skops itself or by that list; a sorted JSON list of all of them is
printed, and is what the loader in the artifact trusts. Exit 3: some are not; they are named on
standard error. Exit 1: the file cannot be read.
"""

from __future__ import annotations

import json
import sys
from zipfile import ZipFile


def types(file: str, trusted: list[str]) -> tuple[list[str], list[str]]:
    """(all types, those untrusted), both sorted."""
    from skops.io._audit import get_tree
    from skops.io._utils import read_schema

    with ZipFile(file) as archive:
        schema, context = read_schema(archive)
        tree = get_tree(schema, context, trusted=trusted)
        untrusted = sorted(tree.get_unsafe_set() - set(trusted))
        generators = _distrust(tree)
        return sorted(tree.get_unsafe_set() | generators), untrusted


def _distrust(tree: object) -> set[str]:
    """Take every node's trust away, so that the audit reports every type.

    Returns NumPy's bit generators, which are trusted by a list and not by their node.
    """
    generators: set[str] = set()
    todo, seen = [tree], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
        elif hasattr(node, "children") and hasattr(node, "trusted"):
            node.trusted = []
            todo.extend(node.children.values())
            if name := getattr(node, "bit_generator_name", None):
                generators.add(f"numpy.random.{name}")
    return generators


def main(argv: list[str]) -> int:
    file, trusted = argv
    found, untrusted = types(file, json.loads(trusted))
    if untrusted:
        sys.stderr.write(f"untrusted types in {file}: {', '.join(untrusted)}\n")
        return 3
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Folders that outlive a build: environments, tools, answers. Each is whole or not there.

An entry is a folder ROOT/KIND/KEY. It holds a manifest of its files (`_manifest`), which is
compared with them whenever the entry is used (`_entries`). A process holds what it uses; `_upkeep`
measures, checks and removes what nobody holds, and `_limit` has it do so after a build.
"""

from packager.system.cache._copies import copy_entry, is_copy, keep_copy
from packager.system.cache._entries import (
    ensure,
    forget,
    make_key,
    recall,
    remember,
    reserve_folder,
)
from packager.system.cache._limit import keep_within_limit, parse_size, read_limit
from packager.system.cache._place import root
from packager.system.cache._program import digest_code, digest_program
from packager.system.cache._upkeep import (
    Entry,
    Removed,
    check_entries,
    list_entries,
    remove_entries,
    remove_leftovers,
    select_entries,
)

__all__ = [
    "Entry",
    "Removed",
    "check_entries",
    "copy_entry",
    "digest_code",
    "digest_program",
    "ensure",
    "forget",
    "is_copy",
    "keep_copy",
    "keep_within_limit",
    "list_entries",
    "make_key",
    "parse_size",
    "read_limit",
    "recall",
    "remember",
    "remove_entries",
    "remove_leftovers",
    "reserve_folder",
    "root",
    "select_entries",
]

"""Run what loads a model apart from this machine: its files, processes, network and secrets.

Every program that runs a model's code, or code from its wheels, is started here. docs/sandbox.md
says what the wall keeps and what it does not.
"""

from packager.system.sandbox.confinement import (
    Confinement,
    gpu_devices,
    machine_memory_bytes,
    program_paths,
)
from packager.system.sandbox.connection import ConfinedConnection
from packager.system.sandbox.launch import (
    Confined,
    Exceeded,
    describe,
    foreground,
    has_own_root,
    how_read_only,
    name_level,
    run,
    weak_level,
)
from packager.system.sandbox.protections import SHARED_MEMORY
from packager.system.sandbox.results import check_plain, read_bytes, read_result
from packager.system.sandbox.system_files import (
    interpreter_paths,
    list_program_files,
    list_system_files,
)

__all__ = [
    "SHARED_MEMORY",
    "Confined",
    "ConfinedConnection",
    "Confinement",
    "Exceeded",
    "check_plain",
    "describe",
    "foreground",
    "gpu_devices",
    "has_own_root",
    "how_read_only",
    "interpreter_paths",
    "list_program_files",
    "list_system_files",
    "machine_memory_bytes",
    "name_level",
    "program_paths",
    "read_bytes",
    "read_result",
    "run",
    "weak_level",
]

"""Run what loads a model apart from this machine: its files, processes, network and secrets.

Every program that runs a model's code, or code from its wheels, is started here. docs/sandbox.md
says what the wall keeps and what it does not.
"""

from packager.sandbox.confinement import Confinement, gpu_devices, machine_memory_bytes
from packager.sandbox.launch import Confined, Exceeded, describe, has_own_root, run
from packager.sandbox.results import read_result

__all__ = [
    "Confined",
    "Confinement",
    "Exceeded",
    "describe",
    "gpu_devices",
    "has_own_root",
    "machine_memory_bytes",
    "read_result",
    "run",
]

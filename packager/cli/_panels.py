"""The panels of --help: the groups of what a build is asked for, in the order of a build."""

from __future__ import annotations

from enum import StrEnum


class Panel(StrEnum):
    """A heading under which --help lists options."""

    REQUEST = "Request"
    FOLLOWING = "Following"
    MODEL = "Model"
    TARGET = "Target"
    ENGINE = "Engine"
    HTTP = "HTTP"
    EVENTS = "Events and batches"
    PROOF = "Proof"
    SLIMMING = "Slimming"
    SUPPLY_CHAIN = "Supply chain"
    OUTPUT = "Output"

"""Commands of operators: what is asked of an artifact that is deployed, and what deploys it."""

from packager.cli._operate.audit import audit
from packager.cli._operate.check import verify
from packager.cli._operate.deployed import push_weights, replay, rollback, traffic, versions
from packager.cli._operate.difference import diff
from packager.cli._operate.follow import FollowCommand, follow
from packager.cli._operate.report import report
from packager.cli._operate.sign import sign

__all__ = [
    "FollowCommand",
    "audit",
    "diff",
    "follow",
    "push_weights",
    "replay",
    "report",
    "rollback",
    "sign",
    "traffic",
    "verify",
    "versions",
]

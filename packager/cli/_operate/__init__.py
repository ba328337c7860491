"""Commands of operators: what is asked of an artifact that is deployed, and what deploys it."""

from packager.cli._operate.deployed import replay, rollback, traffic, verify, versions
from packager.cli._operate.difference import diff
from packager.cli._operate.follow import follow

__all__ = ["diff", "follow", "replay", "rollback", "traffic", "verify", "versions"]

"""Stage 2: every question is asked here, and answered with a reason; nothing is done yet."""

from packager.pipeline.plan._checks import PASSES, check_provable
from packager.pipeline.plan._plan import check, plan

__all__ = ["PASSES", "check", "check_provable", "plan"]

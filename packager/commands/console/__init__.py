"""Output for a person: progress on stderr, results on stdout."""

from packager.commands.console.differences import show_difference
from packager.commands.console.facts import show_facts
from packager.commands.console.interruption import (
    change_outside,
    describe_stopping,
    is_changing,
)
from packager.commands.console.live_progress import progress, show_stopping
from packager.commands.console.outcomes import (
    show_begun,
    show_failure,
    show_outcomes,
    show_plan_of,
)
from packager.commands.console.results import (
    show_audit,
    show_batch,
    show_cache,
    show_checked,
    show_demo,
    show_error,
    show_inspection,
    show_interrupted,
    show_invocation,
    show_machine,
    show_page,
    show_plan,
    show_pushed_weights,
    show_removed,
    show_report,
    show_signed,
    show_step,
    show_verification,
    show_versions,
    size,
)

__all__ = [
    "change_outside",
    "describe_stopping",
    "is_changing",
    "progress",
    "show_audit",
    "show_batch",
    "show_begun",
    "show_cache",
    "show_checked",
    "show_demo",
    "show_difference",
    "show_error",
    "show_facts",
    "show_failure",
    "show_inspection",
    "show_interrupted",
    "show_invocation",
    "show_machine",
    "show_outcomes",
    "show_page",
    "show_plan",
    "show_plan_of",
    "show_pushed_weights",
    "show_removed",
    "show_report",
    "show_signed",
    "show_step",
    "show_stopping",
    "show_verification",
    "show_versions",
    "size",
]

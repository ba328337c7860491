"""Checks of what is deployed: their programs, and the requests of the proof that they ask."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Final

from packager.errors import ConfigurationError
from packager.pipeline.answers import comparison, over_http, recorded
from packager.system import resources
from packager.types import BuildPlan, Rollout, VerifiedBundle

_PREFERENCES: Final = {
    Rollout.ALL_AT_ONCE: "AllAtOnce",
    Rollout.CANARY: "Canary10Percent5Minutes",
    Rollout.LINEAR: "Linear10PercentEvery1Minute",
}
"""https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html"""


def name_preference(plan: BuildPlan) -> str | None:
    """Return the template's parameter by default; None where no rollout was asked for."""
    rollout = plan.request.target.rollout
    return None if rollout is None else _PREFERENCES[rollout]


def list_rollout_files(verified: VerifiedBundle, plan: BuildPlan) -> dict[str, str]:
    """Return the files of a rollout's function by their path; none without a rollout.

    Raises ConfigurationError where the proof has no request that the check could ask.
    """
    if plan.request.target.rollout is None:
        return {}
    if not verified.samples:
        raise ConfigurationError(
            "--rollout asks a new version recorded requests of the proof, and none of this model's "
            "can be asked by a direct invoke within 100 kB. Leave --rollout out, or give a smaller "
            "example with --example."
        )
    shared = plan.target.deployment.shares or plan.target.deployment.templates
    return _list_check(verified, plan, "rollout", resources.TEMPLATES / shared / "_rollout")


def list_replay_files(verified: VerifiedBundle, plan: BuildPlan) -> dict[str, str]:
    """Return the files of the check that a pipeline runs over HTTP, by their path.

    There are none where the target's own template checks a new version, or nothing was recorded.
    """
    if not has_replay(verified, plan):
        return {}
    found = _list_check(verified, plan, "replay", resources.TEMPLATES / "_replay")
    return {**found, "replay/over_http.py": inspect.getsource(over_http)}


def has_replay(verified: VerifiedBundle, plan: BuildPlan) -> bool:
    """Tell whether the artifact takes the check over HTTP along."""
    return plan.target.deployment.replays and bool(verified.samples)


def _list_check(
    verified: VerifiedBundle, plan: BuildPlan, name: str, programs: Path
) -> dict[str, str]:
    return {
        f"{name}/answer_comparison.py": inspect.getsource(comparison),
        f"{name}/recorded_requests.py": inspect.getsource(recorded),
        f"{name}/replay.jsonl": _write_replay(verified, plan),
        **{
            f"{name}/{path.name}": path.read_text(encoding="utf-8")
            for path in sorted(programs.glob("*.py"))
        },
    }


def _write_replay(verified: VerifiedBundle, plan: BuildPlan) -> str:
    """Write the rule of the comparison, then a line for each request and its answer."""
    spread = verified.evidence.replay.spread
    rule = {
        "model_digest": plan.model.digest,
        "rounding": dict(sorted(spread.rounding.items())),
        "chance": sorted(spread.chance),
        "tolerance": plan.compiled.tolerance if plan.compiled else None,
    }
    lines = [json.dumps(rule)]
    lines += [
        f'{{"name":{json.dumps(each.name)},"rows":{each.rows},'
        f'"request":{each.request},"answer":{each.answer}}}'
        for each in verified.samples
    ]
    return "\n".join(lines) + "\n"

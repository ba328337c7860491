"""Reasons why an attempt is as it is, in sentences that the plan shows."""

from __future__ import annotations

from packager import engines
from packager.pipeline.plan import _checks
from packager.pipeline.plan.requirements import _lines
from packager.system.redaction import name_host
from packager.types import Engine, Flavor, Frame, ResolvedModel, Tier


def explain_attempt(
    flavor: Flavor, engine: Engine, tier: Tier, frame: Frame, model: ResolvedModel
) -> tuple[str, ...]:
    """Explain how the model is loaded, and what it is handed."""
    if engine is not Engine.NATIVE and flavor.name != engines.COMPILERS[engine].ALREADY:
        into = engines.COMPILERS[engine].FORM
        line = (
            f"Flavor {flavor.name}, engine {engine}: the model is compiled to {into} and held to "
            "the registered one; nothing that it lists is installed."
        )
        return (line,)
    about_tier = {
        Tier.NATIVE: "nothing named mlflow is in the artifact",
        Tier.STUB: "the model's class needs a few of mlflow's names, and gets a stand-in for them",
        Tier.SKINNY: f"mlflow-skinny {model.mlflow_version or ''} loads the model".replace(
            "  ", " "
        ),
    }[tier]
    about_frame = {
        Frame.PLAIN: "requests are read without numpy, which is not installed",
        Frame.NUMPY: "the model is handed arrays by column, and pandas is not installed for it",
        Frame.PANDAS: "the model is handed a DataFrame",
    }[frame]
    return (
        f"Flavor {flavor.name}, tier {tier}: {about_tier}.",
        f"Frame {frame}: {about_frame}.",
    )


def explain_pickles(unpickled: tuple[str, ...]) -> tuple[str, ...]:
    """Explain what loading unpickles."""
    if not unpickled:
        return ()
    line = (
        f"Loading unpickles {_checks.join_names(unpickled)}: a pickle runs the code that it names, "
        "at build and in the artifact."
    )
    return (line,)


def explain_requirements(model: ResolvedModel) -> tuple[str, ...]:
    """Explain where packages come from, and what became of lines that are not used as they are."""
    held = []
    if model.requirements.overrides:
        held.append(
            "The listed versions are installed as they are, though what their packages require of "
            f"each other conflicts: {model.requirements.conflict[:600]}"
        )
    return (*explain_indexes(model), *_lines.explain_changes(model), *held)


def explain_indexes(model: ResolvedModel) -> tuple[str, ...]:
    """Explain where packages come from that only the model names, and where they do not."""
    options = [option.partition(" ")[::2] for option in model.requirements.options]
    addresses = [address for _, address in options if address]
    direct = [
        address
        for line in model.requirements.lines
        if (address := line.partition("@")[2].partition(";")[0].strip()).startswith("http")
    ]
    used = sorted({name_host(address) for address in (*addresses, *direct)})
    found = []
    if used:
        found.append(f"Packages may come from {', '.join(used)}: the model names it.")
    if unused := model.requirements.unused_indexes:
        found.append(
            f"Left out: {', '.join(unused)}. Only the model names it; --trust-model-index uses it."
        )
    return tuple(found)


def quote_cause(words: str) -> str:
    """The resolver's own reason, without its hints on options that this program does not have."""
    reason = words.partition("cause:")[2].partition("hint:")[0]
    return " ".join(reason.split()).replace(
        ", we can conclude that your requirements are unsatisfiable.", ""
    )[:600]

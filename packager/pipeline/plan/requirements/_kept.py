"""Distributions that --keep-package names, checked before anything is locked with them."""

from __future__ import annotations

from packaging.utils import canonicalize_name

from packager.errors import ConfigurationError, suggest_name
from packager.facts.modules import module_names
from packager.pipeline.plan._locks import Setting
from packager.pipeline.plan.requirements import _pins, _wheelless


def refuse_unknown(setting: Setting) -> None:
    """Raises ConfigurationError for names that neither the model nor a package index has."""
    given = {canonicalize_name(name) for name in setting.request.slimming.keep_packages}
    lines = {_pins.name_line(line) for line in setting.model.requirements.lines}
    known = (lines | setting.declared.keys()) - {""}
    unknown = sorted(given - known)
    if not unknown:
        return
    minor = setting.candidate.runtime.python_minor
    if gone := _wheelless.list_wheelless(setting, unknown):
        raise ConfigurationError(
            "\n".join(
                f"--keep-package {name}: the model's environment has no such distribution, and no "
                f"package index that is asked has a wheel of it for Python {minor}."
                f"{_suggest(setting, name, known)} Give a name of the model's requirements, or of "
                "a package that your index has."
                for name in gone
            )
        )


def _suggest(setting: Setting, name: str, known: set[str]) -> str:
    """The distribution that is imported by that name, else the one that is spelt most alike."""
    names = module_names(setting.request.target.facts_dir)
    for each in sorted(known):
        if name.replace("-", "_") in {
            module.partition(".")[0] for module in names.modules_of(each)
        }:
            return f" Did you mean {each!r}, which is imported by that name?"
    return suggest_name(name, known)

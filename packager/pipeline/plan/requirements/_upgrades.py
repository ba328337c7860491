"""Newer patch releases in the place of pins that have no wheel: --upgrade-pins.

scikit-learn 1.1.1 has no wheel for any Python that Lambda maintains, 1.1.3 has. Only releases of
the same minor version are taken, and of these what ships answers to the last bit as the registered
model does with the author's own versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from packager.environments import lockfile
from packager.pipeline.plan._locks import Setting
from packager.pipeline.plan.requirements import _pins, _wheelless
from packager.types import Frame, LoaderSpec, Lock, UpgradedPin


def find_upgrades(
    setting: Setting, loaders: Sequence[tuple[LoaderSpec, Frame]]
) -> Mapping[str, str]:
    """Distribution -> the version that is pinned, where only a newer patch release has a wheel.

    A file that the author pins by its digest is not replaced.
    """
    requirements = setting.model.requirements
    hashed = lockfile.read_digests(requirements)
    lines = {*_wheelless.list_lines(setting, loaders), *requirements.constraints}
    pins = {line: loosened for line in sorted(lines) if (loosened := _pins.loosen_line(line))}
    gone = _wheelless.list_wheelless(
        setting, [line for line in pins if _pins.name_line(line) not in hashed]
    )
    none = _wheelless.list_wheelless(setting, [pins[line] for line in gone])
    return {_pins.name_line(line): _pins.read_pin(line) for line in gone if pins[line] not in none}


def list_upgraded(setting: Setting, lock: Lock) -> tuple[UpgradedPin, ...]:
    """The pins that the lock has in another version than the author's."""
    stand_ins = {fact.name: fact.by for fact in setting.builds.substitutes}
    python, platform = setting.candidate.runtime.python_minor, setting.platform
    return tuple(
        UpgradedPin(
            name=name,
            old=old,
            new=new,
            reason=f"{old} has no wheel for Python {python} on {platform}",
        )
        for name, old in sorted(setting.upgrades.items())
        if (new := lock.version(name) or lock.version(stand_ins.get(name, "")))
        if new != old
    )


def explain_upgraded(upgraded: Iterable[UpgradedPin]) -> Iterator[str]:
    """Say what is taken in place of what, and why."""
    for each in upgraded:
        yield (
            f"--upgrade-pins: {each.name} {each.old} -> {each.new}. {each.reason}; {each.new} is "
            "the newest patch release that has, and its answers must be the registered model's to "
            "the last bit."
        )

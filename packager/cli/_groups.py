"""Groups of options: a command takes each as one value, and shows its options one by one.

A parameter of a command that is annotated with `OptionGroup(reader)` stands for the options that
`reader` takes, and is handed what it returns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import get_args


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """A function from options, each with typer's annotation, to one value."""

    reader: Callable[..., object]
    changed: tuple[tuple[str, object], ...] = ()
    """Annotations that a command has of its own for some of them."""

    def list_options(self) -> Iterator[inspect.Parameter]:
        own = dict(self.changed)
        for option in inspect.signature(self.reader, eval_str=True).parameters.values():
            yield option.replace(
                kind=inspect.Parameter.KEYWORD_ONLY,
                annotation=own.get(option.name, option.annotation),
            )


def expand_groups(command: Callable[..., object]) -> Callable[..., object]:
    """Return the command as typer sees it: with the options of its groups in their place."""
    parameters = inspect.signature(command, eval_str=True).parameters
    groups = {
        name: group
        for name, parameter in parameters.items()
        for group in get_args(parameter.annotation)
        if isinstance(group, OptionGroup)
    }
    places = {name: [*group.list_options()] for name, group in groups.items()}

    @wraps(command)
    def run(**options: object) -> object:
        for name, group in groups.items():
            taken = {option.name: options.pop(option.name) for option in places[name]}
            options[name] = group.reader(**taken)
        return command(**options)

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # where inspect looks first
        [
            option
            for name, parameter in parameters.items()
            for option in places.get(name, [parameter])
        ]
    )
    return run

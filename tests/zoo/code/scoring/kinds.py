"""A dataclass, enums and a named tuple that a model holds."""

import dataclasses
import enum
import typing


class Grade(enum.Enum):
    LOW = 1
    HIGH = 2

    @property
    def factor(self):
        return {Grade.LOW: 0.5, Grade.HIGH: 3.0}[self]


class Traits(enum.Flag):
    NONE = 0
    OLD = enum.auto()
    RICH = enum.auto()


class Bound(typing.NamedTuple):
    least: float
    most: float


@dataclasses.dataclass(frozen=True)
class Limits:
    age: Bound = Bound(0.0, 120.0)
    by_grade: typing.Dict[Grade, float] = dataclasses.field(default_factory=dict)

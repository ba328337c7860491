"""Values that a pickle restores and nothing here reads."""

from __future__ import annotations

from enum import Enum
from typing import Any


class DataType(Enum):
    """MLflow's scalar types, by the numbers that its pickles hold."""

    boolean = 1
    integer = 2
    long = 3
    float = 4
    double = 5
    string = 6
    binary = 7
    datetime = 8


class _Part:
    """Whatever a signature's part was made with."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.__dict__.update(named)
        if args:
            self.args = args


class Schema(_Part): ...


class ColSpec(_Part): ...


class TensorSpec(_Part): ...


class TensorInfo(_Part): ...


class ParamSchema(_Part): ...


class ParamSpec(_Part): ...


class Property(_Part): ...


class Array(_Part): ...


class Object(_Part): ...


class Map(_Part): ...


class AnyType(_Part): ...

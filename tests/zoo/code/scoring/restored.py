"""Objects that tell pickle in their own ways how they are made again."""

import copyreg
import functools
import operator


def make_scaler(kind, *numbers):
    return {"linear": Scaler}[kind](*numbers)


class Scaler:
    __slots__ = ("by", "_cache")

    def __init__(self, by):
        self.by = by
        self._cache = {}

    def __reduce__(self):
        return make_scaler, ("linear", self.by)

    def __call__(self, value):
        return self._cache.setdefault(value, value * self.by)


class Counted:
    """Left out of its state: a lock."""

    def __init__(self):
        import threading

        self.lock = threading.Lock()
        self.factor = 2.0

    def __getstate__(self):
        return {"factor": self.factor}

    def __setstate__(self, state):
        import threading

        self.lock, self.factor = threading.Lock(), state["factor"]


class Old:
    pass


copyreg.pickle(Old, lambda old: (Old, ()))
first_of = operator.itemgetter(0)
add_three = functools.partial(operator.add, 3.0)

"""A rule that imports from above, and late."""

from ...kinds import Grade
from .. import income


def grade(age, earned):
    if age < 0:
        from ..unseen import grade_unborn

        return grade_unborn(age)
    return Grade.HIGH if age > 40 or income.is_rich(earned) else Grade.LOW

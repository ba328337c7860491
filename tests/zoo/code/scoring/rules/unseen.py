"""What the example does not reach."""

from fractions import Fraction

from ..kinds import Grade


def grade_unborn(age):
    return Grade.LOW if Fraction(str(age)) < -100 else Grade.HIGH

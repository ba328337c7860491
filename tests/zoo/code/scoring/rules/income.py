"""A rule of one number."""


def is_rich(income):
    return income > 50_000

"""A package of an author's: nested, with relative imports, and what pickles point into."""

from .kinds import Grade, Limits

__all__ = ["Grade", "Limits"]

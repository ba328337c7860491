"""A package of a project's own, with a data file."""

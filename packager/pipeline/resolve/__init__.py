"""Stage 1: a model URI becomes a folder of our own and what its MLmodel says."""

from packager.pipeline.resolve._resolve import resolve

__all__ = ["resolve"]

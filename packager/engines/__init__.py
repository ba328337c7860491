"""How a model runs in the artifact, where not in its own framework: compiled to a graph."""

from packager.engines._host import ALREADY, compile_model, loader, why_not

__all__ = ["ALREADY", "compile_model", "loader", "why_not"]

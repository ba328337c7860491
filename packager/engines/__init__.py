"""Engines that run a model in the artifact outside its own framework: compiled to a graph."""

from packager.engines._host import ALREADY, compile_model, loader, why_not

__all__ = ["ALREADY", "compile_model", "loader", "why_not"]

"""Interpreters, lock files and installed environments, for the stages that install something."""

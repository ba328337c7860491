"""Reads fitted objects into the form: one file a family. Python 3.8, numpy, nothing else."""

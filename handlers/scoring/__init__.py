"""A request's body to an answer's body, by MLflow's scoring protocol, for every way in.

scorer.py leads it: request_parsing.py, schema/, the loaded model (loaders/), responses.py.
"""

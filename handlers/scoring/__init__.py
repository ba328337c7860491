"""Requests in, answers out: MLflow's scoring protocol, without a server."""

"""Logs, metrics, traces and drift, with nothing of a request's data in them."""

"""A model's signature, and what MLflow makes of a request by it."""

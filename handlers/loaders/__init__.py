"""One file a flavor, each with `load(manifest, folder) -> Predictor`; none imports mlflow.

scoring/predictor.py loads the model by one of these at start; a request comes to its `predict`.
"""

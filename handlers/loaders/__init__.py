"""One module a flavor, each with `load(manifest, folder) -> Predictor`; none imports mlflow."""

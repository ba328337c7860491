"""The zoo's models: small functions, one a model, which run in the environments of their authors.

Nothing here imports the project: `log.py` puts this folder's parent on the path of an interpreter
that has MLflow and what the models need.
"""

"""The pages of docs/reference, made of the code: `python -m tools.reference` writes them anew."""

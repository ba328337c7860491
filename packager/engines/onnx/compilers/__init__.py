"""One file for each family of models that can become a graph."""

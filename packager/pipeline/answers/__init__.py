"""Whether two answers are the same, and how far a model's own part."""

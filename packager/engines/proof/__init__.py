"""What any engine is held to: rows made for a model, its answers, and the comparison."""

"""Scripts that run in other environments: the model's own, or the booted function's."""

"""Choice between targets: how a model fits each, and at what cost."""

"""Ways in by HTTP: each adapts one kind of server to the scorer."""

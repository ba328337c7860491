"""Of the network that the servers are measured with, whatever framework it is built in."""

TOKENS, FEATURES, WIDTH, INNER, CLASSES = 4, 16, 768, 3072, 3

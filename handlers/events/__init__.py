"""One module an event source: which events are its own, and how they are read."""

"""Events to answers: their sources, Azure's triggers, and destinations."""

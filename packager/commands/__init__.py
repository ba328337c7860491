"""One module for each command; `cli` reads its arguments and shows its results."""

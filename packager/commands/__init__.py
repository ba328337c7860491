"""What each command does; `cli` reads its arguments and shows its results."""

"""The output folder: where it may be, and when the artifact of an earlier build is its content."""

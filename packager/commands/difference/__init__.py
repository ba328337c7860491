"""`packager diff`: two artifacts by their files, starts, and answers to the same rows."""

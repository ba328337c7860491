"""The stages of a build, and `build`, which runs them in order."""

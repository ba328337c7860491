"""Commands, a module each: the work between cli/ (their arguments) and pipeline/ (a build)."""

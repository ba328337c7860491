"""The stages of a build: build.py runs resolve, plan, slim, verify, package and emit, in order."""

"""The edges to this machine: processes, files, libraries, caches."""

"""Registered models: the registry that a build reads, documents that they bring, and flavors."""

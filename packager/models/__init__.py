"""Registered models: the registry, documents that they bring, and flavors."""

"""Audits and licences of what ships."""

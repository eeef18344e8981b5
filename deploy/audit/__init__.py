"""Looks up the pinned packages in a database of known vulnerabilities."""

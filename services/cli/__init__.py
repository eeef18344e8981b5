"""Provides the ``peyvand`` command."""

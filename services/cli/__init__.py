"""The ``peyvand`` command."""

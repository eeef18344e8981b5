"""Renders what commands print, one module per subject.

Nothing is exported here: a command imports only the module of what it prints.
"""

"""The version of the method, in a module of its own for code that only names it."""

METHOD_VERSION = "5"
"""Changes whenever a formula of docs/method.md changes."""

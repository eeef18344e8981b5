"""The version of the method, apart from the method, for those that only name it."""

METHOD_VERSION = "5"
"""Changes whenever a formula of docs/method.md does."""

"""The register directory: each of its files, and what only the whole shows."""

from services.register.directory.load import Reading, load_register, read_directory

__all__ = ["Reading", "load_register", "read_directory"]

"""The register directory: each of its files, and what only the whole shows."""

from services.register.directory.load import LoadedRegister, load_register, read_directory

__all__ = ["LoadedRegister", "load_register", "read_directory"]

"""The register directory: a reader of each file, and checks across files."""

from services.register.directory.load import LoadedRegister, load_register, read_directory

__all__ = ["LoadedRegister", "load_register", "read_directory"]

"""The register directory: a reader of each file, and checks across files."""

from services.register.directory.load import load_register, read_directory

__all__ = ["load_register", "read_directory"]

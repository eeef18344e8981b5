"""Reads each file of a register directory, and checks across files."""

from services.register.directory.load import LoadedRegister, load_register, read_directory
from services.register.directory.reviews import put_review, read_finding_id

__all__ = ["LoadedRegister", "load_register", "put_review", "read_directory", "read_finding_id"]

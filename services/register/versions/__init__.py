"""Versions of a register: content hashes, differences, what a successor must keep."""

from services.register.versions.diff import diff_registers
from services.register.versions.rows import Rows, canonical, from_rows, to_rows
from services.register.versions.succession import against
from services.register.versions.versions import with_versions

__all__ = ["Rows", "against", "canonical", "diff_registers", "from_rows", "to_rows", "with_versions"]

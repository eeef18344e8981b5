"""Versions of a register: content hashes, differences, what a successor must keep."""

from services.register.versions.diff import diff_registers
from services.register.versions.rows import Rows, canonical, from_rows, to_rows, with_versions
from services.register.versions.succession import against

__all__ = ["Rows", "against", "canonical", "diff_registers", "from_rows", "to_rows", "with_versions"]

"""Versions of a register: rows, content hashes, differences, and rules of succession."""

from services.register.versions.diff import diff_registers
from services.register.versions.rows import Rows, by_id, from_rows, to_rows, with_versions
from services.register.versions.succession import check_succession

__all__ = ["Rows", "by_id", "check_succession", "diff_registers", "from_rows", "to_rows", "with_versions"]

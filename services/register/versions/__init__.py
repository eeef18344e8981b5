"""Computes the rows, hashes and differences of versions of a register, and checks their succession."""

from services.register.versions.diff import diff_registers
from services.register.versions.rows import Rows, by_id, from_rows, to_rows, with_versions
from services.register.versions.succession import check_return, check_succession, removed_rows, with_removed

__all__ = [
    "Rows",
    "by_id",
    "check_return",
    "check_succession",
    "diff_registers",
    "from_rows",
    "removed_rows",
    "to_rows",
    "with_removed",
    "with_versions",
]

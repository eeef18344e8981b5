"""Keeps every register that was in force while the archive ran (docs/archive.md §2)."""

from __future__ import annotations

from services.core.canonical_json import canonical_json
from services.core.model import Register
from services.dataset.days import write_register
from services.dataset.storage import Storage
from services.register.versions import to_rows


def keep_register(storage: Storage, register: Register) -> None:
    """Write the rows of a register, unless the same rows are already stored. Raises StateError."""
    versions = f"{register.register_version}.{register.probe_version}"
    write_register(storage, versions, canonical_json(to_rows(register, portable=True)))

"""Keeps every register that was in force while the archive ran (docs/archive.md §2)."""

from __future__ import annotations

import pyarrow as pa

from services.core.canonical_json import canonical_json
from services.core.model import Register
from services.dataset.storage import Storage
from services.register.versions import to_rows


def keep_register(storage: Storage, register: Register) -> str:
    """Write the rows of a register, unless they are there; return its name. Raises StateError."""
    name = f"register/{register.register_version}.{register.probe_version}.json.zst"
    if name not in storage.names("register"):
        content = canonical_json(to_rows(register, portable=True))
        storage.write(name, pa.Codec("zstd", compression_level=19).compress(content, asbytes=True))
    return name

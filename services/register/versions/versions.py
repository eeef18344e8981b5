"""The two content hashes of a register (docs/register.md). Pure.

``register_version`` covers the denominator: agencies, services, links' identity, dates and weights. ``probe_version``
covers everything else: how it is probed and shown. Official rounds are in neither: what others announce changes neither
what is required nor how it is probed. References to files count as written, so that the directory may
move. Canonical JSON of values in id order: neither the order of rows and columns nor white space changes a hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from services.core.model import Register
from services.register.versions.rows import canonical, to_rows

__all__ = ["with_versions"]

_DENOMINATOR = (
    "id",
    "service",
    "provider",
    "data_item",
    "required_from",
    "required_until",
    "live_from",
    "weight",
)


def with_versions(register: Register) -> Register:
    """Return the same register with both versions computed: SHA-256, hex."""
    rows = to_rows(register, portable=True)
    links = rows.pop("links")
    del rows["evaluation"]
    denominator = {
        "agencies": rows.pop("agencies"),
        "services": rows.pop("services"),
        "links": [{key: link[key] for key in _DENOMINATOR} for link in links],
    }
    probing = {
        **rows,
        "links": [{key: value for key, value in link.items() if key not in _DENOMINATOR[1:]} for link in links],
    }
    return replace(register, register_version=_hash(denominator), probe_version=_hash(probing))


def _hash(value: object) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()

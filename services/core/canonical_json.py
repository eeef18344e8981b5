"""JSON with one form for each value, so that it can be hashed and signed. Pure."""

from __future__ import annotations

import json


def canonical_json(value: object) -> bytes:
    """Return the canonical JSON of a value: keys sorted, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

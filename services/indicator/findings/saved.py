"""A detector's state as bytes and back, to the last bit (docs/method.md §12.7)."""

from __future__ import annotations

import json
from dataclasses import fields
from io import BytesIO
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from services.indicator.array_types import Numbers

VERSION: Final = 1
"""Of the layout and of the method: state of another one is of no use, and the record is read again."""

_HEADER: Final = "header"


def save_parts(parts: dict[str, Any], header: dict[str, Any]) -> bytes:
    """Return dataclasses of arrays, by name, and what JSON can hold, as bytes."""
    arrays = {
        f"{name}.{field.name}": getattr(part, field.name) for name, part in parts.items() for field in fields(part)
    }
    written = BytesIO()
    text = json.dumps({"version": VERSION, **header}, sort_keys=True)
    np.savez(written, allow_pickle=False, **{_HEADER: np.frombuffer(text.encode(), np.uint8)}, **arrays)
    return written.getvalue()


def load_parts(saved: bytes, parts: dict[str, Any]) -> dict[str, Any]:
    """Fill dataclasses of arrays, and return the header. Raises ValueError for bytes that save_parts did not write, or for
    other arrays than these parts have.
    """
    try:
        with np.load(BytesIO(saved), allow_pickle=False) as stored:
            arrays: dict[str, Numbers] = {name: stored[name] for name in stored.files}
            header: dict[str, Any] = json.loads(arrays.pop(_HEADER).tobytes())
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError("the state of the detector is damaged: leave it out, and read the record again") from error
    if header.get("version") != VERSION:
        raise ValueError(
            f"the state of the detector is of version {header.get('version')}, not {VERSION}: leave it out, and read the record again"
        )
    for name, part in parts.items():
        for field in fields(part):
            array = arrays.get(f"{name}.{field.name}")
            own = getattr(part, field.name)
            if array is None or array.dtype != own.dtype or array.ndim != own.ndim:
                raise ValueError(f"the state of the detector lacks {name}.{field.name}: read the record again")
            setattr(part, field.name, array)
    return header

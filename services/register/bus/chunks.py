"""A register cut into chunks that fit a message, addressed by content, and put together again. Pure.

A national register exceeds the bus's limit of 1 MiB a message. There is a chunk (or several) per consumer agency, with
its services, their links, and its endpoints, and one for all the rest; a change reaches readers as the chunks it touches.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from services.core.codec import RegisterChunk
from services.core.model import Register
from services.register.versions import Rows, canonical_json, from_rows, to_rows

__all__ = ["is_intact", "join_chunks", "split_register"]

_LIMIT = 512 << 10


def split_register(register: Register) -> dict[RegisterChunk, bytes]:
    """Return the content of each chunk of a register, those of all agencies first; it depends on the register alone."""
    groups: defaultdict[str, Rows] = defaultdict(lambda: defaultdict(list))
    owners = {service.id: service.agency for service in register.services.values()}
    for section, rows in to_rows(register).items():
        for row in rows:
            groups[_agency(section, row, owners)][section].append(row)
    chunks: dict[RegisterChunk, bytes] = {}
    for agency in sorted(groups):
        for content in _pack(groups[agency]):
            sha256 = hashlib.sha256(content).hexdigest()
            chunks[RegisterChunk(agency, f"chunk.{sha256}", sha256, len(content))] = content
    return chunks


def is_intact(chunk: RegisterChunk, content: bytes) -> bool:
    """Say whether the content is that whose hash the chunk names."""
    return hashlib.sha256(content).hexdigest() == chunk.sha256


def join_chunks(contents: Iterable[bytes]) -> Register:
    """Return the register these chunks hold, without versions. ValueError when they hold none."""
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for content in contents:
        for section, some in json.loads(content).items():
            rows[section] += some
    return from_rows(rows)


def _agency(section: str, row: dict[str, Any], owners: dict[str, str]) -> str:
    if section in ("services", "endpoints"):
        return str(row["agency"])
    return owners[row["service"]] if section == "links" else ""


def _pack(rows: Rows) -> Iterator[bytes]:
    """Fill chunks row by row; a chunk goes over the limit only when a single row does."""
    chunk: Rows = {}
    size = 0
    for section, some in rows.items():
        for row in some:
            length = len(canonical_json(row)) + 1
            if chunk and size + length > _LIMIT:
                yield canonical_json(chunk)
                chunk, size = {}, 0
            chunk.setdefault(section, []).append(row)
            size += length
    yield canonical_json(chunk)

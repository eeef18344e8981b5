"""Splits a register into chunks that fit a message and are named by their hash, and joins them again. Pure.

A national register exceeds the bus's limit of 1 MiB per message. Each consumer agency has one or more chunks, with
its services, their links and its endpoints. The rest has chunks of its own. A change writes only the chunks that it
touches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from pydantic_core import from_json

from services.core.canonical_json import canonical_json
from services.core.codec import RegisterChunk, RegisterManifest, RegisterPublication
from services.core.model import Register
from services.register.versions import Rows, from_rows, to_rows

_MAX_CHUNK_BYTES = 512 << 10


def split_register(register: Register) -> dict[RegisterChunk, bytes]:
    """Return the content of each chunk of a register, common chunks first; it depends only on the register."""
    groups: defaultdict[str, Rows] = defaultdict(lambda: defaultdict(list))
    owners = {service.id: service.agency for service in register.services.values()}
    for section, rows in to_rows(register).items():
        for row in rows:
            groups[_agency(section, row, owners)][section].append(row)
    chunks: dict[RegisterChunk, bytes] = {}
    for agency in sorted(groups):
        for content in _pack(groups[agency]):
            digest = sha256(content).hexdigest()
            chunks[RegisterChunk(agency, f"chunk.{digest}", digest, len(content))] = content
    return chunks


def make_manifest(
    register: Register, chunks: Iterable[RegisterChunk], now: float, *, by: str = "", why: str = ""
) -> RegisterManifest:
    """Return the manifest of a register in these chunks, published at ``now`` (epoch seconds) by ``by``, and why."""
    kept = tuple(chunks)
    versions = register.register_version, register.probe_version
    publication = RegisterPublication(*versions, now, by, why, len(register.links))
    return RegisterManifest(*versions, now, kept, manifest_digest(*versions, kept), (publication,))


def manifest_digest(register_version: str, probe_version: str, chunks: Iterable[RegisterChunk]) -> str:
    """Return the SHA-256 in hexadecimal of both versions and the hashes of all chunks, one per line."""
    return sha256(
        "\n".join([register_version, probe_version, *(chunk.sha256 for chunk in chunks)]).encode()
    ).hexdigest()


def join_chunks(contents: Iterable[bytes]) -> Register:
    """Return the register that these chunks hold, without versions. Raises ValueError when they hold none."""
    # Most strings occur in many rows. This parser keeps one copy of each: a register takes two fifths less memory.
    return from_rows(map(from_json, contents))


def _agency(section: str, row: Mapping[str, Any], owners: Mapping[str, str]) -> str:
    if section in ("services", "endpoints"):
        return str(row["agency"])
    return owners.get(row["service"], "") if section == "links" else ""  # a removed link may have lost its service


def _pack(rows: Rows) -> Iterator[bytes]:
    """Yield the rows as JSON objects by section, each within the size limit unless it is a single row."""
    texts: dict[str, list[bytes]] = {}
    size = 0
    for section, some in rows.items():
        for row in some:
            text = canonical_json(row)
            if texts and size + len(text) + 1 > _MAX_CHUNK_BYTES:
                yield _object(texts)
                texts, size = {}, 0
            texts.setdefault(section, []).append(text)
            size += len(text) + 1
    yield _object(texts)


def _object(texts: Mapping[str, list[bytes]]) -> bytes:
    """Return what canonical_json would return for the rows behind these texts."""
    return b"{%s}" % b",".join(b'"%s":[%s]' % (name.encode(), b",".join(texts[name])) for name in sorted(texts))

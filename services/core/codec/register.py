"""The manifest of a published register."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from peyvand.v1 import register_pb2
from services.core.codec.units import time_of, timestamp

__all__ = [
    "Chunk",
    "Manifest",
    "decode_manifest",
    "encode_manifest",
]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One part of a published register: its consumer agency (empty = what all share), key, SHA-256 and size in bytes."""

    agency: str
    key: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What makes up one published register; ``published`` in epoch seconds."""

    register_version: str
    probe_version: str
    published: float
    chunks: tuple[Chunk, ...]


def encode_manifest(manifest: Manifest) -> bytes:
    """A RegisterManifest."""
    return register_pb2.RegisterManifest(
        register_version=manifest.register_version,
        probe_version=manifest.probe_version,
        published=timestamp(manifest.published),
        chunks=[
            register_pb2.RegisterChunk(agency=chunk.agency, key=chunk.key, sha256=chunk.sha256, bytes=chunk.bytes)
            for chunk in manifest.chunks
        ],
    ).SerializeToString()


def decode_manifest(payload: bytes) -> Manifest:
    """Raises ValueError when the payload is not a RegisterManifest."""
    try:
        message = register_pb2.RegisterManifest.FromString(payload)
    except DecodeError as error:
        raise ValueError("not a RegisterManifest") from error
    return Manifest(
        message.register_version,
        message.probe_version,
        time_of(message.published),
        tuple(Chunk(chunk.agency, chunk.key, chunk.sha256, chunk.bytes) for chunk in message.chunks),
    )

"""Encodes and decodes manifests of published registers."""

from __future__ import annotations

from dataclasses import dataclass

from peyvand.v1 import register_pb2
from services.core.codec.units import copied_fields, from_timestamp, parse_message, to_timestamp
from services.core.model import RegisterVersions


@dataclass(frozen=True, slots=True)
class RegisterChunk:
    """One chunk of a published register: its consumer agency (empty = shared by all), key, SHA-256 and size in bytes."""

    agency: str
    key: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class RegisterPublication:
    """The publication of a register: when (epoch seconds), by whom and why, as they said; texts may be empty."""

    register_version: str
    probe_version: str
    published: float
    by: str = ""
    why: str = ""
    links: int = 0

    @property
    def versions(self) -> RegisterVersions:
        """The versions of the register."""
        return RegisterVersions(self.register_version, self.probe_version)


@dataclass(frozen=True, slots=True)
class RegisterManifest:
    """The parts of one published register; ``published`` in epoch seconds, ``digest`` over versions and chunks.

    ``publications`` are this publication and earlier ones, the newest first.
    """

    register_version: str
    probe_version: str
    published: float
    chunks: tuple[RegisterChunk, ...]
    digest: str
    publications: tuple[RegisterPublication, ...] = ()


_chunk_fields = copied_fields(RegisterChunk)
_publication_fields = copied_fields(RegisterPublication, "published")
_manifest_fields = copied_fields(RegisterManifest, "published", "chunks", "publications")


def encode_manifest(manifest: RegisterManifest) -> bytes:
    """Encode a RegisterManifest."""
    return register_pb2.RegisterManifest(
        published=to_timestamp(manifest.published),
        chunks=[register_pb2.RegisterChunk(**_chunk_fields(chunk)) for chunk in manifest.chunks],
        publications=[
            register_pb2.RegisterPublication(published=to_timestamp(entry.published), **_publication_fields(entry))
            for entry in manifest.publications
        ],
        **_manifest_fields(manifest),
    ).SerializeToString()


def decode_manifest(payload: bytes) -> RegisterManifest:
    """Decode a RegisterManifest. Raises ValueError when the payload is not one."""
    message = parse_message(register_pb2.RegisterManifest, payload)
    return RegisterManifest(
        published=from_timestamp(message.published),
        chunks=tuple(RegisterChunk(**_chunk_fields(chunk)) for chunk in message.chunks),
        publications=tuple(
            RegisterPublication(published=from_timestamp(entry.published), **_publication_fields(entry))
            for entry in message.publications
        ),
        **_manifest_fields(message),
    )

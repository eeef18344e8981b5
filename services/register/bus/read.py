"""Reads the register from the bus and verifies every hash (docs/design.md §5).

Readers check the hash of the manifest and of every chunk. These hashes vouch for the versions that the manifest
names, so the versions are not computed again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from math import inf

from services.core.bus import REGISTER_BUCKET, Bus
from services.core.codec import RegisterChunk, RegisterManifest, RegisterPublication, decode_manifest
from services.core.errors import BusError, TornValueError
from services.core.log import logger
from services.core.model import Register
from services.register.bus.chunks import join_chunks, manifest_digest

CURRENT_KEY = "current"
PREVIOUS_KEY = "previous"
REMOVED_KEY = "removed"
_RETRY_SECONDS = 0.2
_ATTEMPTS = 10  # to read a chunk that is missing or damaged: a replica may lag behind


class UnverifiedError(BusError):
    """The content of the bus is not the register that its manifest names."""


async def follow_register(bus: Bus) -> AsyncIterator[Register]:
    """Wait for the register in force, yield it, and then yield each new one.

    A register may be large, and is not kept here. Raises UnverifiedError if the first one cannot be verified. A later one
    is logged, and the register in force stays.
    """
    in_force: RegisterManifest | None = None
    async for _, payload in bus.kv_follow(REGISTER_BUCKET, CURRENT_KEY):
        if payload is None:
            continue
        try:
            manifest = _verified(payload)
            if in_force is not None and in_force.digest == manifest.digest:
                continue
            contents = [await _read_chunk_persistently(bus, chunk) for chunk in manifest.chunks]
            register = await _assemble(manifest, contents)
        except UnverifiedError as error:
            if await _is_superseded(bus, payload):
                continue  # the newer one comes next
            if in_force is None:
                raise
            logger().error("register_refused", reason=str(error), in_force=in_force.register_version)
            continue
        in_force = manifest
        yield register
        del register


async def read_register(bus: Bus, key: str, *, from_leader: bool = False) -> Register | None:
    """Return the register under a key; None when none there can be verified. Raises BusError."""
    return (await read_manifest_and_register(bus, key, from_leader=from_leader))[1]


async def read_verified_register(bus: Bus, key: str = CURRENT_KEY, *, from_leader: bool = False) -> Register | None:
    """Return the register in force, or the one under another key; None when there is none.

    Raises UnverifiedError when it cannot be verified, NoStreamError when the bus has no streams, and BusError.
    """
    try:
        payload = await bus.kv_get(REGISTER_BUCKET, key, from_leader=from_leader)
    except TornValueError as error:
        raise UnverifiedError(str(error)) from error
    if payload is None:
        return None
    return await _read_register_of(bus, _verified(payload), from_leader=from_leader)


async def read_manifest_and_register(
    bus: Bus, key: str, *, from_leader: bool = False
) -> tuple[RegisterManifest | None, Register | None]:
    """Return a manifest and its register; None for each that is missing or cannot be verified. Raises BusError."""
    manifest = await read_manifest(bus, key, from_leader=from_leader)
    register = None
    if manifest is not None:
        with suppress(UnverifiedError):
            register = await _read_register_of(bus, manifest, from_leader=from_leader)
    return manifest, register


async def _read_register_of(bus: Bus, manifest: RegisterManifest, *, from_leader: bool) -> Register:
    contents = [await _read_chunk(bus, chunk, from_leader=from_leader) for chunk in manifest.chunks]
    return await _assemble(manifest, contents)


async def _read_chunk_persistently(bus: Bus, chunk: RegisterChunk) -> bytes:
    """Read a chunk, retrying while the bus fails to answer. Raises UnverifiedError when it stays missing or damaged."""
    attempts = 0
    while True:
        try:
            return await _read_chunk(bus, chunk)
        except UnverifiedError:
            attempts += 1
            if attempts == _ATTEMPTS:
                raise
        except BusError as error:
            logger().warning("register_read_failed", reason=str(error))
        await asyncio.sleep(_RETRY_SECONDS)


async def _is_superseded(bus: Bus, payload: bytes) -> bool:
    """Return whether a newer manifest than this one exists, retrying while the bus fails to answer.

    An older manifest comes from a replica that lags behind.
    """
    while True:
        try:
            current = await read_value(bus, CURRENT_KEY)
        except BusError as error:
            logger().warning("register_read_failed", reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return current not in (None, payload) and _published(current) >= _published(payload)


async def _read_chunk(bus: Bus, chunk: RegisterChunk, *, from_leader: bool = False) -> bytes:
    content = await read_value(bus, chunk.key, from_leader=from_leader)
    if content is None:
        raise UnverifiedError(f"the register in force lacks {chunk.key}: publish the register again")
    if sha256(content).hexdigest() != chunk.sha256:
        raise UnverifiedError(f"{chunk.key} of the register in force has another hash: publish the register again")
    return content


async def _assemble(manifest: RegisterManifest, contents: Sequence[bytes]) -> Register:
    """Join verified chunks in a thread, and let the event loop run after each of them."""

    def pieces() -> Iterator[bytes]:
        for content in contents:
            yield content
            time.sleep(0)  # releases the interpreter's lock

    try:
        register = await asyncio.to_thread(lambda: join_chunks(pieces()))
    except ValueError as error:
        raise UnverifiedError(
            f"the register in force cannot be read: {error}; publish it again with this version of Peyvand"
        ) from error
    return replace(register, register_version=manifest.register_version, probe_version=manifest.probe_version)


async def read_manifest(bus: Bus, key: str, *, from_leader: bool = False) -> RegisterManifest | None:
    """Return a manifest; None when it is missing, or cannot be verified and is to be replaced. Raises BusError."""
    payload = await read_value(bus, key, from_leader=from_leader)
    try:
        return _verified(payload) if payload is not None else None
    except UnverifiedError:
        return None


async def read_value(bus: Bus, key: str, *, from_leader: bool = False) -> bytes | None:
    """Return a value; None when it is missing, or is torn and to be replaced."""
    try:
        return await bus.kv_get(REGISTER_BUCKET, key, from_leader=from_leader)
    except TornValueError:
        return None


def _verified(payload: bytes) -> RegisterManifest:
    try:
        manifest = decode_manifest(payload)
    except ValueError as error:
        raise UnverifiedError(f"the manifest of the register in force cannot be read: {error}") from error
    if manifest.digest != manifest_digest(manifest.register_version, manifest.probe_version, manifest.chunks):
        raise UnverifiedError("the manifest of the register in force has another hash: publish the register again")
    return manifest


def _published(payload: bytes) -> float:
    """Return when a manifest was published, in epoch seconds; ``-inf`` when it cannot be verified."""
    try:
        return _verified(payload).published
    except UnverifiedError:
        return -inf


async def read_publications(bus: Bus) -> tuple[RegisterPublication, ...]:
    """Return the publications of the register in force, newest first; empty when there is none. Raises BusError."""
    manifest = await read_manifest(bus, CURRENT_KEY)
    return () if manifest is None else manifest.publications

"""The register on the bus: published in chunks, the manifest last, and read back hash by hash (docs/design.md §5).

Key ``current`` of bucket ``register`` holds the manifest in force and ``previous`` the one before it, whose chunks stay
so that a reader in the middle of it can finish. Whoever reads verifies every chunk and both versions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from math import inf

from services.core.bus import REGISTER_BUCKET, Bus
from services.core.codec import RegisterChunk, RegisterManifest, decode_manifest, encode_manifest
from services.core.errors import BusError, TornValueError
from services.core.log import logger
from services.core.model import Register
from services.register.bus.chunks import is_intact, join_chunks, split_register
from services.register.versions import with_versions

__all__ = [
    "CURRENT_KEY",
    "PREVIOUS_KEY",
    "UnverifiedError",
    "fetch_register",
    "follow_register",
    "keep_register",
    "publish_register",
]

CURRENT_KEY = "current"
PREVIOUS_KEY = "previous"
_RETRY_SECONDS = 0.2
_LOOKS = 10  # how often to look for a chunk that is not there: a replica may lag behind


class UnverifiedError(BusError):
    """What the bus holds is not the register its manifest names."""


async def publish_register(bus: Bus, register: Register, *, now: float) -> bool:
    """Publish a loaded register; return False when it is already in force and whole. ``now`` in epoch seconds.

    BusError when the bus does not acknowledge; the register in force then stays.
    """
    chunks = split_register(register)
    manifest = RegisterManifest(register.register_version, register.probe_version, now, tuple(chunks))
    current, previous = await _manifest(bus, CURRENT_KEY), await _manifest(bus, PREVIOUS_KEY)
    repeated = current is not None and _same(current, manifest)
    wanting = [chunk for chunk, content in chunks.items() if await bus.kv_get(REGISTER_BUCKET, chunk.key) != content]
    if repeated and not wanting:
        return False
    for chunk in wanting:
        await bus.kv_put(REGISTER_BUCKET, chunk.key, chunks[chunk])
    if current is not None and not repeated:
        await bus.kv_put(REGISTER_BUCKET, PREVIOUS_KEY, encode_manifest(current))
    await bus.kv_put(REGISTER_BUCKET, CURRENT_KEY, encode_manifest(manifest))
    if previous is not None and not repeated:
        used = {chunk.key for some in (manifest, current) if some is not None for chunk in some.chunks}
        for key in sorted({chunk.key for chunk in previous.chunks} - used):
            await bus.kv_delete(REGISTER_BUCKET, key)
    return True


async def keep_register(bus: Bus, register: Register, *, now: float) -> bool:
    """Publish a register again where the bus has lost it or a part of it; return whether it had. Another in force stays.

    BusError when the bus does not acknowledge.
    """
    current = await _manifest(bus, CURRENT_KEY)
    names = register.register_version, register.probe_version
    if current is not None and (current.register_version, current.probe_version) != names:
        return False
    return await publish_register(bus, register, now=now)


async def fetch_register(bus: Bus) -> Register | None:
    """Return the register in force, verified; None when none was ever published.

    UnverifiedError (a BusError) when a chunk is missing or its hash or a version is wrong.
    """
    payload = await bus.kv_get(REGISTER_BUCKET, CURRENT_KEY)
    while payload is not None:
        try:
            manifest = _decoded(payload)
            return await _whole(manifest, [await _chunk(bus, chunk) for chunk in manifest.chunks])
        except UnverifiedError:
            # Two publications since may have taken the chunks away; then there is a newer manifest to read.
            newer = await bus.kv_get(REGISTER_BUCKET, CURRENT_KEY)
            if newer == payload:
                raise
            payload = newer
    return None


async def follow_register(bus: Bus) -> AsyncIterator[Register]:
    """Yield the register in force, waiting for it, and then each new one.

    What cannot be verified is an UnverifiedError at the start; later it is logged, and the register in force stays.
    """
    known: RegisterManifest | None = None
    async for _, payload in bus.kv_follow(REGISTER_BUCKET, CURRENT_KEY):
        if payload is None:
            continue
        try:
            manifest = _decoded(payload)
            if known is not None and _same(known, manifest):
                continue
            contents = [await _chunk_persistently(bus, chunk) for chunk in manifest.chunks]
            register = await _whole(manifest, contents)
        except UnverifiedError as error:
            if await _is_superseded(bus, payload):
                continue  # the newer one comes next
            if known is None:
                raise
            logger().error("register_refused", reason=str(error), in_force=known.register_version)
            continue
        known = manifest
        yield register


async def _chunk_persistently(bus: Bus, chunk: RegisterChunk) -> bytes:
    """Read a chunk, however often the bus fails to answer; UnverifiedError when looking again is no use."""
    looks = 0
    while True:
        try:
            return await _chunk(bus, chunk)
        except UnverifiedError:
            looks += 1
            if looks == _LOOKS:
                raise
        except BusError as error:
            logger().warning("register_read_failed", reason=str(error))
        await asyncio.sleep(_RETRY_SECONDS)


async def _is_superseded(bus: Bus, payload: bytes) -> bool:
    """Say whether there is a newer manifest than this one, however often the bus fails to answer.

    An older one is that of a replica that lags behind.
    """
    while True:
        try:
            found = await _content(bus, CURRENT_KEY)
        except BusError as error:
            logger().warning("register_read_failed", reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return found not in (None, payload) and _published(found) >= _published(payload)


async def _chunk(bus: Bus, chunk: RegisterChunk) -> bytes:
    content = await bus.kv_get(REGISTER_BUCKET, chunk.key)
    if content is None:
        raise UnverifiedError(f"the register in force lacks {chunk.key}: publish the register again")
    if not is_intact(chunk, content):
        raise UnverifiedError(f"{chunk.key} of the register in force has another hash: publish the register again")
    return content


async def _whole(manifest: RegisterManifest, contents: Sequence[bytes]) -> Register:
    try:
        # In a thread: a national register takes long enough to stall a prober's loop.
        register = await asyncio.to_thread(lambda: with_versions(join_chunks(contents)))
    except (ValueError, KeyError, TypeError) as error:
        raise UnverifiedError(f"the register in force cannot be read by this version: {error}") from error
    for name in ("register_version", "probe_version"):
        found, promised = getattr(register, name), getattr(manifest, name)
        if found != promised:
            what = f"the register in force has {name} {found}, its manifest names {promised}"
            raise UnverifiedError(f"{what}: publish the register again with this version of Peyvand")
    return register


async def _manifest(bus: Bus, key: str) -> RegisterManifest | None:
    """Return a manifest; None when there is none, or one that cannot be read and is to be replaced."""
    payload = await _content(bus, key)
    try:
        return _decoded(payload) if payload is not None else None
    except UnverifiedError:
        return None


async def _content(bus: Bus, key: str) -> bytes | None:
    """Return a value; None when there is none, or one that cannot be put together and is to be replaced."""
    try:
        return await bus.kv_get(REGISTER_BUCKET, key)
    except TornValueError:
        return None


def _decoded(payload: bytes) -> RegisterManifest:
    try:
        return decode_manifest(payload)
    except ValueError as error:
        raise UnverifiedError(f"the manifest of the register in force cannot be read: {error}") from error


def _published(payload: bytes) -> float:
    """Return when a manifest was published, in epoch seconds; long ago for one that cannot be read."""
    try:
        return _decoded(payload).published
    except UnverifiedError:
        return -inf


def _same(one: RegisterManifest, other: RegisterManifest) -> bool:
    return (one.register_version, one.probe_version, one.chunks) == (
        other.register_version,
        other.probe_version,
        other.chunks,
    )

"""Publishes the register to the bus: the chunks first, the manifest last (docs/design.md §5).

Key ``current`` of bucket ``register`` holds the manifest in force, and ``previous`` the one before it. The chunks of
both stay, so that a reader of the previous register can finish. Key ``removed`` holds the manifest of the rows that
registers have removed, whose ids stay taken. Key ``publishing`` is a lock, since two concurrent publications would
remove each other's chunks. Existing values are read from the leader: a replica may still show removed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from secrets import token_hex

from services.core.bus import REGISTER_BUCKET, Bus, Claim
from services.core.codec import RegisterChunk, RegisterManifest, encode_manifest
from services.core.errors import BusError
from services.core.log import logger
from services.core.model import Register
from services.register.bus.chunks import make_manifest, split_register
from services.register.bus.read import (
    CURRENT_KEY,
    PREVIOUS_KEY,
    REMOVED_KEY,
    UnverifiedError,
    read_manifest,
    read_manifest_and_register,
    read_register,
    read_value,
    read_verified_register,
)
from services.register.versions import removed_rows

_PUBLICATIONS_KEPT = 99  # before the newest
_LOCK_KEY = "publishing"
_LOCK_SECONDS = 10.0
"""How long others wait for a publication that was killed."""
_RENEWAL_SECONDS = 3.0
_DROPPED = (
    "rows of ids that were removed earlier are damaged on the bus, and this publication drops them: their ids are free "
    "until bucket register is restored from a backup"
)


@dataclass(frozen=True, slots=True)
class Before:
    """The register in force with its manifest, and the rows that were removed before it; None where none can be verified.

    If rows that were removed before are ``damaged``, ``removed`` has only those of the last publication.
    """

    manifest: RegisterManifest | None
    register: Register | None
    removed: Register | None
    damaged: bool


async def read_before(bus: Bus) -> Before:
    """Return what a publication follows. Raises BusError."""
    in_force = await read_manifest_and_register(bus, CURRENT_KEY, from_leader=True)
    removed, damaged = None, False
    try:
        removed = await read_verified_register(bus, REMOVED_KEY, from_leader=True)
    except UnverifiedError:
        damaged = True
    # A bus of an earlier version has only what the last publication removed.
    return Before(*in_force, removed or await read_register(bus, PREVIOUS_KEY, from_leader=True), damaged)


async def publish_register(
    bus: Bus,
    register: Register,
    *,
    now: float,
    by: str = "",
    why: str = "",
    before: Before | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> bool:
    """Publish a loaded register; return False when it is already in force and complete. ``now`` is in epoch seconds.

    ``by`` and ``why``, the publisher and the reason, are stored with it. A publication waits for another one to end.
    ``tell`` is called with a sentence if it waits, and if damaged rows of removed ids are dropped.
    Raises BusError when the bus does not acknowledge, when another register came into force than ``before``, if that is
    given, or when this process stalled for so long that another may have published; the register in force then stays.
    """
    chunks = split_register(register)
    manifest = make_manifest(register, chunks, now, by=by, why=why)
    async with _locked(bus, tell) as lock:
        return await _publish(bus, register, chunks, manifest, lock, before, tell)


async def _publish(
    bus: Bus,
    register: Register,
    chunks: Mapping[RegisterChunk, bytes],
    manifest: RegisterManifest,
    lock: Claim,
    before: Before | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> bool:
    keys = (CURRENT_KEY, PREVIOUS_KEY, REMOVED_KEY)
    current, previous, removed = [await read_manifest(bus, key, from_leader=True) for key in keys]
    repeated = current is not None and current.digest == manifest.digest
    if before is not None and before.manifest != current and not repeated:
        raise BusError("another register came into force meanwhile, which this one may not follow: publish it again")
    missing = await _put_missing(bus, chunks)
    if repeated and not missing:
        return False
    newly_removed = None
    if current is not None and not repeated:
        before = before or await read_before(bus)
        newly_removed = await _put_removed(bus, register, before, manifest.published)
    if current is not None:
        earlier = current.publications[:_PUBLICATIONS_KEPT]
        manifest = replace(manifest, publications=earlier if repeated else (*manifest.publications, *earlier))
    if not lock.held:
        raise BusError("publishing the register stood still, so another process may have published: publish it again")
    if current is not None and not repeated:
        if newly_removed is not None:
            await bus.kv_put(REGISTER_BUCKET, REMOVED_KEY, encode_manifest(newly_removed))
            if before and before.damaged:
                logger().warning("removed_rows_dropped", reason=_DROPPED)
                tell(_DROPPED)
        await bus.kv_put(REGISTER_BUCKET, PREVIOUS_KEY, encode_manifest(current))
    await bus.kv_put(REGISTER_BUCKET, CURRENT_KEY, encode_manifest(manifest))
    removed = newly_removed or removed
    if removed is None and await bus.kv_keys(REGISTER_BUCKET, REMOVED_KEY):
        return True  # its manifest is damaged, so its chunks are unknown: they stay until it is replaced
    kept = (manifest, removed, previous if repeated or current is None else current)
    await _remove_chunks(bus, {chunk.key for one in kept if one is not None for chunk in one.chunks}, lock)
    return True


async def _put_missing(bus: Bus, chunks: Mapping[RegisterChunk, bytes]) -> bool:
    """Put the chunks that the bus lacks, or holds with another content; return whether there were any."""
    missing = [
        chunk for chunk, content in chunks.items() if await read_value(bus, chunk.key, from_leader=True) != content
    ]
    for chunk in missing:
        await bus.kv_put(REGISTER_BUCKET, chunk.key, chunks[chunk])
    return bool(missing)


async def _put_removed(bus: Bus, register: Register, before: Before, now: float) -> RegisterManifest | None:
    """Put the rows that a register removes, and those that were removed before; return their manifest, None if it stays."""
    if before.register is None:
        return None
    rows = removed_rows(register, before.register, before.removed)
    if rows == before.removed:
        return None
    chunks = split_register(rows)
    await _put_missing(bus, chunks)
    return make_manifest(rows, chunks, now)


def _locked(bus: Bus, tell: Callable[[str], object] = lambda _: None) -> AbstractAsyncContextManager[Claim]:
    """Keep other processes from publishing. Raises BusError."""
    lock = Claim(bus, REGISTER_BUCKET, _LOCK_KEY, name=token_hex(8), seconds=_LOCK_SECONDS)
    waiting = f"waiting until another process has published a register; {_LOCK_SECONDS:g} s if that was killed"
    return lock.holding(_RENEWAL_SECONDS, waiting=lambda: tell(waiting))


async def _remove_chunks(bus: Bus, kept: set[str], lock: Claim) -> None:
    """Remove all other chunks: those of older versions, and those of an interrupted publication, in no manifest.

    So are the parts of large values that other processes put and no key names. Without the lock all of these stay: they
    may be those of another publication. The next one removes them.
    """
    for key in sorted(await bus.kv_keys(REGISTER_BUCKET, "chunk.>") - kept):
        last = await bus.kv_last(REGISTER_BUCKET, key)
        if not lock.held:
            return
        if last is not None and not last.deleted:  # a tombstone stays as it is
            await bus.kv_delete(REGISTER_BUCKET, key)
    if lock.held:
        await bus.kv_remove_orphans(REGISTER_BUCKET)


async def republish_if_lost(bus: Bus, register: Register, *, now: float) -> bool:
    """Publish a register again if the bus has lost it or part of it, unless another is in force; return whether it had.

    Raises BusError when the bus does not acknowledge.
    """
    chunks = split_register(register)
    manifest = make_manifest(register, chunks, now)
    async with _locked(bus) as lock:
        current = await read_manifest(bus, CURRENT_KEY, from_leader=True)
        if current is not None and current.digest != manifest.digest:
            return False
        return await _publish(bus, register, chunks, manifest, lock)

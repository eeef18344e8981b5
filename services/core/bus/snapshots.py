"""Backs up and restores streams, with every sequence, by JetStream's own snapshots.

The folder of a backup has the layout of the `nats` command line, so that either tool can restore it. ``stream.tar.s2``
is the server's archive as received. ``backup.json`` is the stream's configuration and state, and is written last, once
the archive is on disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

import nats.errors
from nats.aio.msg import Msg

from services.core import files
from services.core.bus import names
from services.core.bus.streams import Streams
from services.core.errors import BusError, StateError, reason_of

_ARCHIVE, _DESCRIPTION = "stream.tar.s2", "backup.json"
_CHUNK_BYTES = 128 << 10
_SECONDS = 30.0  # for each step, not for the whole
_LEADER_SECONDS = 60.0  # until servers that have just started have elected a leader
_INTEREST_SECONDS = 10.0  # until every server of a cluster knows which of them is subscribed to the chunks


async def streams_to_save(bus: Streams) -> tuple[str, ...]:
    """Return every stream, but of those that version 0.2.0 did not have only the ones that exist. Raises BusError."""
    existing = await _existing(bus)
    return tuple(name for name in names.STREAMS if name in existing or name not in names.LATER_STREAMS)


async def _existing(bus: Streams) -> list[str]:
    return (await bus.request_api("$JS.API.STREAM.NAMES", b"", "listing the streams")).get("streams") or []


async def save_stream(bus: Streams, stream: str, folder: Path) -> int:
    """Write a stream as it is now into a new folder, durably; return its last sequence. Needs role admin.

    Raises BusError when the bus does not send it whole, StateError when the folder exists or cannot be written.
    """
    what = f"keeping stream {stream}"
    subject = bus.client.new_inbox()
    queue: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await bus.client.subscribe(subject, cb=queue.put)
    request = {"deliver_subject": subject, "chunk_size": _CHUNK_BYTES, "no_consumers": True}
    try:
        missing = [folder, *takewhile(lambda parent: not parent.exists(), folder.parents)]
        folder.mkdir(parents=True)
        answer = await bus.request_api(
            f"$JS.API.STREAM.SNAPSHOT.{stream}", json.dumps(request).encode(), what, _SECONDS
        )
        with (folder / _ARCHIVE).open("wb") as archive:
            await _receive(bus, queue, archive, what)
            archive.flush()
            await asyncio.to_thread(os.fsync, archive.fileno())  # of gigabytes, while the connection goes on
        description = {"config": answer["config"], "state": answer["state"]}
        files.replace(folder / _DESCRIPTION, f"{json.dumps(description, indent=2)}\n".encode())
        for changed in (folder, *(made.parent for made in missing)):
            files.sync(changed)
    except OSError as error:
        raise StateError(f"{what} in {folder} failed: {error.strerror}") from error
    finally:
        await subscription.unsubscribe()
    return int(answer["state"]["last_seq"])


async def _receive(bus: Streams, queue: asyncio.Queue[Msg], archive: IO[bytes], what: str) -> None:
    """Write chunks until the empty one that ends them; each is acknowledged, which makes the server send more."""
    while True:
        try:
            async with asyncio.timeout(_SECONDS):
                message = await queue.get()
        except TimeoutError as error:
            raise BusError(f"{what} failed: the bus stopped in the middle") from error
        if message.headers and message.headers.get("Status", "200") >= "300":
            raise BusError(f"{what} failed: {message.headers.get('Description', message.headers['Status'])}")
        if not message.data:
            return
        archive.write(message.data)
        if message.reply:
            await bus.client.publish(message.reply)


def streams_of_backup(folder: Path) -> tuple[str, ...]:
    """Return the streams that a backup holds, by the folders that `save_stream` wrote in ``folder``.

    One by version 0.2.0 need not hold those that came later. Raises StateError, which names each other stream that is
    missing or incomplete.
    """
    wanted = [name for name in names.STREAMS if name not in names.LATER_STREAMS or (folder / name).exists()]
    if missing := [name for name in wanted if not _holds(folder / name, name)]:
        raise StateError(
            f"the backup {folder} lacks {', '.join(missing)}, and nothing was restored: name one that holds every stream"
        )
    return tuple(wanted)


def _holds(folder: Path, stream: str) -> bool:
    try:
        return _read_description(folder)[1] == stream
    except StateError:
        return False


async def check_empty(bus: Streams, streams: Iterable[str] = names.STREAMS) -> None:
    """Check that none of the streams that exist has ever held a message. Raises BusError, which names each that has."""
    await _wait_for_leader(bus, "looking for streams with messages")
    existing = await _existing(bus)
    last = {name: (await bus.stream_state(name)).last for name in streams if name in existing}
    if held := ", ".join(f"{name}: {count}" for name, count in last.items() if count):
        raise BusError(
            f"the bus has held messages ({held}), and only an empty one can be restored: stop its servers and remove their "
            "store, or name another with --nats"
        )


async def restore_stream(bus: Streams, folder: Path) -> int:
    """Restore a stream that `save_stream` wrote, replacing an empty one; return its last sequence. Needs role admin.

    Raises BusError when the bus refuses or has a stream of that name that held messages, StateError when the folder does
    not hold a backup.
    """
    description, stream, last = _read_description(folder)
    what = f"restoring stream {stream}"
    with (folder / _ARCHIVE).open("rb") as archive:
        await check_empty(bus, [stream])
        if stream in await _existing(bus):
            await bus.request_api(f"$JS.API.STREAM.DELETE.{stream}", b"", f"making way for stream {stream}", _SECONDS)
        answer = await bus.request_api(
            f"$JS.API.STREAM.RESTORE.{stream}", json.dumps(description).encode(), what, _SECONDS
        )
        reply: dict[str, Any] = {}
        for chunk in _chunks(archive):
            reply = await _send_chunk(bus, answer["deliver_subject"], chunk, what)
    restored = int(reply.get("state", {}).get("last_seq", -1))
    if restored != last:
        raise BusError(f"{what} failed: it ends at message {restored}, and was kept up to {last}")
    return last


def _read_description(folder: Path) -> tuple[dict[str, Any], str, int]:
    """Return the description of a stream with an archive beside it, its name and its last sequence. Raises StateError."""
    try:
        description: dict[str, Any] = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
        stream, last = str(description["config"]["name"]), int(description["state"]["last_seq"])
        (folder / _ARCHIVE).open("rb").close()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{folder} does not hold a stream as `peyvand bus backup` keeps it: {reason_of(error)}"
        ) from error
    return description, stream, last


def _chunks(archive: IO[bytes]) -> Iterator[bytes]:
    """Yield the archive in chunks, and an empty one that ends it."""
    while chunk := archive.read(_CHUNK_BYTES):
        yield chunk
    yield b""


async def _wait_for_leader(bus: Streams, what: str) -> None:
    """Wait until the cluster has a leader. Without one, a request to restore is lost. Raises BusError."""
    deadline = time.monotonic() + _LEADER_SECONDS
    while True:
        try:
            await bus.request_api("$JS.API.INFO", b"", what)
        except BusError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _send_chunk(bus: Streams, subject: str, chunk: bytes, what: str) -> dict[str, Any]:
    """Send one chunk to the server that restores.

    In a cluster this may not be the server that we are connected to. Ours may learn of its subscription only after
    passing on the answer that names the subject. A chunk without a subscriber reached no server, so it is sent again.
    """
    deadline = time.monotonic() + _INTEREST_SECONDS
    while True:
        try:
            return await bus.request_api(subject, chunk, what, _SECONDS)
        except BusError as error:
            if not isinstance(error.__cause__, nats.errors.NoRespondersError) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)

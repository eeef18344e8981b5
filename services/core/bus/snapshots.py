"""Streams kept in files and put back, with every sequence, by JetStream's own snapshots.

A stream's folder holds what the `nats` command line keeps of it too, so that either can put it back: ``stream.tar.s2``, the
server's archive as it came, and ``backup.json``, its configuration and state, which is written last.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import nats.errors
from nats.aio.msg import Msg

from services.core.bus.streams import Streams, error_text
from services.core.errors import BusError, StateError

__all__ = ["restore_stream", "save_stream"]

_ARCHIVE, _DESCRIPTION = "stream.tar.s2", "backup.json"
_CHUNK_BYTES = 128 << 10
_SECONDS = 30.0  # for each step, not for the whole
_INTEREST_SECONDS = 10.0  # for the servers of a cluster to hear which of them listens for the chunks


async def save_stream(bus: Streams, stream: str, folder: Path) -> int:
    """Write a stream as it is now into a new folder; returns its last sequence. Needs role admin.

    Raises BusError when the bus does not give it whole, StateError when the folder cannot be written or is there already.
    """
    what = f"keeping stream {stream}"
    subject = bus.client.new_inbox()
    queue: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await bus.client.subscribe(subject, cb=queue.put)
    request = {"deliver_subject": subject, "chunk_size": _CHUNK_BYTES, "no_consumers": True}
    try:
        folder.mkdir(parents=True)
        answer = await _ask(bus, f"$JS.API.STREAM.SNAPSHOT.{stream}", json.dumps(request).encode(), what)
        with (folder / _ARCHIVE).open("wb") as archive:
            await _receive(bus, queue, archive, what)
        described = {"config": answer["config"], "state": answer["state"]}
        (folder / _DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise StateError(f"{what} in {folder} failed: {error.strerror}") from error
    finally:
        await subscription.unsubscribe()
    return int(answer["state"]["last_seq"])


async def _receive(bus: Streams, queue: asyncio.Queue[Msg], archive: IO[bytes], what: str) -> None:
    """Write chunks until the empty one that ends them; the server sends on while the earlier ones are acknowledged."""
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


async def restore_stream(bus: Streams, folder: Path) -> int:
    """Put back a stream that `save_stream` kept; returns its last sequence. An empty stream gives way to it. Needs role admin.

    Raises BusError when the bus has a stream of that name with messages in it or refuses, StateError when the folder does
    not hold a stream as it was kept.
    """
    try:
        described = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
        stream, last = str(described["config"]["name"]), int(described["state"]["last_seq"])
        archive = (folder / _ARCHIVE).open("rb")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{folder} does not hold a stream as `peyvand bus backup` keeps it: {error}") from error
    what = f"restoring stream {stream}"
    with archive:
        await _make_way(bus, stream)
        answer = await _ask(bus, f"$JS.API.STREAM.RESTORE.{stream}", json.dumps(described).encode(), what)
        answered: dict[str, Any] = {}
        for chunk in _chunks(archive):
            answered = await _hand_over(bus, answer["deliver_subject"], chunk, what)
    found = int(answered.get("state", {}).get("last_seq", -1))
    if found != last:
        raise BusError(f"{what} failed: it ends at message {found}, and was kept up to {last}")
    return last


def _chunks(archive: IO[bytes]) -> Iterator[bytes]:
    """The archive in pieces, and an empty one that ends it."""
    while chunk := archive.read(_CHUNK_BYTES):
        yield chunk
    yield b""


async def _make_way(bus: Streams, stream: str) -> None:
    """Remove a stream that never held a message. Raises BusError for one that did."""
    try:
        state = await bus.stream_state(stream)
    except BusError:
        return  # there is none; whatever else it is, the restore will say
    if state.last > 0:
        raise BusError(f"stream {stream} is there, and has held {state.last} messages: restore into an empty bus")
    await _ask(bus, f"$JS.API.STREAM.DELETE.{stream}", b"", f"making way for stream {stream}")


async def _hand_over(bus: Streams, subject: str, chunk: bytes, what: str) -> dict[str, Any]:
    """Give one chunk to whichever server restores.

    In a cluster that may be another one than ours, which can hear where the chunks are listened for after it passed on the
    answer that names the subject. A chunk nobody listened for reached nobody, so it may be given again.
    """
    deadline = time.monotonic() + _INTEREST_SECONDS
    while True:
        try:
            return await _ask(bus, subject, chunk, what)
        except BusError as error:
            if not isinstance(error.__cause__, nats.errors.NoRespondersError) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def _ask(bus: Streams, subject: str, payload: bytes, what: str) -> dict[str, Any]:
    try:
        reply = await bus.client.request(subject, payload, timeout=_SECONDS)
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise BusError(f"{what} failed: {error_text(error)}") from error
    answer: dict[str, Any] = json.loads(reply.data) if reply.data else {}
    if "error" in answer:
        raise BusError(f"{what} failed: {answer['error'].get('description')}")
    return answer

"""Makes damaged evidence good: messages that were in it are read again, as long as the stream holds them (ADR 67)."""

from __future__ import annotations

from services.core.bus import StreamCursor, StreamPosition
from services.core.errors import GapError
from services.core.log import Logger
from services.scorer.state import Damage, LoadedState, Store


async def start_position(cursor: StreamCursor, store: Store, loaded: LoadedState, *, log: Logger) -> StreamPosition:
    """Return where to go on reading, or to read again what was in damaged files.

    Raises BusError, and GapError when messages are missing, or were in a damaged file and are gone.
    """
    starts: list[StreamPosition] = []
    lost: list[Damage] = []
    reopened: list[int] = []
    for damage in loaded.damages:
        start = await cursor.start_of(damage.since)
        if start is None:
            lost += [] if damage.detail_only else [damage]
            continue
        starts.append(start)
        reopened += [] if damage.first_slot is None else [damage.first_slot]
        log.warning("evidence_read_again", file=str(damage.path), reading_from=start.sequence + 1)
    if lost and not cursor.accept:
        raise _lost(lost, cursor.stream)
    if reopened:
        store.reopen(loaded.evidence, min(reopened))
    if loaded.manifest is not None or not starts:
        starts.append(await cursor.resume(None if loaded.manifest is None else loaded.manifest.position))
    return min(starts, key=lambda position: position.sequence)


def _lost(damages: list[Damage], stream: str) -> GapError:
    what = "; ".join(f"{damage.path} held {damage.what}" for damage in damages)
    return GapError(
        f"evidence is damaged or missing, and stream {stream} no longer holds it: {what}. Put the folder back from a backup, "
        "or start once with --accept-gap yes: what is gone stays unknown"
    )

"""Repairs damaged or missing evidence.

The messages that were in it are read again if the stream still holds them (ADR 67). The rest comes from the archive's
dataset (ADR 88).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from services.core.bus import StreamCursor
from services.core.errors import GapError, StateError
from services.core.log import Logger
from services.core.model import Policy, StreamPosition
from services.core.tasks import run_in_thread
from services.dataset.positions import read_positions
from services.dataset.storage import open_storage
from services.indicator.calendar import Calendar
from services.scorer.state import Damage, LoadedState, StateManifest, Store


@dataclass(slots=True)
class _Rereading:
    """How damages are repaired: by reading from ``starts`` again, and opening the days from slots ``reopened`` on.

    ``lost`` are the damages that this does not repair.
    """

    starts: list[StreamPosition]
    reopened: list[int]
    lost: list[Damage]


async def start_position(
    cursor: StreamCursor, store: Store, loaded: LoadedState, policy: Policy, *, dataset: str, log: Logger
) -> tuple[LoadedState, StreamPosition]:
    """Return the state, and where to continue reading, or to read the content of damaged files again.

    ``dataset`` is the address of the archive's dataset, "" for none. Raises BusError, StateError for a damaged dataset,
    and GapError when messages are missing, or were in a damaged file and are gone.
    """
    loaded, anew = await _in_stream(cursor, loaded)
    again = await _read_again(cursor, loaded, log)
    is_new = loaded.manifest is None and not loaded.damages
    if dataset and is_new and await lacks_archived(cursor, dataset):
        again.lost = [Damage(store.folder, "everything")]
    sought = list(again.lost)
    if dataset and loaded.manifest and anew is None and await _is_gap_archived(cursor, loaded.manifest, dataset):
        open_from = Calendar.of(policy).start_of(loaded.evidence.closed_before)
        sought.append(Damage(store.folder, "what came after", open_from))
    if dataset and sought and (restored := await _restored(dataset, policy, store, loaded, sought)) is not None:
        log.warning("evidence_restored", dataset=dataset, days=len(restored.evidence.closed_days))
        again.lost = []
        loaded, anew = await _in_stream(cursor, restored)
    if again.lost and not is_new:
        if not cursor.accept:
            raise _lost(again.lost, cursor.stream, dataset)
        await _read_rest_again(cursor, Calendar.of(policy), again)
    if again.reopened:
        store.reopen(loaded.evidence, min(again.reopened))
    if anew is not None:
        again.starts.append(anew)
    elif loaded.manifest is not None or not again.starts:
        taken = loaded.manifest
        again.starts.append(
            await (cursor.resume(taken.position, stored=taken.time or inf) if taken else cursor.resume(None))
        )
    return loaded, min(again.starts, key=lambda position: position.sequence)


async def _in_stream(cursor: StreamCursor, loaded: LoadedState) -> tuple[LoadedState, StreamPosition | None]:
    """Return the state, and where its stream begins if that was recreated since the state was saved, else None.

    If it was, ``begun`` of the state is when the stream was created.
    """
    anew = loaded.manifest and await cursor.begun_anew(loaded.manifest.position)
    return (replace(loaded, begun=anew[1]), anew[0]) if anew else (loaded, None)


async def _read_again(cursor: StreamCursor, loaded: LoadedState, log: Logger) -> _Rereading:
    """Find out which content of damaged files the stream still holds."""
    again = _Rereading([], [], [])
    for damage in loaded.damages:
        is_gone = loaded.begun is not None and damage.since < loaded.begun
        start = None if is_gone else await cursor.start_of(damage.since)
        if start is None:
            again.lost += [] if damage.detail_only else [damage]
            continue
        again.starts.append(start)
        again.reopened += [] if damage.first_slot is None else [damage.first_slot]
        log.warning("evidence_read_again", file=str(damage.path), reading_from=start.sequence + 1)
    return again


async def _read_rest_again(cursor: StreamCursor, calendar: Calendar, again: _Rereading) -> None:
    """Read again what the stream still holds of lost evidence, if the loss was accepted."""
    again.starts.append(await cursor.resume(None, accept=True))
    for slot in (damage.first_slot for damage in again.lost if damage.first_slot is not None):
        after = calendar.slots_of(calendar.day_of(slot)).stop
        if await cursor.start_of(calendar.start_of(after - 1)) is not None:  # reopening the day loses no later one
            again.reopened.append(slot)


async def _is_gap_archived(cursor: StreamCursor, taken: StateManifest, dataset: str) -> bool:
    """Return whether a stream no longer has the messages after those taken in, and a dataset has some of them.

    Raises BusError and StateError.
    """
    if await cursor.has_next(taken.position):
        return False
    archived = (await run_in_thread(lambda: read_positions(open_storage(dataset)))).get(taken.position.stream)
    return (
        archived is not None
        and archived.created == taken.position.created
        and archived.sequence > taken.position.sequence
    )


async def lacks_archived(cursor: StreamCursor, dataset: str) -> bool:
    """Return whether a dataset may have messages that a stream no longer has, or never had. Raises BusError."""
    start = await cursor.start_of(cursor.needed_from)
    return start is None or await run_in_thread(partial(_may_be_of_former_stream, dataset, start))


def _may_be_of_former_stream(dataset: str, position: StreamPosition) -> bool:
    """Return whether a dataset may have messages of a stream that existed before the position's."""
    try:
        archived = read_positions(open_storage(dataset)).get(position.stream)
    except StateError:
        return True  # reading the dataset says what is wrong, if that concerns this stream
    return archived is not None and (archived.generation > 0 or archived.created != position.created)


async def _restored(
    dataset: str, policy: Policy, store: Store, loaded: LoadedState, lost: Sequence[Damage]
) -> LoadedState | None:
    from services.scorer.archived import restore  # noqa: PLC0415  # pyarrow takes 44 MB, which a scorer seldom needs

    return await run_in_thread(partial(restore, dataset, policy, store, loaded, lost))


def _lost(damages: list[Damage], stream: str, dataset: str) -> GapError:
    what = "; ".join(f"{damage.path} held {damage.what}" for damage in damages)
    elsewhere = f", nor does the dataset in {dataset}" if dataset else ""
    return GapError(
        f"evidence is damaged or missing, and stream {stream} no longer holds it{elsewhere}: {what}. Put the folder back from a backup, "
        "or start once with --accept-gap yes: what is gone stays unknown"
    )

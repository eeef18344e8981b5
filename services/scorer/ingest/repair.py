"""Makes damaged or missing evidence good: messages that were in it are read again, as long as the stream holds them (ADR 67);
what it no longer holds comes out of the archive's dataset (ADR 88).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from services.core.bus import StreamCursor, StreamPosition
from services.core.errors import GapError
from services.core.log import Logger
from services.core.model import Policy
from services.core.tasks import run_in_thread
from services.scorer.state import Damage, LoadedState, Store


async def start_position(
    cursor: StreamCursor, store: Store, loaded: LoadedState, policy: Policy, *, dataset: str, log: Logger
) -> tuple[LoadedState, StreamPosition]:
    """Return the state, and where to go on reading, or to read again what was in damaged files.

    ``dataset`` is the address of the archive's, "" for none. Raises BusError, StateError for a damaged dataset, and GapError
    when messages are missing, or were in a damaged file and are gone.
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
    is_new = loaded.manifest is None and not loaded.damages
    if dataset and is_new and await cursor.start_of(cursor.needed_from) is None:
        lost = [Damage(store.folder, "everything")]
    if dataset and lost and (restored := await _restored(dataset, policy, store, loaded, lost)) is not None:
        log.warning("evidence_restored", dataset=dataset, days=len(restored.evidence.closed_days))
        loaded, lost = restored, []
    if lost and not is_new and not cursor.accept:
        raise _lost(lost, cursor.stream, dataset)
    if reopened:
        store.reopen(loaded.evidence, min(reopened))
    if loaded.manifest is not None or not starts:
        starts.append(await cursor.resume(None if loaded.manifest is None else loaded.manifest.position))
    return loaded, min(starts, key=lambda position: position.sequence)


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

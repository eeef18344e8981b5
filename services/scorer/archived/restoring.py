"""Restores the scorer's evidence from the dataset, where the stream no longer holds it (ADR 88)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from services.core.errors import StateError
from services.core.model import ExchangeSummary, Policy, StreamPosition
from services.dataset.positions import ArchivedUpTo, read_position
from services.dataset.storage import Storage, open_storage
from services.dataset.tables import EXCHANGE, MEASUREMENT
from services.indicator.calendar import RECORD_DAYS, Calendar
from services.scorer.archived.dataset import ArchivedEvidence
from services.scorer.state import Damage, LoadedState, StateManifest, Store

_ATTEMPTS: Final = 3
_RETRY_SECONDS: Final = 1.0
"""A listed segment may be gone when it is read, because the archive has sealed its day.

Then the dataset is read again.
"""

_DAY_SECONDS: Final = 86_400


def restore(
    address: str, policy: Policy, store: Store, loaded: LoadedState, damages: Sequence[Damage]
) -> LoadedState | None:
    """Put what is damaged or missing back into the evidence; return the state, or None if nothing was archived yet.

    The manifest of the state says from which message on to read the stream. Raises StateError for a damaged dataset.
    """
    storage = open_storage(address)
    for _ in range(_ATTEMPTS - 1):
        try:
            return _restore(storage, policy, store, loaded, damages)
        except StateError:
            time.sleep(_RETRY_SECONDS)
    return _restore(storage, policy, store, loaded, damages)


def _restore(
    storage: Storage, policy: Policy, store: Store, loaded: LoadedState, damages: Sequence[Damage]
) -> LoadedState | None:
    archived = read_position(storage, MEASUREMENT)
    if archived is None:
        return None
    archive, evidence, calendar = ArchivedEvidence(storage), loaded.evidence, Calendar.of(policy)
    end = calendar.slot_of(archived.stored) + 2  # a row may be of the next slot
    oldest = calendar.window(max(RECORD_DAYS, *policy.windows_days) + 1, end).start
    slots, manifest = set(loaded.slots), loaded.manifest
    for damage in damages:
        since = calendar.slot_of(max(damage.since, calendar.start_of(oldest)))
        if damage.first_slot is not None:
            day = calendar.day_of(damage.first_slot)
            slots |= archive.fill(evidence, policy, calendar.slots_of(day))
            if day in evidence.closed_days:
                continue
            # The day is not sealed yet, so the stream may have the rest of it.
            store.reopen(evidence, damage.first_slot)
        is_complete = damage.since <= calendar.start_of(evidence.closed_before)
        slots |= archive.fill(evidence, policy, range(since, end))
        manifest = _resumed(manifest, archived, is_complete=is_complete)
    return replace(loaded, manifest=manifest, slots=tuple(sorted(slots)))


def _resumed(manifest: StateManifest | None, archived: ArchivedUpTo, *, is_complete: bool) -> StateManifest:
    """Return a manifest from which everything is read that the evidence may lack.

    If it ``is_complete``, it has everything of the dataset that still counts.
    """
    position = StreamPosition(archived.stream, archived.created, archived.sequence)
    if manifest is None:
        return StateManifest(position, archived.stored)
    if manifest.position.created != archived.created:  # the dataset has nothing of this stream, or more than one
        return replace(manifest, position=replace(manifest.position, sequence=0), time=archived.stored)
    if manifest.position.sequence <= archived.sequence and not is_complete:
        return manifest
    return replace(manifest, position=position, time=archived.stored)


def archived_exchanges(
    address: str, policy: Policy
) -> tuple[ArchivedUpTo | None, Iterator[list[tuple[float, str, list[ExchangeSummary]]]]]:
    """Return how far exchanges are in the dataset, None without any, and the exchanges of the longest window.

    The exchanges come newest first, some at a time: when each was stored (epoch seconds), its bus, and the summary.
    Both the call and the iterator raise StateError.
    """
    storage = open_storage(address)
    archived = read_position(storage, EXCHANGE)
    if archived is None:
        return None, iter(())
    # A summary may be of the next day.
    end_slot = Calendar.of(policy).slot_of(archived.stored + _DAY_SECONDS) + 1
    exchanges = ArchivedEvidence(storage).exchanges(policy, days=max(policy.windows_days) + 1, end_slot=end_slot)
    return archived, exchanges

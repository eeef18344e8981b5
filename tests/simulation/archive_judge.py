"""Judge the dataset of a simulation by every message that the stream stored, and its accounts of batches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from services.core.model import Measurement
from services.dataset.days import (
    BatchRun,
    EvidenceDays,
    LogFiles,
    Manifest,
    list_segments,
    read_sealed,
    read_segments,
)
from services.dataset.tables import MEASUREMENT
from tests.simulation.component import World
from tests.simulation.record import Entry

_COLUMNS = ("link", "endpoint", "vantage", "slot_start", "outcome", "stored", "sequence")
_NAMED = 20
"""A manifest names this many holes of a run. For more it gives only their number."""


def archive_faults(world: World) -> Iterator[str]:
    """Yield, as sentences, what is wrong with a dataset that must be complete."""
    sealed = [manifest for _, manifest in LogFiles(world.storage).manifests()]
    days = [manifest.day for manifest in sealed]
    if days != sorted(set(days)):
        yield f"days are sealed twice, or not in order: {days}"
    found = _messages(world, sealed)
    archived: dict[Entry, float] = {}
    for entry in world.record.entries:
        key = (entry.message.sequence, frozenset(Counter(map(_row, entry.rows)).items()))
        if found[key]:
            archived[entry] = found[key].pop(0)
        elif entry not in world.record.excused["archive"]:
            yield (
                f"message {entry.message.sequence} of stream {entry.generation} is not in the archive: {len(entry.rows)} "
                "acknowledged measurements are lost, or doubled"
            )
    if more := sorted(sequence for (sequence, _), moments in found.items() for _ in moments):
        yield f"the archive has rows of {len(more)} messages more than were stored, such as {more[0]}"
    yield from _accounts(world, sealed, archived)


def _messages(world: World, sealed: list[Manifest]) -> dict[Any, list[float]]:
    """Return when each copy of each message in the dataset was stored, by the message's sequence and content."""
    storage = world.storage
    tables = [
        read_sealed(storage, file, _COLUMNS) for day in sealed for file in day.files if file.kind == MEASUREMENT.name
    ]
    for _, some in groupby(list_segments(storage, MEASUREMENT), key=lambda one: (one.day, one.late)):
        tables += [table.select(list(_COLUMNS)) for table in read_segments(storage, MEASUREMENT, list(some))]
    messages: dict[tuple[float, int], Counter[tuple[Any, ...]]] = defaultdict(Counter)
    for table in tables:
        columns = table.to_pydict()
        for *row, stored, sequence in zip(*(columns[name] for name in _COLUMNS), strict=True):
            messages[stored.timestamp(), sequence][tuple(row)] += 1
    found: dict[Any, list[float]] = defaultdict(list)
    for (stored, sequence), content in sorted(messages.items(), key=lambda item: item[0]):
        found[sequence, frozenset(content.items())].append(stored)
    return found


def _accounts(world: World, sealed: list[Manifest], archived: Mapping[Entry, float]) -> Iterator[str]:
    """Yield where the manifests do not name exactly the batches that are missing."""
    policy = world.register.policy
    days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
    came: dict[str, dict[int, float]] = defaultdict(dict)
    for entry, stored in archived.items():
        numbers, number = came[entry.place[1]], entry.place[2]
        numbers[number] = min(stored, numbers.get(number, stored))
    accounts: dict[str, list[tuple[str, BatchRun]]] = defaultdict(list)
    counted = [manifest for manifest in sealed if manifest.runs is not None]
    for manifest in counted:
        for run in manifest.runs or ():
            accounts[run.run].append((manifest.day, run))
            wrong = {
                name: count for name, count in run.faults().items() if count and name not in ("missing", "belated")
            }
            if wrong:
                yield f"{manifest.day} says {wrong} of run {run.run}, and nobody forged anything"
    for name, parts in accounts.items():
        named = {number: day for day, run in parts for first, last in run.holes for number in range(first, last + 1)}
        begun = parts[0][1].first if parts[0][0] == counted[0].day else 1
        last = max(run.last for _, run in parts)
        never = {number for number in range(begun, last + 1) if number not in came[name]}
        if all(len(run.holes) < _NAMED for _, run in parts) and never - named.keys():
            yield f"batches {sorted(never - named.keys())} of run {name} never came, and no day says so"
        for number, day in named.items():
            if came[name].get(number, days.closes(day)) < days.closes(day):
                yield f"{day} says that batch {number} of run {name} is missing, and it came before that day was sealed"


def _row(row: Measurement) -> tuple[str | None, str | None, str, datetime, str]:
    """Return a measurement as the first columns of a row of the archive."""
    link, endpoint = (None, row.target.id) if row.target.endpoint else (row.target.id, None)
    return link, endpoint, row.vantage, datetime.fromtimestamp(row.slot_start, UTC), row.outcome.name

"""Judge a simulation by what really happened: the truth about the targets, and every message that the stream stored.

It shares the oracle of docs/method.md with other tests. Only the comparison bit for bit uses the code that it judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from services.core.bus import columns_of
from services.core.model import Measurement, Outcome
from services.indicator.admission import admit
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index import compute_indicators
from services.scorer.index import Scoring
from services.scorer.offline import score_batches
from tests.simulation.archive import Archive
from tests.simulation.archive_judge import archive_faults
from tests.simulation.component import Component, World
from tests.simulation.prober import Prober
from tests.simulation.scorer import Scorer
from tests.simulation.shape import DAY, SETTLING_DAYS
from tests.support.cases.api.indicator_answers import measured
from tests.support.oracles import index as oracle

Key = tuple[bool, str, int]
"""Whether it is an endpoint, its id, and a slot."""

Stored = tuple[list[oracle.Measurement], list[oracle.Measurement]]
"""Measurements that were stored at once, and those that were delayed."""

_FIELDS = ("point", "lower", "upper", "known_share", "losses", "strict", "required", "known", "absent")


class Judge:
    """Finds faults, each as a sentence."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._register: dict[str, Any] = world.shape.register
        self._seconds: int = self._register["slot_seconds"]
        self._grace = world.shape.grace_hours * 3600 + self._seconds / 2 + 2.0

    def moment(self, scorer: Scorer) -> Iterator[str]:
        """Yield what is wrong with the scorer at any moment: a verdict that is known and not true."""
        if scorer.scoring is not None:
            yield from self._untrue(_verdicts(scorer, scorer.scoring))

    def end(self, probers: Sequence[Prober], scorer: Scorer, archive: Archive | None) -> Iterator[str]:
        """Yield what is wrong at the end, when every message must have arrived."""
        record = self._world.record
        everybody: list[Component] = [*probers, scorer, *([archive] if archive else [])]
        for one in everybody:
            if one.failure is not None:
                yield f"{one.name} ended with {type(one.failure).__name__}: {one.failure}"
        for prober in probers:
            if prober.spool is not None and prober.spool.pending:
                yield f"{prober.name} still has {len(prober.spool.pending)} batches to send"
        lost = record.spooled - record.stored_ids - record.dropped
        if lost:
            yield f"{len(lost)} messages that were on a prober's disk never reached the stream, such as {min(lost)}"
        yield from self._scorer(scorer)
        if archive is not None:
            yield from archive_faults(self._world)

    def _scorer(self, scorer: Scorer) -> Iterator[str]:
        scoring, stream = scorer.scoring, self._world.bus.streams["MEASUREMENTS"]
        if scoring is None:
            yield "the scorer does not run"
            return
        position = scoring.manifest.position
        if (position.created, position.sequence) != (stream.created, stream.last):
            yield f"the scorer is at message {position.sequence} of {position.created}, the stream at {stream.last} of {stream.created}"
        found = _verdicts(scorer, scoring)
        yield from self._untrue(found)
        least, most, unsure = self._expected()
        for key, stage in least.items():
            if key not in unsure and found.get(key) != stage:
                yield (
                    f"slot {key[2]} of {key[1]} is {found.get(key)}, and was measured as {stage}: "
                    "an acknowledged measurement is lost"
                )
        for key in found.keys() - most.keys() - unsure:
            yield f"slot {key[2]} of {key[1]} is {found[key]}, and nobody measured it in time"
        now = self._world.loop.time()
        last = None if scorer.published is None else scorer.published.snapshot.as_of
        if last is None or last < now - SETTLING_DAYS * DAY - 4 * self._seconds:
            yield f"the last index is as of {last}, and it is {now:.0f}"
        yield from self._index(scoring, found, whole=not unsure and not self._world.record.excused["scorer"])

    def _untrue(self, found: dict[Key, int]) -> Iterator[str]:
        for key, stage in found.items():
            true = self._world.truth.stage(*key)
            if stage != true:
                yield f"slot {key[2]} of {key[1]} is {stage}, and was {true}"

    def _expected(self) -> tuple[dict[Key, int], dict[Key, int], set[Key]]:
        """Return the verdicts of links that must be known, those that may be, and the keys that are not sure in either.

        Where a clock stepped back, whether a message came in time depends on the messages before it.
        """
        certain: Stored = ([], [])
        possible: Stored = ([], [])
        unsure: set[Key] = set()
        latest, excused = 0.0, self._world.record.excused["scorer"]
        for entry in self._world.record.entries:
            latest = max(latest, entry.message.time)
            for row in entry.rows:
                if row.target.endpoint:
                    continue
                slot = row.slot_start // self._seconds
                ways = {
                    (self._admits(row, moment), self._delayed(row, moment)) for moment in (entry.message.time, latest)
                }
                if len(ways) > 1:
                    unsure.add((False, row.target.id, slot))
                    continue
                ((in_time, delayed),) = ways
                if in_time:
                    stage = None if row.outcome is Outcome.UNKNOWN else int(row.outcome) - 2
                    measurement = (False, row.target.id, row.vantage, slot, None, stage)
                    possible[delayed].append(measurement)
                    if entry not in excused:
                        certain[delayed].append(measurement)
        most = oracle.verdicts(self._register, *possible)
        return oracle.verdicts(self._register, *certain) if excused else most, most, unsure

    def _delayed(self, row: Measurement, stored: float) -> bool:
        """Return whether a measurement stored then gives way to one that was not delayed (docs/method.md §2)."""
        return stored > row.slot_start + 1.5 * self._seconds + 2.0

    def _admits(self, row: Measurement, stored: float) -> bool:
        """Return whether a measurement stored then counts (docs/method.md §2)."""
        start = row.slot_start
        in_time = start - self._seconds <= stored <= start + self._seconds + self._grace
        in_slot = row.time is None or start - 1.0 <= row.time <= start + 1.5 * self._seconds
        return in_time and in_slot and start >= self._world.shape.start

    def _index(self, scoring: Scoring, found: dict[Key, int], *, whole: bool) -> Iterator[str]:
        """Yield where the index differs from the oracle's.

        If the ``whole`` stream counts, the index must also equal, bit for bit, that of all messages counted at once.
        """
        end = scoring.settled(self._world.loop.time())
        snapshot = compute_indicators(FrozenEvidence.of(scoring.arrays, scoring.evidence, end))
        got = measured(snapshot)
        truth = oracle.index(self._register, found, days=self._world.shape.window, end_slot=end)
        for key in sorted(got.keys() | truth.keys()):
            if key[0] == "endpoint":
                continue
            for name in _FIELDS:
                mine, exact = got.get(key, {}).get(name), getattr(truth.get(key), name, None)
                if not _equal(mine, exact):
                    yield f"{name} of {' '.join(key)} is {mine}, and the oracle has {exact}"
        if whole:
            register = self._world.register
            latest, batches = 0.0, []
            for entry in self._world.record.entries:
                latest = max(latest, entry.message.time)
                batches.append(admit(columns_of(entry.message), stored=latest, policy=register.policy).columns)
            again = score_batches(register, batches, at=end * self._seconds)
            if measured(again) != got:
                yield "the index is not bit for bit that of the same messages counted at once"


def _verdicts(scorer: Scorer, scoring: Scoring) -> dict[Key, int]:
    """Return every known verdict of links by target and slot."""
    arrays = scorer.compiled.arrays
    first, last = scoring.calendar.epoch_slot, scoring.evidence.last_slot
    if last is None:
        return {}
    verdicts = scoring.evidence.verdicts(arrays, range(first, last + 1))
    slots, links = (verdicts >= 0).nonzero()
    return {
        (False, arrays.links[link], first + slot): int(verdicts[slot, link])
        for slot, link in zip(slots.tolist(), links.tolist(), strict=True)
    }


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    if isinstance(one, tuple):
        return all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return abs(Fraction(one) - Fraction(other)) <= Fraction(1, 10**12)

"""Holds the scorer's state, and decides what to count, publish, close and save. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from services.core.bus import DETAIL_SECONDS, SLOTS_PER_BLOCK
from services.core.model import MeasurementColumns, StreamPosition, VantageHealth
from services.indicator.admission import admit, closable
from services.indicator.calendar import RECORD_DAYS, Calendar
from services.indicator.cells import RecentMeasurements
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index import BurnCounter, compute_indicators
from services.indicator.intervals import HistorySums
from services.indicator.structure import structure_by_window
from services.indicator.verdicts import VantageCounter
from services.scorer.index.members import EvidenceGroup, having
from services.scorer.index.results import CompiledRegister, CountedEvidence, IndexResult, PendingUpdate, TakenBatch
from services.scorer.state import LoadedState, StateManifest, StateUpdate


class Scoring:
    """The evidence under the register in force, and the progress of reading, counting, publishing and saving."""

    def __init__(self, compiled: CompiledRegister, loaded: LoadedState, position: StreamPosition) -> None:
        self.calendar = Calendar.of(compiled.register.policy)
        self.evidence: Evidence = loaded.evidence
        self.recent = RecentMeasurements(self.evidence.columns)
        self.burns = BurnCounter(self.calendar.slot_seconds)
        self.vantages = VantageCounter(self.calendar.slot_seconds)
        self.newest_slots: dict[str, float] = {}
        """By vantage: the start of the newest slot ingested since startup, in epoch seconds."""
        self._rejudged: set[int] = set()
        self._due_to: int | None = None  # the end of the last pending update
        self._touched: list[NDArray[np.int64]] | None = None  # columns of late rows since then; None for all columns
        self._uncounted: list[NDArray[np.int64]] = []  # columns of late rows since the last count
        before = loaded.manifest or StateManifest(position)
        # When messages are read again, their own times decide again which of their rows are late.
        time = 0.0 if position.sequence < before.position.sequence else before.time
        self.manifest = replace(before, position=position, time=time, begun=loaded.begun)
        self._detailed = set(loaded.slots)
        self._saved: StateManifest | None = None  # not the loaded one: it may be that of restored evidence too
        self._dropped_at = 0
        self._history = HistorySums()
        self._unpublished: set[int] = set()
        self._owed: set[int] = set()  # slots whose detail on the bus may be missing, or judged by another register
        self._publishing: set[int] = set()
        self._settling = False  # an owed chunk is being published, and nothing became owed since
        self.adopt(compiled)

    def adopt(self, compiled: CompiledRegister) -> None:
        """Judge by this register from now on. It must have the same calendar."""
        self.compiled = compiled
        self.evidence.columns.of(compiled.arrays.targets)
        self.register, self.arrays, self.probing_spans = compiled.register, compiled.arrays, compiled.probing_spans
        self.manifest = replace(self.manifest, register_version=self.register.register_version)
        # A restart also publishes the detail of every kept slot once, because a crash may have prevented that.
        self.owe()
        self._touched = None
        self.stale = True

    def owe(self) -> None:
        """Have the detail of every kept slot published again."""
        self._owed |= self._detailed
        self._settling = False

    def take(self, columns: MeasurementColumns, *, stored: float, sequence: int) -> TakenBatch:
        """Ingest the batch that the stream stored as ``sequence`` at ``stored`` (epoch seconds)."""
        # A stream's clock may step back. Decisions made by its latest time hold.
        moment = max(stored, self.manifest.time)
        self.skip(sequence, moment)
        policy = self.register.policy
        admitted = admit(columns, stored=moment, policy=policy)
        # Only targets of the present or an earlier register have columns, so no prober can make the tables grow.
        counted = self.evidence.columns.known(admitted.columns)
        taken = self.evidence.take(counted)
        self.recent.take(counted)
        if taken.accepted:
            newest = float(counted.slot_start.max())
            self.newest_slots[columns.vantage] = max(newest, self.newest_slots.get(columns.vantage, newest))
        self._detailed.update(taken.changed)
        self._unpublished.update(taken.changed)
        self._rejudged.update(taken.changed)
        late = [columns for slot, columns in taken.changed.items() if self._due_to is not None and slot < self._due_to]
        if late:
            self.stale = True
            self._uncounted += late
            if self._touched is not None:
                self._touched += late
        settled = self.calendar.slot_of(moment - policy.prompt_seconds)
        return TakenBatch(
            accepted=taken.accepted,
            late=taken.late + admitted.late,
            refused={
                "slot": taken.misplaced + admitted.early,
                "time": admitted.misplaced,
                "target": len(admitted.columns) - len(counted),
            },
            resettled=sum(len(columns) for slot, columns in taken.changed.items() if slot < settled),
        )

    def recall(self, columns: MeasurementColumns, *, stored: float | None = None) -> None:
        """Remember what was measured last, without counting it (ADR 26).

        ``stored`` is None for rows already admitted.
        """
        if stored is not None:
            columns = admit(columns, stored=stored, policy=self.register.policy).columns
        self.recent.take(self.evidence.columns.known(columns))

    def awaits(self, columns: MeasurementColumns) -> bool:
        """Return whether a batch names targets of another register than the one in force, perhaps of its successor."""
        return columns.register != self.register.versions and bool(
            (self.evidence.columns.find(columns.targets) < 0).any()
        )

    def skip(self, sequence: int, stored: float) -> None:
        """Move the position in the stream to ``sequence``, which was stored at ``stored`` (epoch seconds)."""
        position = replace(self.manifest.position, sequence=sequence)
        self.manifest = replace(self.manifest, position=position, time=max(stored, self.manifest.time))

    def settled(self, now: float) -> int:
        """Return S, the first slot that is not settled at ``now`` (docs/design.md §6).

        When the clock steps back, what is published or closed stays.
        """
        end_slot = self.calendar.slot_of(now - self.register.settle_seconds)
        return max(end_slot, self.evidence.closed_before, self.manifest.end_slot or end_slot)

    def prepare(self, end_slot: int) -> Iterator[date]:
        """Count the evidence for an index up to ``end_slot`` exclusive, in pieces; yield the day being counted.

        More rows may be ingested between the pieces.
        """
        yield from self.evidence.prepare(self.arrays, end_slot)
        for _ in self._update_spans(end_slot):
            yield self.calendar.day_of(end_slot)

    def due(self, end_slot: int) -> PendingUpdate:
        """Return what is due up to ``end_slot`` exclusive and was not due before."""
        since = self.manifest.end_slot if self._due_to is None else self._due_to
        slots = set(range(end_slot - 1 if since is None else since, end_slot)) | self._unpublished
        oldest = self._detail_from(end_slot)
        slots = {slot for slot in slots if oldest <= slot < end_slot}
        chunks = sorted({slot // SLOTS_PER_BLOCK for slot in slots})
        for _ in self._update_spans(end_slot):
            pass
        groups: Mapping[int, EvidenceGroup] = self.compiled.groups
        if self._touched is not None and end_slot == self._due_to:
            groups = having(groups, self._targets(self._touched))
        else:
            slots |= {slot for slot in self._owed if slot // SLOTS_PER_BLOCK in chunks}
            self._owed -= slots
        self.stale, self._touched, self._due_to = False, [], end_slot
        self._unpublished = {slot for slot in self._unpublished if slot >= end_slot}
        self._publishing |= slots
        return self._pending(end_slot, chunks, groups)

    def owed(self) -> PendingUpdate | None:
        """Return the newest chunk of slots whose detail a restart or another register made due; None without any.

        The index does not wait for these: they are half of what a scorer of many links puts after a restart.
        """
        if self._due_to is None:
            return None
        oldest = self._detail_from(self._due_to)
        self._owed = {slot for slot in self._owed if oldest <= slot < self._due_to}
        if not self._owed:
            return None
        self._settling = True
        return self._pending(self._due_to, [max(self._owed) // SLOTS_PER_BLOCK], self.compiled.groups)

    def settle(self, update: PendingUpdate) -> None:
        """Record that an owed chunk was published. It stays owed if all slots became owed meanwhile."""
        if self._settling:
            self._owed.difference_update(*update.chunks)

    def _pending(self, end_slot: int, chunks: Sequence[int], groups: Mapping[int, EvidenceGroup]) -> PendingUpdate:
        return PendingUpdate(
            compiled=self.compiled,
            end_slot=end_slot,
            sequence=self.manifest.position.sequence,
            chunks=tuple(
                range(chunk * SLOTS_PER_BLOCK, min((chunk + 1) * SLOTS_PER_BLOCK, end_slot)) for chunk in chunks
            ),
            groups=groups,
        )

    def _targets(self, touched: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
        """Return which of the register's targets have one of these columns."""
        columns = self.evidence.columns.of(self.arrays.targets)
        return np.isin(columns, np.concatenate([np.zeros(0, np.int64), *touched]))

    def count(self, end_slot: int) -> CountedEvidence:
        """Count everything ingested so far, for an index up to ``end_slot`` exclusive."""
        uncounted, self._uncounted = self._uncounted, []
        urgent = having(self.compiled.members, self._targets(uncounted))
        return CountedEvidence(self.due(end_slot), urgent, FrozenEvidence.of(self.arrays, self.evidence, end_slot))

    def compute(self, count: CountedEvidence) -> IndexResult:
        """Compute the index of what was counted. Rows may be ingested meanwhile, but no other index may be computed."""
        due, compiled = count.due, count.due.compiled
        snapshot = compute_indicators(count.counted, evidence_sequence=due.sequence, history=self._history)
        return IndexResult(
            snapshot=snapshot,
            compiled=compiled,
            urgent=count.urgent,
            structures=structure_by_window(compiled.arrays, compiled.network, snapshot),
        )

    def _update_spans(self, end_slot: int) -> Iterator[None]:
        """Update the counts of burn rates and of the vantages' health."""
        changed = {slot for slot in self._rejudged if slot < end_slot}
        self._rejudged -= changed
        arrays, evidence = self.arrays, self.evidence
        yield from self.burns.pieces(arrays, end_slot, changed, lambda slots: evidence.verdict_pieces(arrays, slots))
        slots = range(max(self._detail_from(end_slot), self.calendar.epoch_slot), end_slot)
        vantages = [vantage.id for vantage in self.register.policy.vantages]
        yield from self.vantages.pieces(
            arrays, slots, changed, lambda slot: evidence.vantage_counts(arrays, slot, vantages)
        )

    def vantage_health(self) -> tuple[VantageHealth, ...]:
        """Return what each vantage delivered over the slots of ``vantages``, as counted for the last index."""
        return self.vantages.health([vantage.id for vantage in self.register.policy.vantages], self.newest_slots)

    def expiring(self, before: float) -> Iterator[tuple[str, int]]:
        """Yield the links with a certificate that expires before a moment, each with the expiry in epoch seconds."""
        links = self.arrays.links
        expiries = self.recent.expiries(self.recent.columns.of(self.arrays.targets)[: len(links)])
        for row in np.flatnonzero((expiries > 0) & (expiries < before)).tolist():
            yield links[row], int(expiries[row])

    def publishing_failed(self) -> None:
        """Make everything due again that could not be published."""
        self._unpublished |= self._publishing
        self._publishing = set()
        self._touched = None
        self.stale = True

    def published(self, end_slot: int) -> None:
        """Record that the index up to ``end_slot`` exclusive was published, and with it everything that was due."""
        self._publishing = set()
        self.manifest = replace(self.manifest, end_slot=end_slot)

    def follow(self, as_of: int) -> None:
        """Record that another scorer published an index as of ``as_of`` (epoch seconds).

        That index may rest on fewer messages. So the detail of its slots is owed, but no index here waits for it.
        """
        end_slot = self.calendar.slot_of(as_of)
        if self.manifest.end_slot is None or end_slot > self.manifest.end_slot:
            self.manifest, oldest = replace(self.manifest, end_slot=end_slot), self._detail_from(end_slot)
            self._owed = {slot for slot in self._owed | self._unpublished if oldest <= slot < end_slot}
            self._unpublished = {slot for slot in self._unpublished if slot >= end_slot}

    def history_sent(self, *, hour: int | None = None, day: int | None = None) -> None:
        """Record the hour or the day whose indicators have been sent to INDICATORS."""
        before = self.manifest
        hour, day = before.hour if hour is None else hour, before.day if day is None else day
        self.manifest = replace(before, hour=hour, day=day)

    def close(self) -> Iterator[object]:
        """Close, in pieces, the published days that can no longer admit any rows."""
        if self.manifest.end_slot is not None:
            before = closable(stored=self.manifest.time, policy=self.register.policy)
            yield from self.evidence.closing(min(before, self.manifest.end_slot))

    def save(self) -> StateUpdate | None:
        """Return what is to be saved now; None when its manifest is that of the last save."""
        if self.manifest == self._saved:
            return None
        self._saved = self.manifest
        self._drop()  # first, so that nothing is written that is no longer kept
        changes = self.evidence.drain()
        return StateUpdate(changes, self.manifest, frozenset(self._detailed), self.evidence.closed_days)

    def _drop(self) -> None:
        """Drop slots and days that are too old, once an hour."""
        end_slot = self.manifest.end_slot
        if end_slot is None or end_slot - self._dropped_at < 3600 // self.calendar.slot_seconds:
            return
        self._dropped_at = end_slot
        kept_days = max(RECORD_DAYS, *self.register.policy.windows_days) + 1
        slots = self.evidence.drop(
            detail_before=self._detail_from(end_slot),
            days_before=self.calendar.day_of(end_slot) - timedelta(days=kept_days),
        )
        self._detailed.difference_update(slots)

    def _detail_from(self, end_slot: int) -> int:
        return end_slot - DETAIL_SECONDS // self.calendar.slot_seconds

"""The index from measurements in files, by the code that scores live: equal to the last bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf

import numpy as np
from numpy.typing import NDArray

from services.core.codec import ExchangeVolume
from services.core.model import ExchangeSummary, MeasurementColumns, Register, Structure
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.index import Snapshot, compute_indicators
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity import FACTORS, Ranking, analyse_ranks, recount_dump
from services.indicator.structure import AgencyNetwork, structure_by_window
from services.scorer.exchanges import ExchangeDatabase
from services.scorer.index import admit
from services.scorer.offline.jsonl import MeasurementLines

__all__ = ["AdmittedEvidence", "admitted", "last_end", "network", "rankings", "score_batches", "volumes"]


@dataclass(frozen=True, slots=True)
class AdmittedEvidence:
    """What counts of the measurements in files: ``batches``, complete up to message ``sequence`` of the stream (0 when the
    files do not say), and how many rows were left out as ``late`` or ``early``, a slot in the future.
    """

    batches: tuple[MeasurementColumns, ...]
    sequence: int
    late: int
    early: int


def admitted(register: Register, lines: Sequence[MeasurementLines], *, up_to: int | None = None) -> AdmittedEvidence:
    """Leave out what the scorer left out, and what came after message ``up_to`` of the stream.

    Admission is decided by when the stream stored a message, or one before it (a stream's clock may step back). Rows that
    say nothing of a stream all count.
    """
    sequences = np.concatenate([np.zeros(0, np.int64), *(part.sequence for part in lines)])
    stored = np.concatenate([np.zeros(0), *(np.where(part.sequence > 0, part.stored, -inf) for part in lines)])
    order = np.argsort(sequences, kind="stable")
    moments = np.maximum.accumulate(stored[order])
    policy, found = register.policy, []
    for part in lines:
        dumped = np.flatnonzero((part.sequence > 0) & (part.sequence <= (inf if up_to is None else up_to)))
        # The latest moment of its own message, which is the same for all rows of it.
        at = np.searchsorted(sequences[order], part.sequence[dumped], side="right") - 1
        found.append(
            admit(
                part.columns.rows(dumped),
                stored=moments[at],
                slot_seconds=policy.slot_seconds,
                grace=policy.grace_seconds,
            )
        )
    others = [part.columns.rows(np.flatnonzero(part.sequence == 0)) for part in lines]
    return AdmittedEvidence(
        batches=tuple(batch for batch in (*(one.columns for one in found), *others) if len(batch)),
        sequence=int(sequences.max(initial=0)) if up_to is None else up_to,
        late=sum(one.late for one in found),
        early=sum(one.early for one in found),
    )


def last_end(batches: Iterable[MeasurementColumns], slot_seconds: int) -> int | None:
    """Return the end of the newest slot measured, in epoch seconds; None without measurements."""
    ends = [int(batch.slot_start.max()) + slot_seconds for batch in batches if len(batch)]
    return max(ends, default=None)


def score_batches(
    register: Register,
    batches: Iterable[MeasurementColumns],
    *,
    at: float,
    windows: Sequence[int] | None = None,
    evidence_sequence: int = 0,
) -> Snapshot:
    """Score whole slots that end by ``at`` (epoch seconds), without settling; nothing is ever too late here.

    ``evidence_sequence`` is the message of the stream up to which ``batches`` are complete.
    """
    calendar = Calendar.of(register.policy)
    evidence = Evidence(calendar)
    for batch in batches:
        evidence.take(batch)
    return compute_indicators(
        RegisterArrays.of(register),
        evidence,
        end_slot=calendar.slot_of(at),
        windows=windows,
        evidence_sequence=evidence_sequence,
    )


def network(register: Register, snapshot: Snapshot) -> tuple[Structure, ...]:
    """Return how the agencies hang together over each window of a snapshot of this register."""
    arrays = RegisterArrays.of(register)
    return structure_by_window(arrays, AgencyNetwork.of(register, arrays), snapshot)


def volumes(
    register: Register, summaries: Iterable[ExchangeSummary], *, at: float, window_days: int
) -> tuple[ExchangeVolume, ...]:
    """Return what each pair of agencies exchanged in the window; of each summary the highest revision counts."""
    calendar = Calendar.of(register.policy)
    exchanges = ExchangeDatabase(":memory:")
    try:
        exchanges.take([(row.slot_start, "", [row]) for row in summaries], calendar=calendar)
        end_slot = calendar.slot_of(at)
        since = calendar.day_of(end_slot) - timedelta(days=window_days)
        return exchanges.volumes(since, end_slot=end_slot, calendar=calendar)
    finally:
        exchanges.close()


def rankings(
    register: Register,
    batches: Sequence[MeasurementColumns],
    summaries: Iterable[ExchangeSummary],
    *,
    at: float,
    window: int,
) -> tuple[Ranking, ...]:
    """Rank agencies as consumers and as providers of the window, in every case of the sensitivity analysis.

    ``batches`` must have latencies and ages. The other windows are those of the policy.
    """
    calendar = Calendar.of(register.policy)
    end_slot = calendar.slot_of(at)
    arrays = RegisterArrays.of(register)
    windows = sorted({*register.policy.windows_days, window})
    counted = recount_dump(register, arrays, batches, end_slot=end_slot, windows=windows, factors=FACTORS)
    carried = _link_volumes(arrays, summaries, calendar.window(window, end_slot), calendar)
    return analyse_ranks(arrays, counted, windows=windows, window=window, volumes=carried)


def _link_volumes(
    arrays: RegisterArrays, summaries: Iterable[ExchangeSummary], span: range, calendar: Calendar
) -> NDArray[np.int64]:
    """Exchanges per link over a span of slots. What is not of exactly one link is of none, and never split by guess.

    A client's calls of a service are all of the link that the highest revision of any of their summaries names.
    """
    latest: dict[tuple[str, str, int], ExchangeSummary] = {}
    newest: dict[tuple[str, str], ExchangeSummary] = {}
    for row in summaries:
        calls = row.client, row.service
        if calls not in newest or row.revision > newest[calls].revision:
            newest[calls] = row
        key = (row.client, row.service, row.slot_start)
        if calendar.slot_of(row.slot_start) in span and (key not in latest or row.revision > latest[key].revision):
            latest[key] = row
    at = {link: position for position, link in enumerate(arrays.links)}
    carried = np.zeros(len(at), np.int64)
    for (client, service, _), row in latest.items():
        named = newest[client, service]
        if named.link in at and not named.shared and not named.meta:
            carried[at[named.link]] += row.count
    return carried

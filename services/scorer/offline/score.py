"""Scores measurements in files with the code that scores live, and gives the same results to the last bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from math import inf

import numpy as np
from numpy.typing import NDArray

from services.core.codec import ExchangeVolume
from services.core.model import ExchangeSummary, MeasurementColumns, Register, Structure
from services.indicator.admission import admit
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index import Snapshot, compute_indicators
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity import Ranking, Recount, analyse_ranks
from services.register.attribution import Attributor
from services.scorer.offline.jsonl import MeasurementLines


@dataclass(frozen=True, slots=True)
class AdmittedEvidence:
    """The measurements in files that count, and the number of those left out.

    ``batches`` are complete up to message ``sequence`` of the stream, which is 0 if the files have no sequences. Rows
    were left out as ``late``, ``early`` (of a future slot) or ``misplaced`` (probed outside their slot).
    """

    batches: tuple[MeasurementColumns, ...]
    sequence: int
    late: int
    early: int
    misplaced: int


def admitted(register: Register, lines: Sequence[MeasurementLines], *, up_to: int | None = None) -> AdmittedEvidence:
    """Leave out what the scorer left out, and what came after message ``up_to`` of the stream.

    A row is admitted by the time when the stream stored its message, or an earlier message if that time is later, since
    a stream's clock may step back. Rows without a sequence all count.
    """
    sequences = np.concatenate([np.zeros(0, np.int64), *(part.sequence for part in lines)])
    stored = np.concatenate([np.zeros(0), *(np.where(part.sequence > 0, part.stored, -inf) for part in lines)])
    order = np.argsort(sequences, kind="stable")
    moments = np.maximum.accumulate(stored[order])
    admissions = []
    for part in lines:
        dumped = np.flatnonzero((part.sequence > 0) & (part.sequence <= (inf if up_to is None else up_to)))
        # The latest time of the message of each row, which is the same for all rows of that message.
        last = np.searchsorted(sequences[order], part.sequence[dumped], side="right") - 1
        admissions.append(admit(part.columns.rows(dumped), stored=moments[last], policy=register.policy))
    others = [part.columns.rows(np.flatnonzero(part.sequence == 0)) for part in lines]
    return AdmittedEvidence(
        batches=tuple(batch for batch in (*(admission.columns for admission in admissions), *others) if len(batch)),
        sequence=int(sequences.max(initial=0)) if up_to is None else up_to,
        late=sum(admission.late for admission in admissions),
        early=sum(admission.early for admission in admissions),
        misplaced=sum(admission.misplaced for admission in admissions),
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
    """Score whole slots that end by ``at`` (epoch seconds), without waiting for them to settle.

    No row is too late here.

    ``evidence_sequence`` is the message of the stream up to which ``batches`` are complete.
    """
    calendar = Calendar.of(register.policy)
    evidence = Evidence(calendar)
    for batch in batches:
        evidence.take(batch)
    return score_evidence(register, evidence, at=at, windows=windows, evidence_sequence=evidence_sequence)


def score_evidence(
    register: Register,
    evidence: Evidence,
    *,
    at: float,
    windows: Sequence[int] | None = None,
    evidence_sequence: int = 0,
) -> Snapshot:
    """Score evidence that is already ingested, as ``score_batches`` does."""
    counted = FrozenEvidence.of(RegisterArrays.of(register), evidence, evidence.calendar.slot_of(at), windows)
    return compute_indicators(counted, evidence_sequence=evidence_sequence)


def network(register: Register, snapshot: Snapshot) -> tuple[Structure, ...]:
    """Return the structure over each window of a snapshot of this register."""
    from services.indicator.structure import AgencyNetwork, structure_by_window  # noqa: PLC0415  # its libraries are slow to import

    arrays = RegisterArrays.of(register)
    return structure_by_window(arrays, AgencyNetwork.of(register, arrays), snapshot)


def volumes(
    register: Register, summaries: Iterable[ExchangeSummary], *, at: float, window_days: int
) -> tuple[ExchangeVolume, ...]:
    """Return what each pair of agencies exchanged in the window. The highest revision of each summary counts."""
    rows = [(row.slot_start, "", [row]) for row in summaries]
    if not rows:
        return ()
    from services.scorer.exchanges import ExchangeDatabase  # noqa: PLC0415  # its libraries are slow to import

    calendar = Calendar.of(register.policy)
    with closing(ExchangeDatabase(":memory:")) as exchanges:
        exchanges.attribute_by(Attributor(register))
        exchanges.take(rows, calendar=calendar)
        end_slot = calendar.slot_of(at)
        since = calendar.day_of(end_slot) - timedelta(days=window_days)
        return exchanges.volumes(since, end_slot=end_slot, calendar=calendar)


def rankings(
    register: Register,
    recount: Recount,
    summaries: Iterable[ExchangeSummary],
    *,
    at: float,
    window: int,
) -> tuple[Ranking, ...]:
    """Rank agencies as consumers and as providers of the window, in every case of the sensitivity analysis.

    ``recount`` is the result of ``recount_of``, with all days added.
    """
    calendar, arrays = Calendar.of(register.policy), RegisterArrays.of(register)
    span = calendar.window(window, calendar.slot_of(at))
    carried = _link_volumes(arrays, Attributor(register), summaries, span, calendar)
    windows = _windows(register, window)
    return analyse_ranks(arrays, recount.counts(), windows=windows, window=window, volumes=carried)


def recount_of(register: Register, *, at: float, window: int) -> Recount:
    """Return a count, still without days, of a window and of the policy's windows, all up to ``at`` (epoch seconds)."""
    calendar = Calendar.of(register.policy)
    return Recount(
        RegisterArrays.of(register), calendar, end_slot=calendar.slot_of(at), windows=_windows(register, window)
    )


def _windows(register: Register, window: int) -> list[int]:
    return sorted({*register.policy.windows_days, window})


def _link_volumes(
    arrays: RegisterArrays,
    attributor: Attributor,
    summaries: Iterable[ExchangeSummary],
    span: range,
    calendar: Calendar,
) -> NDArray[np.int64]:
    """Return exchanges per link over a span of slots. Exchanges that several links share count for none of them."""
    latest: dict[tuple[str, str, int], ExchangeSummary] = {}
    for row in summaries:
        key = (row.client, row.service, row.slot_start)
        if calendar.slot_of(row.slot_start) in span and (key not in latest or row.revision > latest[key].revision):
            latest[key] = row
    positions = {link: position for position, link in enumerate(arrays.links)}
    carried = np.zeros(len(positions), np.int64)
    for row in map(attributor.attribute_summary, latest.values()):
        if row.link in positions and not row.meta:
            carried[positions[row.link]] += row.count
    return carried

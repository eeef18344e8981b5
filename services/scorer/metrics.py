"""The scorer's /metrics (docs/probing.md §7).

A gauge has no sample until its value is known, and disappears with its entity.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.core import metrics
from services.core.metrics import GaugeFamily, Labels, LateGauge
from services.core.model import (
    LOSS_STAGES,
    Indicator,
    IndicatorKind,
    Outcome,
    Reason,
    Register,
    Structure,
)
from services.indicator.calendar import Calendar
from services.indicator.cells import SlotDetail
from services.indicator.index import BurnCounter, burning_links
from services.indicator.register_arrays import RegisterArrays
from services.indicator.verdicts import counting_vantages, verdict_reasons
from services.scorer.bus_metrics import BusMetrics
from services.scorer.exchange_metrics import ExchangeMetrics
from services.scorer.index import FAULTS, CompiledRegister, IndexResult, TakenBatch
from services.scorer.series import BURN_SERIES, LINK_SERIES, AgencySeries
from services.scorer.work_record import WorkRecord

REASON_SERIES = 1_000
"""The maximum number of links not OK that have series. Failed links come before unknown ones."""


class ScorerMetrics:
    """All metrics of the scorer. ``bus`` and ``exchanges`` hold some of them; ``record`` holds what the index reports.

    ``began`` is when the scorer started, in epoch seconds.
    """

    def __init__(self, registry: CollectorRegistry, began: float = 0.0) -> None:
        self.record = WorkRecord(began)
        self.bus = BusMetrics(registry, self.record)
        self._left_out = metrics.gauge("peyvand_scorer_series_left_out", registry)
        self.exchanges = ExchangeMetrics(registry, self._left_out)
        self._index = GaugeFamily("peyvand_index", registry)
        self._lower = GaugeFamily("peyvand_index_lower", registry)
        self._upper = GaugeFamily("peyvand_index_upper", registry)
        self._interval = GaugeFamily("peyvand_index_interval", registry)
        self._known_share = GaugeFamily("peyvand_index_known_share", registry)
        self._loss = GaugeFamily("peyvand_index_loss", registry)
        self._link_stage = GaugeFamily("peyvand_link_stage", registry)
        self._reason = GaugeFamily("peyvand_link_reason", registry)
        self._burn = GaugeFamily("peyvand_link_burn", registry)
        self._burning: set[str] = set()
        self._data_bus = GaugeFamily("peyvand_data_bus_stage", registry)
        self._links = GaugeFamily("peyvand_links", registry)
        self._links_now = GaugeFamily("peyvand_links_now", registry)
        self._structure = GaugeFamily("peyvand_structure", registry)
        self._islands = GaugeFamily("peyvand_islands", registry)
        self._isolates = GaugeFamily("peyvand_isolates", registry)
        self._newest = GaugeFamily("peyvand_vantage_newest_timestamp_seconds", registry)
        self._slot = LateGauge("peyvand_slot_seconds", registry)
        self._as_of = LateGauge("peyvand_index_as_of_timestamp_seconds", registry)
        self._age = LateGauge("peyvand_measurement_age_seconds", registry)
        self._behind = LateGauge("peyvand_scorer_behind_messages", registry)
        self._taken = metrics.counter("peyvand_measurements_total", registry)
        self._late = metrics.counter("peyvand_measurements_late_total", registry)
        self._refused = metrics.counter("peyvand_measurements_refused_total", registry)
        for fault in FAULTS:
            self._refused.labels(fault)
        self._resettled = metrics.counter("peyvand_settled_slots_changed_total", registry)
        self._rejected = metrics.counter("peyvand_measurements_rejected_total", registry)
        self._summaries_rejected = metrics.counter("peyvand_summaries_rejected_total", registry)
        self.refresh_seconds = metrics.histogram("peyvand_scorer_refresh_seconds", registry)

    def taken(self, vantage: str, batch: TakenBatch) -> None:
        """Count one batch of a vantage."""
        self.record.taken(batch)
        self._taken.inc(batch.accepted)
        self._late.inc(batch.late)
        for fault, rows in batch.refused.items():
            self._refused.labels(fault).inc(rows)
        if batch.resettled:
            self._resettled.labels(vantage).inc(batch.resettled)

    def rejected(self) -> None:
        """Count one unreadable batch."""
        self._rejected.inc()
        self.record.rejected += 1

    def summaries_rejected(self) -> None:
        """Count one batch of exchange summaries that is unreadable or out of range."""
        self._summaries_rejected.inc()

    def behind(self, messages: int) -> None:
        """Set how many messages have not been read yet."""
        self._behind.set(messages)
        self.record.behind = messages

    def age(self, seconds: float) -> None:
        """Set the age of the newest slot measured."""
        self._age.set(seconds)

    def vantages(self, newest: Mapping[str, float]) -> None:
        """Set the newest slot of each vantage, in epoch seconds."""
        self._newest.show({(vantage,): moment for vantage, moment in newest.items()})
        for vantage in newest:
            self._resettled.labels(vantage)

    def index(self, result: IndexResult) -> None:
        """Show an index: government, sectors and agencies, and the structure."""
        snapshot, default = result.snapshot, result.compiled.register.policy.default_window
        agencies = AgencySeries.of(result.compiled.arrays)
        self._leave_out(agencies.left_out)
        rows = [row for window in snapshot.windows for kind in _ABOVE for row in snapshot.rows(kind, window)]
        for window in snapshot.windows:
            shown = agencies.figures if window == default else agencies.windows
            rows += (row for kind in _SIDES for row in snapshot.rows(kind, window, shown))
        others = agencies.points[len(agencies.figures) :]
        points = chain(rows, *(snapshot.rows(kind, default, others) for kind in _SIDES))
        self._index.show({_labels(row): row.point for row in points if row.point is not None})
        self._lower.show({_labels(row): row.lower for row in rows})
        self._upper.show({_labels(row): row.upper for row in rows})
        self._interval.show({(*_labels(row), bound): end for row in rows for bound, end in _interval(row)})
        self._known_share.show({_labels(row): row.known_share for row in rows})
        # Losses add up to 1 - point, so they are published only with it.
        with_point = (row for row in rows if row.point is not None)
        self._loss.show({(*_labels(row), stage): loss for row in with_point for stage, loss in _losses(row)})
        self._slot.set(result.compiled.register.policy.slot_seconds)
        self._as_of.set(snapshot.as_of)
        structures = result.structures
        self._structure.show({labels: value for structure in structures for labels, value in _measures(structure)})
        self._islands.show({(str(structure.window_days),): len(structure.islands) for structure in structures})
        self._isolates.show({(str(structure.window_days),): len(structure.isolates) for structure in structures})

    def links(self, compiled: CompiledRegister, last_slot: SlotDetail) -> None:
        """Show the links of the register and, for the last settled slot, their verdicts.

        The slot gives the number of links per verdict, the verdict of each link and of the data bus, and the reason of
        each link that is not OK.
        """
        register, arrays, network = compiled.register, compiled.arrays, compiled.network
        absent = sum(link.absent for link in register.links.values())
        self._links.show({("live",): len(register.links) - absent, ("absent",): absent})
        consumers = AgencySeries.of(arrays).figures
        self._links_now.show(dict(_by_verdict(register, arrays, last_slot, consumers)))
        verdicts = last_slot.verdict[0].tolist()
        stages: dict[Labels, float] = {}
        shown = arrays.links if len(arrays.links) <= LINK_SERIES else sorted(self._burning & register.links.keys())
        for name in shown:
            row = bisect_left(arrays.links, name)
            if verdicts[row] >= Outcome.NOT_CONNECTED:
                link = register.links[name]
                labels = (name, register.consumer(link), link.provider, "true" if network.bus[row] else "false")
                stages[labels] = verdicts[row] - Outcome.NOT_CONNECTED
        self._link_stage.show(stages)
        self._leave_out({"link_stage": len(arrays.links) - len(shown)})
        rows = _not_ok(register, arrays, last_slot)
        self._reason.show(dict(_reasons(register, arrays, last_slot, rows[:REASON_SERIES])))
        self._leave_out({"link_reason": max(0, len(rows) - REASON_SERIES)})
        of_bus = [] if arrays.bus is None else [verdicts[len(arrays.links) + arrays.bus]]
        self._data_bus.show(
            {
                (str(register.policy.bus),): verdict - Outcome.NOT_CONNECTED
                for verdict in of_bus
                if verdict >= Outcome.NOT_CONNECTED
            }
        )

    def burns(self, arrays: RegisterArrays, burns: BurnCounter) -> None:
        """Show the links that burn their error budget, the fastest BURN_SERIES of each span.

        Call this before ``links``.
        """
        values: dict[Labels, float] = {}
        left_out = 0
        for burned in burning_links(burns.known, burns.failed, arrays.slo):
            left_out += max(0, len(burned.links) - BURN_SERIES)
            fastest = zip(burned.links[:BURN_SERIES].tolist(), burned.burn[:BURN_SERIES].tolist(), strict=True)
            values.update(((arrays.links[link], burned.span.label), rate) for link, rate in fastest)
        self._burn.show(values)
        self._leave_out({"link_burn": left_out})
        self._burning = {link for link, _ in values}

    def _leave_out(self, counts: Mapping[str, int]) -> None:
        for of, count in counts.items():
            self._left_out.labels(of).set(count)


_ABOVE = (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR)
_SIDES = (IndicatorKind.CONSUMER, IndicatorKind.PROVIDER)

_VERDICTS = ("", *(outcome.label for outcome in Outcome), "not_live")
"""Names of a slot's verdicts by number; the first is for links that are not in force."""


def _not_live(register: Register, arrays: RegisterArrays, slot: SlotDetail) -> NDArray[np.bool_]:
    """Return which links are not live on the day of a slot: absent links, and those that become live later."""
    return ~arrays.required.live(Calendar.of(register.policy).day_of(slot.first_slot).toordinal())


def _by_verdict(
    register: Register, arrays: RegisterArrays, last_slot: SlotDetail, consumers: Sequence[str]
) -> Iterator[tuple[Labels, float]]:
    """Yield the number of links in force in a slot by verdict. Links that are not live count under a verdict of their own.

    Every verdict is yielded for the government, and those that occur for each of ``consumers``.
    """
    kinds = len(_VERDICTS)
    verdict = last_slot.verdict[0, : len(arrays.links)].astype(np.int64)
    verdict = np.where(_not_live(register, arrays, last_slot) & (verdict != 0), kinds - 1, verdict)
    cells = arrays.consumer * kinds + verdict
    counts = np.bincount(cells, minlength=len(arrays.agencies) * kinds).reshape(-1, kinds)
    for name, count in zip(_VERDICTS[1:], counts.sum(axis=0)[1:].tolist(), strict=True):
        yield (IndicatorKind.GOVERNMENT.label, arrays.government, name), count
    for consumer in consumers:
        for name, count in zip(_VERDICTS[1:], counts[bisect_left(arrays.agencies, consumer), 1:].tolist(), strict=True):
            if count:
                yield (IndicatorKind.CONSUMER.label, consumer, name), count


def _not_ok(register: Register, arrays: RegisterArrays, last_slot: SlotDetail) -> NDArray[np.int64]:
    """Return the live links that were not OK in a slot, in id order, unknown links last."""
    verdict = last_slot.verdict[0, : len(arrays.links)]
    failed = (verdict >= Outcome.NOT_CONNECTED) & (verdict < Outcome.OK)
    live = ~_not_live(register, arrays, last_slot)
    return np.concatenate([np.flatnonzero(mask & live) for mask in (failed, verdict == Outcome.UNKNOWN)])


def _reasons(
    register: Register, arrays: RegisterArrays, last_slot: SlotDetail, rows: NDArray[np.int64]
) -> Iterator[tuple[Labels, float]]:
    """Yield why each of these links was not OK in a slot."""
    verdict = last_slot.verdict[0, : len(arrays.links)]
    links = [register.links[arrays.links[row]] for row in rows.tolist()]
    counting = np.array([counting_vantages(link.vantages, last_slot.vantages) for link in links], dtype=np.bool_)
    counting = counting.reshape(len(links), len(last_slot.vantages))
    reasons = verdict_reasons(verdict[rows], last_slot.outcome[0, rows], last_slot.reason[0, rows], counting)
    for link, reason in zip(links, reasons.tolist(), strict=True):
        yield (link.id, register.consumer(link), link.provider, Reason(reason).label), 1.0


_MEASURES = (
    "pair_coverage",
    "pair_coverage_upper",
    "pair_coverage_weighted",
    "pair_coverage_weighted_upper",
    "fragmentation",
    "reciprocity",
    "silo_gap",
    "provider_concentration",
    "resilience",
    "declared",
)


def _measures(structure: Structure) -> Iterable[tuple[Labels, float]]:
    values = ((name, getattr(structure, name)) for name in _MEASURES)
    return (((name, str(structure.window_days)), value) for name, value in values if value is not None)


def _labels(row: Indicator) -> Labels:
    return (row.kind.label, row.id, str(row.window_days))


def _interval(row: Indicator) -> Iterable[tuple[str, float]]:
    """Return the ends of the interval of the government or a sector. Intervals of agencies would be too many series."""
    if row.interval is None or row.kind not in _ABOVE:
        return ()
    return (("low", row.interval.low), ("high", row.interval.high))


def _losses(row: Indicator) -> Iterable[tuple[str, float]]:
    return ((stage, getattr(row.losses, stage)) for stage in LOSS_STAGES)

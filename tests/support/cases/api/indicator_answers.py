"""The results of the library and of the oracle for a case, in one form that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from services.core.model.indicator import Indicator, IndicatorKind
from services.core.model.measurement import MeasurementColumns, Target
from services.core.model.outcome import Outcome, Reason
from services.core.model.register import ALWAYS, Agency, Endpoint, Government, Link, Policy, Register, Service, Vantage
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.index.snapshot import Snapshot
from services.indicator.register_arrays import RegisterArrays
from tests.support.cases.indicator import VANTAGES, Case
from tests.support.oracles import index as oracle

__all__ = [
    "EVERYTHING",
    "NUMBERS",
    "Measured",
    "assert_same",
    "batches",
    "by_vantage",
    "evidence_of",
    "index_of",
    "indicator_of",
    "measured",
    "pick",
    "register_of",
    "snapshot",
    "truth_of",
]

_REACHED = [Outcome(stage + 2) for stage in range(6)]
_REASONS = {
    Outcome.UNKNOWN: Reason.SHED,
    Outcome.NOT_CONNECTED: Reason.RESOLVE_FAILED,
    Outcome.NOT_ANSWERED: Reason.SERVER_ERROR,
    Outcome.INVALID: Reason.BODY,
    Outcome.LATE: Reason.LATE,
    Outcome.STALE: Reason.STALE,
    Outcome.OK: Reason.OK,
}


def register_of(rows: dict[str, Any]) -> Register:
    """Return a case's register as the library's own type."""
    links = {
        row["id"]: Link(
            id=row["id"],
            service=row["service"],
            provider=row["provider"],
            data_item=row["id"],
            required_from=row["required_from"],
            required_until=row["required_until"],
            live_from=ALWAYS if row["live_from"] == "always" else row["live_from"],
            vantages=row["vantages"],
            weight=row["weight"],
        )
        for row in rows["links"]
    }
    first_agency = rows["agencies"][0]["id"]
    return Register(
        agencies={row["id"]: Agency(row["id"], row["id"], row["id"], row["sector"]) for row in rows["agencies"]},
        services={
            row["id"]: Service(row["id"], row["agency"], row["id"], row["id"], weight=row["weight"])
            for row in rows["services"]
        },
        links=links,
        endpoints={
            row["id"]: Endpoint(row["id"], first_agency, None, "", "", vantages=row["vantages"])
            for row in rows["endpoints"]
        },
        probes={},
        policy=Policy(
            government=Government(rows["government"], "", ""),
            timezone=rows["timezone"],
            epoch=datetime.fromtimestamp(rows["epoch"], ZoneInfo("UTC")),
            slot_seconds=rows["slot_seconds"],
            publish_threshold=float(rows["threshold"]),
            vantages=tuple(Vantage(vantage) for vantage in VANTAGES),
        ),
        register_version="r" * 64,
        probe_version="p" * 64,
    )


def batches(
    rows: Sequence[oracle.Measurement], slot_seconds: int, *, delayed: bool = False
) -> list[MeasurementColumns]:
    """Return the measurements as batches, one per run of the same vantage, in the order given."""
    runs: list[list[oracle.Measurement]] = []
    for row in rows:
        if not runs or runs[-1][0][2] != row[2]:
            runs.append([])
        runs[-1].append(row)
    return [_batch(run, slot_seconds, delayed=delayed) for run in runs]


def _batch(rows: Sequence[oracle.Measurement], slot_seconds: int, *, delayed: bool) -> MeasurementColumns:
    columns = {name: column for column, name in enumerate(sorted({(row[1], row[0]) for row in rows}))}
    outcomes = [Outcome.UNKNOWN if row[5] is None else _REACHED[row[5]] for row in rows]
    return MeasurementColumns(
        vantage=rows[0][2],
        targets=tuple(Target(target, endpoint) for target, endpoint in columns),
        target=np.array([columns[row[1], row[0]] for row in rows], dtype=np.int64),
        slot_start=np.array([row[3] * slot_seconds for row in rows], dtype=np.int64),
        time=np.array([-1 if row[4] is None else row[4] for row in rows], dtype=np.int64),
        outcome=np.array(outcomes, dtype=np.uint8),
        reason=np.array([_REASONS[outcome] for outcome in outcomes], dtype=np.uint8),
        delayed=np.ones(len(rows), dtype=np.bool_) if delayed else None,
    )


def by_vantage(rows: Sequence[oracle.Measurement]) -> list[oracle.Measurement]:
    """Return the same measurements ordered by vantage, which makes for few and large batches."""
    return sorted(rows, key=lambda row: row[2])


def evidence_of(case: Case, rows: Sequence[oracle.Measurement] | None = None) -> Evidence:
    """Return evidence with all measurements of the case (or those given), ingested in this order within a vantage."""
    evidence = Evidence(Calendar.of(register_of(case.register).policy))
    seconds = case.register["slot_seconds"]
    for batch in batches(by_vantage(case.measurements if rows is None else rows), seconds):
        evidence.take(batch)
    for batch in batches(by_vantage(case.delayed), seconds, delayed=True):
        evidence.take(batch)
    return evidence


def indicator_of(found: Snapshot, kind: IndicatorKind, entity: str, window: int = 7) -> Indicator:
    """Return one indicator, which the snapshot must have."""
    indicator = found.indicator(kind, entity, window)
    assert indicator is not None
    return indicator


def snapshot(case: Case, evidence: Evidence | None = None, arrays: RegisterArrays | None = None) -> Snapshot:
    """Compute the index of a case with the library."""
    return compute_indicators(
        FrozenEvidence.of(
            arrays or RegisterArrays.of(register_of(case.register)),
            evidence or evidence_of(case),
            case.end_slot,
            [case.days],
        )
    )


Measured = dict[tuple[str, str], dict[str, Any]]


def measured(found: Snapshot) -> Measured:
    """Return every indicator of a snapshot of one window as plain floats, by (kind label, id)."""
    (days,) = found.windows
    result: Measured = {}
    for kind in IndicatorKind:
        columns = found.columns[kind, days]
        for at, entity in enumerate(columns.ids):
            if not columns.applies[at]:
                continue
            strict = (columns.strict_point[at], columns.strict_lower[at], columns.strict_upper[at])
            result[kind.label, entity] = {
                "point": _unset(columns.point[at]),
                "estimate": _unset(columns.estimate[at]),
                "lower": float(columns.lower[at]),
                "upper": float(columns.upper[at]),
                "known_share": float(columns.known_share[at]),
                "losses": tuple(columns.losses[at].tolist()),
                "strict": None if np.isnan(strict[1]) else tuple(_unset(value) for value in strict),
                "required": int(columns.links_required[at]),
                "known": int(columns.links_known[at]),
                "absent": int(columns.links_absent[at]),
            }
    return result


def index_of(case: Case) -> Measured:
    """Compute every indicator of a case with the library."""
    return measured(snapshot(case))


def truth_of(case: Case) -> Measured:
    """Compute every indicator of a case with the oracle."""
    verdicts = oracle.verdicts(case.register, case.measurements, case.delayed)
    results = oracle.index(case.register, verdicts, days=case.days, end_slot=case.end_slot)
    names = ("point", "estimate", "lower", "upper", "known_share", "losses", "strict", "required", "known", "absent")
    return {key: {name: getattr(result, name) for name in names} for key, result in results.items()}


NUMBERS = ("point", "estimate", "lower", "upper", "known_share", "losses", "strict")
EVERYTHING = (*NUMBERS, "required", "known", "absent")


def assert_same(one: Measured, other: Measured, names: Sequence[str] = EVERYTHING) -> None:
    """Assert that both hold the same indicators, equal within 10⁻¹²."""
    assert set(one) == set(other)
    for key in one:
        for name in names:
            assert _close(one[key][name], other[key][name]), (key, name, one[key][name], other[key][name])


def pick(found: Measured, wanted: Callable[[str, str], bool]) -> Measured:
    """Return those indicators whose (kind, id) is wanted."""
    return {key: value for key, value in found.items() if wanted(*key)}


def _close(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    if isinstance(one, tuple):
        return all(_close(a, b) for a, b in zip(one, other, strict=True))
    return abs(Fraction(one) - Fraction(other)) <= Fraction(1, 10**12)


def _unset(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

"""Measurements: columnar batches on the bus, rows in JSON (docs/design.md §5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import measurement_pb2, outcome_pb2
from services.core.codec.batches import ChainPlace
from services.core.codec.units import (
    LONGEST_TEXT,
    from_micros,
    message_to_json,
    parse_message,
    to_duration,
    to_micros,
    to_timestamp,
)
from services.core.model import (
    FACTS,
    MOMENTS,
    OTHER_REASON,
    PHASES,
    FactColumns,
    Measurement,
    MeasurementColumns,
    Phases,
    RegisterVersions,
    Target,
    known_reason,
    outcome_of,
)

_TIME_END = MOMENTS.stop * 1_000_000
_DURATION_END = 315_576_000_000 * 1_000_000
"""Ten thousand years, the longest Duration; data may be as old as its date says."""
_EXPIRY_END = 253_402_300_800
"""The year 10000: a certificate without an end names the last second before it (RFC 5280 §4.1.2.5)."""


def encode_measurements(rows: Sequence[Measurement], place: ChainPlace | None = None) -> bytes:
    """Encode a MeasurementBatch of at least one row; vantage, prober and versions are those of the first row.

    ``place`` is its place among the batches of its prober, if it has one.
    """
    first = rows[0]
    links = sorted({row.target.id for row in rows if not row.target.endpoint})
    endpoints = sorted({row.target.id for row in rows if row.target.endpoint})
    details = ["", *sorted({row.detail for row in rows} - {""})]
    index = {Target(name): number for number, name in enumerate(links)}
    index |= {Target(name, endpoint=True): number for number, name in enumerate(endpoints, len(links))}
    detail_index = {text: number for number, text in enumerate(details)}
    return measurement_pb2.MeasurementBatch(
        vantage=first.vantage,
        prober=first.prober,
        register_version=first.register_version,
        probe_version=first.probe_version,
        links=links,
        endpoints=endpoints,
        details=details,
        target=[index[row.target] for row in rows],
        slot_start=[row.slot_start for row in rows],
        time=[to_micros(row.time) for row in rows],
        outcome=[row.outcome for row in rows],
        reason=[row.reason for row in rows],
        latency=[to_micros(row.latency) for row in rows],
        data_age=[to_micros(row.data_age) for row in rows],
        resolve=[to_micros(row.phases.resolve) for row in rows],
        connect=[to_micros(row.phases.connect) for row in rows],
        tls=[to_micros(row.phases.tls) for row in rows],
        processing=[to_micros(row.phases.processing) for row in rows],
        transfer=[to_micros(row.phases.transfer) for row in rows],
        certificate_expiry=[-1 if row.certificate_expiry is None else row.certificate_expiry for row in rows],
        detail=[detail_index[row.detail] for row in rows],
        run=place.run if place else b"",
        number=place.number if place else 0,
        previous=place.previous if place else b"",
    ).SerializeToString()


def _targets(batch: measurement_pb2.MeasurementBatch) -> tuple[Target, ...]:
    return (*map(Target, batch.links), *(Target(name, endpoint=True) for name in batch.endpoints))


def _texts(batch: measurement_pb2.MeasurementBatch) -> Iterator[str]:
    yield from (batch.vantage, batch.prober, batch.register_version, batch.probe_version)
    yield from chain(batch.links, batch.endpoints, batch.details)


def decode_columns(payload: bytes) -> MeasurementColumns:
    """Return the columns of a batch. Raises ValueError when the payload is not a consistent MeasurementBatch.

    All readers refuse the same batches: if one of them, such as the archive, cannot represent a batch, none may count
    it.
    """
    batch = parse_message(measurement_pb2.MeasurementBatch, payload)
    # Each target and detail in a table needs a row that names it, so that a small batch cannot hold very many.
    if len(batch.links) + len(batch.endpoints) > len(batch.target) or len(batch.details) > len(batch.target) + 1:
        raise ValueError("a MeasurementBatch with tables longer than its columns")
    # All rows may share one text, which is repeated when they are written out.
    if any(len(text) > LONGEST_TEXT for text in _texts(batch)):
        raise ValueError("a MeasurementBatch with a text that is too long")
    columns = MeasurementColumns(
        vantage=batch.vantage,
        targets=_targets(batch),
        target=np.array(batch.target, np.int64),
        slot_start=np.array(batch.slot_start, np.int64),
        time=np.array(batch.time, np.int64),
        outcome=_bytes(batch.outcome),
        reason=_bytes(batch.reason),
        register=RegisterVersions(batch.register_version, batch.probe_version),
        prober=batch.prober,
    )
    rows = len(columns)
    names = ("slot_start", "time", "outcome", "reason", *FACTS, "detail")
    if any(len(getattr(batch, name)) != rows for name in names):
        raise ValueError("a MeasurementBatch with columns of different lengths")
    if rows and int(columns.target.max()) >= len(columns.targets):
        raise ValueError("a MeasurementBatch that names a target outside its table")
    numbers = np.array([np.array(getattr(batch, name), np.int64) for name in FACTS], np.int64)
    facts = FactColumns(numbers, np.array(batch.detail, np.int64), tuple(batch.details))
    if rows and int(facts.detail.max()) >= len(facts.details):
        raise ValueError("a MeasurementBatch that names a detail outside its table")
    if rows and not _in_range(columns, numbers):
        raise ValueError("a MeasurementBatch with a time or a number out of range")
    return replace(columns, facts=facts)


def _bytes(numbers: Sequence[int]) -> NDArray[np.uint8]:
    """Return numbers as bytes; numbers above 255, which no prober sends, become 255."""
    return np.minimum(np.array(numbers, np.int64), 255).astype(np.uint8)


def _in_range(columns: MeasurementColumns, facts: NDArray[np.int64]) -> bool:
    slots = columns.slot_start
    return bool(
        slots.min() >= 0
        and slots.max() < MOMENTS.stop
        and columns.time.max() < _TIME_END
        and facts[:-1].max() < _DURATION_END
        and facts[-1].max() < _EXPIRY_END
    )


def decode_measurements(payload: bytes) -> list[Measurement]:
    """Return the rows of a batch. Raises ValueError when the payload is not a MeasurementBatch.

    A newer prober may send unknown numbers. They are read as the scorer judges them: an unknown outcome as UNKNOWN, an
    unknown reason as another reason of the same outcome.
    """
    batch = parse_message(measurement_pb2.MeasurementBatch, payload)
    targets = _targets(batch)
    return [
        Measurement(
            target=targets[batch.target[i]],
            vantage=batch.vantage,
            slot_start=batch.slot_start[i],
            time=from_micros(batch.time[i]),
            outcome=(outcome := outcome_of(batch.outcome[i])),
            reason=known_reason(batch.reason[i]) or OTHER_REASON[outcome],
            latency=from_micros(batch.latency[i]),
            data_age=from_micros(batch.data_age[i]),
            phases=Phases(*(from_micros(getattr(batch, name)[i]) for name in PHASES)),
            certificate_expiry=None if batch.certificate_expiry[i] < 0 else batch.certificate_expiry[i],
            detail=batch.details[batch.detail[i]],
            register_version=batch.register_version,
            probe_version=batch.probe_version,
            prober=batch.prober,
        )
        for i in range(len(batch.target))
    ]


def measurement_to_json(row: Measurement) -> str:
    """Return one line of JSON in the protobuf mapping, with proto field names."""
    message = measurement_pb2.Measurement(
        **{"endpoint" if row.target.endpoint else "link": row.target.id},
        vantage=row.vantage,
        slot_start=to_timestamp(row.slot_start),
        time=None if row.time is None else to_timestamp(row.time),
        outcome=outcome_pb2.Outcome.ValueType(row.outcome),
        reason=outcome_pb2.Reason.ValueType(row.reason),
        latency=to_duration(row.latency),
        data_age=to_duration(row.data_age),
        phases=measurement_pb2.Phases(**{name: to_duration(getattr(row.phases, name)) for name in PHASES}),
        certificate_expiry=None if row.certificate_expiry is None else to_timestamp(row.certificate_expiry),
        detail=row.detail,
        register_version=row.register_version,
        probe_version=row.probe_version,
        prober=row.prober,
        stored=None if row.stored is None else to_timestamp(row.stored),
        sequence=row.sequence,
    )
    return message_to_json(message)

"""The columns of each kind of evidence, in the order in which its rows are sorted (docs/archive.md §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from services.core.model import DURATION_BUCKETS, PHASES, Outcome, Reason

MOMENT: Final = pa.timestamp("us", tz="UTC")
NAME: Final = pa.dictionary(pa.int32(), pa.string())
"""Texts that many rows share."""

OUTCOMES: Final = {outcome.value: outcome.name for outcome in Outcome}
REASONS: Final = {reason.value: reason.name for reason in Reason}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of evidence: its ``schema``, and the columns by which rows are sorted, of which ``slot_start`` dates a row."""

    name: str
    schema: pa.Schema
    order: tuple[str, ...]


MEASUREMENT: Final = Kind(
    "measurement",
    pa.schema(
        [
            ("link", NAME),
            ("endpoint", NAME),
            ("vantage", NAME),
            ("slot_start", MOMENT),
            ("time", MOMENT),
            ("outcome", NAME),
            ("reason", NAME),
            *((name, pa.int64()) for name in ("latency", "data_age", *PHASES)),  # microseconds
            ("certificate_expiry", MOMENT),
            ("detail", NAME),
            ("register_version", NAME),
            ("probe_version", NAME),
            ("prober", NAME),
            ("stored", MOMENT),
            ("sequence", pa.int64()),
        ]
    ),
    ("link", "endpoint", "vantage", "slot_start", "sequence"),
)

EXCHANGE: Final = Kind(
    "exchange",
    pa.schema(
        [
            ("bus", NAME),
            ("client", NAME),
            ("service", NAME),
            ("slot_start", MOMENT),
            ("revision", pa.int64()),
            ("meta", pa.bool_()),
            ("alias", NAME),
            *((name, pa.int64()) for name in ("count", "ok", "bus_failures", "provider_failures")),
            ("request_bytes", pa.int64()),
            ("response_bytes", pa.int64()),
            ("orphans", pa.int64()),
            ("skew_ms_sum", pa.float64()),
            ("skew_count", pa.int64()),
            ("duration_buckets", pa.list_(pa.int64(), DURATION_BUCKETS)),
            ("duration_ms_sum", pa.float64()),
            ("stored", MOMENT),
            ("sequence", pa.int64()),
        ]
    ),
    ("bus", "client", "service", "slot_start", "sequence"),
)

KINDS: Final = {kind.name: kind for kind in (MEASUREMENT, EXCHANGE)}

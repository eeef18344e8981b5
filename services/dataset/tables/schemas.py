"""The columns of each kind of evidence, in the order in which its rows are sorted (docs/archive.md §2)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import pyarrow as pa

from services.core.model import DURATION_BUCKETS, PHASES, STAGES, Losses, Outcome, Reason

MOMENT: Final = pa.timestamp("us", tz="UTC")
NAME: Final = pa.dictionary(pa.int32(), pa.string())
"""Texts that many rows share."""

OUTCOMES: Final = {outcome.value: outcome.name for outcome in Outcome}
REASONS: Final = {reason.value: reason.name for reason in Reason}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of rows: the ``stream`` they come from, the columns by which they are sorted, and the one that dates them.

    Rows with equal values in the columns ``spread`` are in one shard. ``slotted`` rows are late as soon as the grace of
    their slot is over, other rows when the grace of their day is over. Older files lack the columns ``added``, and are
    read as if these were unset.
    """

    name: str
    stream: str
    schema: pa.Schema
    order: tuple[str, ...]
    dated: str
    spread: tuple[str, ...] = ()
    slotted: bool = False
    added: tuple[str, ...] = ()


MEASUREMENT: Final = Kind(
    "measurement",
    "MEASUREMENTS",
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
    "slot_start",
    ("link", "endpoint"),
    slotted=True,
)

DIGEST_BYTES: Final = 16
"""Bytes of a batch's SHA-256 that are kept: enough that nobody can make a second batch with the same ones."""

BATCH: Final = Kind(
    "batch",
    "MEASUREMENTS",
    pa.schema(
        [
            ("vantage", NAME),
            ("prober", NAME),
            ("run", NAME),
            ("number", pa.int64()),
            ("sha256", pa.binary(DIGEST_BYTES)),
            ("previous", pa.binary(DIGEST_BYTES)),
            ("stored", MOMENT),
            ("sequence", pa.int64()),
        ]
    ),
    ("sequence",),
    "stored",
    ("prober", "run"),
)
"""The batches that brought measurements, by the day on which they were stored. Only the accounts of them are sealed."""

EXCHANGE: Final = Kind(
    "exchange",
    "EXCHANGES",
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
            ("repeats", pa.int64()),
            ("stored", MOMENT),
            ("sequence", pa.int64()),
        ]
    ),
    ("bus", "client", "service", "slot_start", "sequence"),
    "slot_start",
    ("client", "service"),
    added=("repeats",),
)

INDICATOR: Final = Kind(
    "indicator",
    "INDICATORS",
    pa.schema(
        [
            ("kind", NAME),
            ("id", NAME),
            ("window_days", pa.int64()),
            ("as_of", MOMENT),
            *((name, pa.float64()) for name in ("point", "lower", "upper", "known_share")),
            *((f"interval_{name}", pa.float64()) for name in ("low", "high", "level")),
            *((f"loss_{field.name}", pa.float64()) for field in fields(Losses)),
            *((f"strict_{name}", pa.float64()) for name in ("point", "lower", "upper")),
            ("level", pa.int64()),
            *((f"rank_{name}", pa.int64()) for name in ("low", "high", "agencies")),
            *((f"links_{name}", pa.int64()) for name in ("required", "known", "absent")),
            *((f"{name}_version", NAME) for name in ("register", "probe", "method")),
            ("evidence_sequence", pa.int64()),
            ("stored", MOMENT),
            ("sequence", pa.int64()),
        ]
    ),
    ("kind", "id", "window_days", "as_of", "sequence"),
    "as_of",
    ("kind", "id"),
)

FINDING: Final = Kind(
    "finding",
    "FINDINGS",
    pa.schema(
        [
            ("id", NAME),
            *((name, NAME) for name in ("kind", "scope", "subject")),
            *((name, MOMENT) for name in ("since", "found_at", "ended_at")),
            ("step_seconds", pa.int64()),
            *((name, pa.float64()) for name in ("seen", "expected", "expected_low", "expected_high", "chance")),
            ("flow_count", pa.int64()),
            *((name, NAME) for name in ("probes", "review", "note", "flows")),  # flows with a tab between them
            ("usual", pa.bool_()),
            ("stored", MOMENT),
            ("sequence", pa.int64()),
        ]
    ),
    ("id", "sequence"),
    "stored",
    added=("usual",),
)
"""Findings about exchanges, by the day on which they were stored."""

LINK_DAY: Final = Kind(
    "link_day",
    "",
    pa.schema(
        [
            ("link", NAME),
            ("endpoint", NAME),
            ("vantage", NAME),
            ("day_start", MOMENT),
            ("slots", pa.int64()),
            *((stage, pa.int64()) for stage in STAGES),
            ("stages", pa.binary()),
        ]
    ),
    ("link", "endpoint", "vantage"),
    "day_start",
    ("link", "endpoint"),
)
"""The stages that links and endpoints reached in the slots of a day, counted when it is sealed. They have no stream."""

STREAM_KINDS: Final = (MEASUREMENT, EXCHANGE, INDICATOR, FINDING)
"""The kinds that come from streams."""

KINDS: Final = {kind.name: kind for kind in (*STREAM_KINDS, LINK_DAY)}

"""Readers of messages on the bus, and of their forms in files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from services.core.blocks import (
    decode_recent,
    decode_slot_block,
    encode_recent_blocks,
    encode_slot_blocks,
)
from services.core.bus.messages import ValueParts, join_parts
from services.core.codec import (
    Heartbeat,
    decode_columns,
    decode_heartbeat,
    decode_manifest,
    decode_measurements,
    decode_sender,
    decode_summaries,
    encode_heartbeat,
    encode_manifest,
    encode_measurements,
    encode_summaries,
    measurement_from_json,
    measurement_to_json,
    summary_from_json,
    summary_to_json,
)
from services.core.model import ExchangeSummary, Measurement, Outcome, Reason, Register, Target
from services.register.bus.chunks import join_chunks, make_manifest, split_register
from services.register.directory import load_register
from tests.fuzz.reader import Reader
from tests.support.cases.api.blocks import blocks_of, recent_block, slot_block_of
from tests.support.registers import ANNOUNCEMENTS, EVALUATION, HOLIDAYS, LEGAL_BASES, OBJECTIONS, write_register
from tests.support.values.block_columns import decode_block, encoded

__all__ = ["READERS", "register"]

_ROWS = tuple(
    Measurement(
        target=Target(name, endpoint=endpoint),
        vantage="north",
        slot_start=1_800_000_000,
        time=1_800_000_001.5,
        outcome=outcome,
        reason=reason,
        latency=0.02,
        detail=detail,
        register_version="r1",
        probe_version="p1",
        prober="a",
    )
    for name, endpoint, outcome, reason, detail in (
        ("birth-tax", False, Outcome.OK, Reason.OK, ""),
        ("bus", True, Outcome.INVALID, Reason.STATUS, "status 503"),
    )
)
_SUMMARIES = (ExchangeSummary(client="IR/GOV/100", service="IR/GOV/200/person", slot_start=1_800_000_000, revision=3),)


_BETWEEN = b"\0"
"""Separates chunks in one input: JSON has none."""


@cache
def register() -> Register:
    """Return a small register."""
    with tempfile.TemporaryDirectory() as folder:
        notices = {
            "announcements_yaml": ANNOUNCEMENTS,
            "objections_csv": OBJECTIONS,
            "links_csv": LEGAL_BASES,
            "holidays_csv": HOLIDAYS,
        }
        return load_register(write_register(Path(folder) / "register", evaluation_rounds_yaml=EVALUATION, **notices))


def _measurements(data: bytes) -> None:
    columns, rows = decode_columns(data), decode_measurements(data)
    assert len(columns) == len(rows)
    assert decode_sender(data).vantage == columns.vantage


def _heartbeats() -> Iterator[bytes]:
    yield encode_heartbeat(Heartbeat("north", "a", 1_800_000_000.5, 1_799_999_000.0, "r1", "p1", 10, share_from=300))


def _manifests() -> Iterator[bytes]:
    yield encode_manifest(make_manifest(register(), split_register(register()), 1_800_000_000.0))


def _chunks() -> Iterator[bytes]:
    yield _BETWEEN.join(split_register(register()).values())


def _recent(data: bytes) -> None:
    assert len(decode_recent(data).targets) >= 0


def _parts(data: bytes) -> None:
    header, _, content = data.partition(b"\n")
    join_parts(ValueParts.parse(header.decode("latin-1")), [content])


READERS = (
    Reader("measurements", _measurements, lambda: [encode_measurements(_ROWS)], (ValueError,)),
    Reader("exchange summaries", decode_summaries, lambda: [encode_summaries("xroad", _SUMMARIES)], (ValueError,)),
    Reader("heartbeat", decode_heartbeat, _heartbeats, (ValueError,)),
    Reader("register manifest", decode_manifest, _manifests, (ValueError,)),
    Reader("register chunks", lambda data: join_chunks(data.split(_BETWEEN)), _chunks, (ValueError,)),
    Reader("indicator block", decode_block, lambda: map(encoded, blocks_of(register()).values()), (ValueError,)),
    Reader("recent block", _recent, lambda: [encode_recent_blocks([recent_block(register())])[0]], (ValueError,)),
    Reader(
        "slot block",
        decode_slot_block,
        lambda: [encode_slot_blocks([slot_block_of(register(), "land-registry", 0, {})])[0]],
        (ValueError,),
    ),
    Reader("parts of a value", _parts, lambda: [ValueParts.of(b"ab").header.encode() + b"\nab"]),
    Reader(
        "measurement as JSON",
        lambda data: measurement_from_json(data.decode()),
        lambda: [measurement_to_json(row).encode() for row in _ROWS],
        (ValueError,),
    ),
    Reader(
        "summary as JSON",
        lambda data: summary_from_json(data.decode()),
        lambda: [summary_to_json(row).encode() for row in _SUMMARIES],
        (ValueError,),
    ),
)

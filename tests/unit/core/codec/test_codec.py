"""Values survive encoding, and foreign payloads are refused with a reason."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peyvand.v1 import block_pb2, indicator_pb2, measurement_pb2, outcome_pb2
from services.core import codec
from services.core.blocks.compression import parse_block
from services.core.blocks.encode import EvidenceColumns
from services.core.blocks.read import BlockReader
from services.core.blocks.target_blocks import SlotBlock, decode_slot_block, encode_slot_blocks
from services.core.model.exchange import DURATION_BUCKETS, ExchangeSummary
from services.core.model.indicator import Indicator, IndicatorKind, Interval, Losses, StrictShare
from services.core.model.measurement import MOMENTS, Measurement, Phases, Target
from services.core.model.outcome import Outcome, Reason
from tests.support.values.block_columns import Block, decode_block, encoded

micros = st.integers(0, 10**9).map(lambda value: value / 1e6)
maybe = st.none() | micros
measurements = st.builds(
    Measurement,
    target=st.builds(Target, st.sampled_from(["a", "b", "c-1"]), st.booleans()),
    vantage=st.just("main"),
    slot_start=st.sampled_from(MOMENTS),
    time=st.none() | st.integers(0, 2 * 10**15).map(lambda value: value / 1e6),
    outcome=st.sampled_from(Outcome),
    reason=st.sampled_from(Reason),
    latency=maybe,
    data_age=maybe,
    phases=st.builds(Phases, maybe, maybe, maybe, maybe, maybe),
    certificate_expiry=st.none() | st.integers(0, 2**33),
    detail=st.sampled_from(["", "یک توضیح", "connection refused"]),
    register_version=st.just("r"),
    probe_version=st.just("p"),
    prober=st.just("one"),
)


@given(st.lists(measurements, min_size=1, max_size=20))
def test_measurements_survive_the_batch(rows: list[Measurement]) -> None:
    """Every field of every row is restored from a batch, to the microsecond."""
    assert codec.decode_measurements(codec.encode_measurements(rows)) == rows


@given(st.lists(measurements, min_size=1, max_size=20))
def test_columns_say_what_rows_say(rows: list[Measurement]) -> None:
    """The columns that verdicts are made from agree with the rows."""
    columns = codec.decode_columns(codec.encode_measurements(rows))
    assert [columns.targets[i] for i in columns.target] == [row.target for row in rows]
    assert columns.slot_start.tolist() == [row.slot_start for row in rows]
    assert columns.outcome.tolist() == [row.outcome for row in rows]
    assert columns.reason.tolist() == [row.reason for row in rows]
    assert [None if t < 0 else t / 1e6 for t in columns.time.tolist()] == [row.time for row in rows]


@given(measurements)
def test_measurements_survive_json(row: Measurement) -> None:
    """A dumped line reads back as the same measurement."""
    assert codec.measurement_from_json(codec.measurement_to_json(row)) == row


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Failed to load JSON"),
        ('{"link": "a"}', "vantage, slot_start, outcome, reason are missing"),
        ('{"link": "a", "colour": 1}', 'no field named "colour"'),
        ('{"link": "a", "vantage": "m", "slot_start": "noon"}', "slot_start"),
    ],
)
def test_bad_measurement_lines_say_why(text: str, reason: str) -> None:
    """A line that is not a measurement is refused with the reason."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        codec.measurement_from_json(text)


@pytest.mark.parametrize(
    "decode",
    [codec.decode_columns, codec.decode_measurements, codec.decode_sender, codec.decode_summaries, BlockReader.of],
)
def test_foreign_bytes_are_refused(decode) -> None:
    """Bytes that are no message of ours raise ValueError and not a protobuf error."""
    with pytest.raises(ValueError, match="not a"):
        decode(b"\xff\xff\xff")


def test_a_batch_has_a_place_in_the_chain_of_its_prober() -> None:
    """Sender and place are read back. Measurements are the same without them, and impossible places are ignored."""
    rows = [Measurement(Target("a"), "main", 0, 0.0, Outcome.OK, Reason.OK, prober="p1")]
    first = codec.ChainPlace(b"r" * codec.RUN_BYTES, 1)
    second = first.next(codec.encode_measurements(rows, first))
    assert second.number == 2
    for link in (first, second):
        payload = codec.encode_measurements(rows, link)
        assert codec.decode_sender(payload) == codec.BatchSender("main", "p1", link)
        assert codec.decode_measurements(payload) == rows
    impossible = (
        codec.ChainPlace(b"r", 1),
        codec.ChainPlace(first.run, 0),
        codec.ChainPlace(first.run, 1, second.previous),
        codec.ChainPlace(first.run, 2, b"short"),
        codec.ChainPlace(first.run, 1 << 60),
    )
    for place in (None, *impossible):
        assert codec.decode_sender(codec.encode_measurements(rows, place)) == codec.BatchSender("main", "p1", None)


def test_ragged_batches_are_refused() -> None:
    """A batch whose columns differ in length cannot shift rows against each other."""
    rows = [Measurement(Target("a"), "main", 0, 0.0, Outcome.OK, Reason.OK)]
    payload = codec.encode_measurements(rows) + bytes([8 << 3 | 2, 1, 0])  # one more element of `target`
    with pytest.raises(ValueError, match="different lengths"):
        codec.decode_columns(payload)


@pytest.mark.parametrize(
    ("field", "number"),
    [
        *(("slot_start", number) for number in (-1, -300, 7_258_118_400, 253_402_560_000, 10**18)),
        *((name, 2**62) for name in ("time", "latency", "data_age", "transfer", "certificate_expiry")),
        ("certificate_expiry", 253_402_300_800),
    ],
)
def test_numbers_that_no_prober_measures_are_refused(field: str, number: int) -> None:
    """Readers refuse a batch with a time or a number that another reader, such as the archive, cannot represent."""
    rows = [Measurement(Target("a"), "main", 0, 0.0, Outcome.OK, Reason.OK)] * 2
    batch = measurement_pb2.MeasurementBatch.FromString(codec.encode_measurements(rows))
    getattr(batch, field)[1] = number
    with pytest.raises(ValueError, match="out of range"):
        codec.decode_columns(batch.SerializeToString())


def test_the_largest_numbers_are_read() -> None:
    """Certificates without an end and data as old as the first year are in range. Undefined outcomes are unknown."""
    row = Measurement(Target("a"), "main", 0, 0.0, Outcome.OK, Reason.OK, certificate_expiry=253_402_300_799)
    batch = measurement_pb2.MeasurementBatch.FromString(codec.encode_measurements([replace(row, data_age=6.4e10)]))
    batch.outcome[0] = 257
    assert codec.decode_columns(batch.SerializeToString()).outcome.tolist() == [255]
    (read,) = codec.decode_measurements(batch.SerializeToString())
    assert (read.outcome, read.certificate_expiry, read.data_age) == (Outcome.UNKNOWN, 253_402_300_799, 6.4e10)


def test_tables_that_no_row_uses_are_refused() -> None:
    """A batch names no more targets and details than its rows can use, so that few bytes cannot fill a table."""
    rows = [Measurement(Target("a"), "main", 0, 0.0, Outcome.OK, Reason.OK, detail="why")]
    for field, text in (("links", b"b"), ("endpoints", b"b"), ("details", b"other")):
        number = measurement_pb2.MeasurementBatch.DESCRIPTOR.fields_by_name[field].number
        payload = codec.encode_measurements(rows) + bytes([number << 3 | 2, len(text)]) + text
        with pytest.raises(ValueError, match="tables longer than its columns"):
            codec.decode_columns(payload)


@pytest.mark.parametrize("field", ["links", "details", "vantage", "prober", "register_version", "probe_version"])
def test_texts_longer_than_any_name_are_refused(field: str) -> None:
    """A text of 4096 characters is read, and a longer one is refused, because many rows may share it."""
    row = Measurement(Target("a"), "main", 0, 0.0, Outcome.OK, Reason.OK)
    batch = measurement_pb2.MeasurementBatch.FromString(codec.encode_measurements([row]))

    def put(text: str) -> None:
        if isinstance(getattr(batch, field), str):
            setattr(batch, field, text)
        else:
            getattr(batch, field)[0] = text

    put("x" * 4096)
    codec.decode_columns(batch.SerializeToString())
    put("x" * 4097)
    with pytest.raises(ValueError, match="text that is too long"):
        codec.decode_columns(batch.SerializeToString())


def test_ragged_blocks_are_refused() -> None:
    """A block whose columns differ in length, or without a row, is refused."""
    row = Indicator(IndicatorKind.LINK, "l", 7, 600, 0.5, 0.5, 0.5, 1.0, Losses(late=0.5))
    for name in ("upper", "links_known", "level", "interval_low"):
        message = parse_block(block_pb2.IndicatorBlock, encoded(Block((row,))))
        getattr(message, name).append(1)
        with pytest.raises(ValueError, match="different lengths"):
            BlockReader.of(message.SerializeToString())
    with pytest.raises(ValueError, match="no indicator"):
        BlockReader.of(b"")


def test_enums_are_those_of_the_contract() -> None:
    """Names and numbers of outcomes, reasons and kinds equal those of peyvand.v1."""
    for ours, theirs, prefix in (
        (Outcome, outcome_pb2.Outcome, "OUTCOME_"),
        (Reason, outcome_pb2.Reason, "REASON_"),
        (IndicatorKind, indicator_pb2.IndicatorKind, "INDICATOR_KIND_"),
    ):
        assert {prefix + one.name: int(one) for one in ours} == {
            name: number for name, number in theirs.items() if number
        }


def test_summaries_survive() -> None:
    """An exchange summary is restored from the batch and from JSON."""
    row = ExchangeSummary(
        "X/GOV/1/S", "X/GOV/2/T/get", 300, 4, alias="p", count=3, ok=2, duration_buckets=tuple(range(DURATION_BUCKETS))
    )
    for repeats in (None, 0, 2):
        some = replace(row, repeats=repeats)
        assert codec.decode_summaries(codec.encode_summaries("xroad", [some])) == ("xroad", [some])
        assert codec.summary_from_json(codec.summary_to_json(some)) == some


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"revision": 2**64 - 1}, "revision is too large"),
        ({"count": 2**62}, "count is too large"),
        ({"orphans": 2**31}, "orphans is too large"),
        ({"request_bytes": 2**63}, "request_bytes is too large"),
        ({"duration_buckets": (2**40,) * DURATION_BUCKETS}, "duration_buckets has a count that is too large"),
        ({"ok": 4}, "more than count"),
        ({"repeats": 4}, "more than count"),
        ({"skew_ms_sum": math.nan}, "not a number"),
        ({"duration_ms_sum": math.inf}, "not a number"),
        ({"service": "x" * 5000}, "too long"),
        ({"slot_start": -62_135_596_800}, "slot_start is not in the years 1970 to 2199"),
    ],
)
def test_summaries_out_of_range_are_refused(changes: dict[str, Any], reason: str) -> None:
    """A number that would overflow, that nothing could replace or that no summary can have is refused by its field."""
    row = replace(ExchangeSummary("X/GOV/1/S", "X/GOV/2/T/get", 300, 4, count=3, ok=2), **changes)
    with pytest.raises(ValueError, match=reason):
        codec.decode_summaries(codec.encode_summaries("xroad", [row]))
    with pytest.raises(ValueError, match=reason):
        codec.summary_from_json(codec.summary_to_json(row))


@pytest.mark.parametrize(("leaving", "share_from"), [(False, None), (False, 0), (True, 600)])
def test_heartbeats_survive(leaving: bool, share_from: int | None) -> None:
    """Every field of a heartbeat is restored; a first slot of 0 is not None."""
    said = codec.Heartbeat("main", "p1", 12.5, 1.000001, "r1", "p1", 7, leaving, share_from)
    assert codec.decode_heartbeat(codec.encode_heartbeat(said)) == said


def test_blocks_survive() -> None:
    """Indicators with and without point, interval and strict share, link evidence and volumes survive a block."""
    losses, strict = Losses(0.1, 0.2, 0.1, 0.05, 0.05), StrictShare(None, 0.1, 0.9)
    versions = ("r", "p", "m", 2**40)
    interval = Interval(0.3, 0.65, 0.95, outages=3)
    one = Indicator(
        IndicatorKind.SERVICE, "s", 28, 600, 0.5, 0.4, 0.6, 0.8, losses, strict, 3, 2, 1, *versions, interval=interval
    )
    two = Indicator(IndicatorKind.LINK, "l", 7, 600, None, 0.0, 1.0, 0.0, Losses(), None, 0, 0, 0, *versions)
    evidence = EvidenceColumns(
        28, ("l", "m"), np.array([5, 6]), np.arange(12).reshape(2, 6), np.array([0.1, 0.2]), np.array([0.3, 0.4])
    )
    volume = codec.ExchangeVolume("c", "p", False, 3, 2, 1, 0, last_slot=300, slots_from=0, slots_to=600)
    block = Block((one, two), (evidence,), (volume,))
    back = decode_block(encoded(block))
    assert back.indicators == block.indicators
    assert back.exchanges == block.exchanges
    assert back.links[0].ids == evidence.ids
    for name in ("slots", "verdicts", "omega", "share"):
        np.testing.assert_array_equal(getattr(back.links[0], name), getattr(evidence, name))


def test_a_block_of_before_method_5_says_nothing_of_outages() -> None:
    """Such a block lacks the column, so outages are unknown. A column that is too short is refused."""
    one = Indicator(
        IndicatorKind.LINK, "l", 7, 600, 0.5, 0.5, 0.5, 1.0, Losses(late=0.5), interval=Interval(0.3, 0.65, 0.95, 1)
    )
    message = parse_block(block_pb2.IndicatorBlock, encoded(Block((one, replace(one, id="m")))))
    del message.interval_outages[1:]
    with pytest.raises(ValueError, match="different lengths"):
        decode_block(message.SerializeToString())
    message.ClearField("interval_outages")
    first, _ = decode_block(message.SerializeToString()).indicators
    assert first == replace(one, interval=Interval(0.3, 0.65, 0.95))


@pytest.mark.parametrize("interval", [None, Interval(0.0, 0.6, 0.95), Interval(0.0, 0.6, 0.95, outages=0)])
def test_an_interval_is_there_or_not(interval) -> None:
    """A message says whether an indicator has an interval; an end of zero is not a missing one."""
    row = Indicator(IndicatorKind.LINK, "l", 7, 600, 0.5, 0.5, 0.5, 1.0, Losses(late=0.5), interval=interval)
    assert codec.indicator_from_message(codec.indicator_to_message(row)) == row


def test_slot_blocks_survive() -> None:
    """A slot block is restored with its shape."""
    cells = np.arange(2 * 3 * 2, dtype=np.uint8).reshape(2, 3, 2)
    block = SlotBlock(300, 64, ("a", "b"), ("e",), ("v", "w"), cells[:, :, 0], cells, cells + 1)
    back = decode_slot_block(encode_slot_blocks([block])[0])
    assert (back.first_slot, back.links, back.endpoints, back.vantages) == (64, ("a", "b"), ("e",), ("v", "w"))
    np.testing.assert_array_equal(back.verdict, block.verdict)
    np.testing.assert_array_equal(back.outcome, block.outcome)
    np.testing.assert_array_equal(back.reason, block.reason)

"""Evidence as tables and Parquet files loses nothing, and the bytes depend on the rows alone."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.core.codec import (
    decode_finding,
    decode_indicator,
    decode_summaries,
    encode_summaries,
    finding_to_message,
    indicator_to_message,
)
from services.core.model import Outcome
from services.dataset.tables import (
    EXCHANGE,
    FINDING,
    INDICATOR,
    MEASUREMENT,
    content_hash,
    exchange_table,
    finding_table,
    indicator_table,
    indicators_of,
    measurement_table,
    measurements_of,
    read,
    sorted_rows,
    summaries_of,
    write,
)
from tests.support.cases.datasets.rows import batch, exchanged, found, measured, published, summaries

MICROS = 1_000_000


def rows_of(table: pa.Table) -> list[tuple[object, ...]]:
    return sorted(zip(*(table[name].to_pylist() for name in table.column_names), strict=True), key=repr)


def test_measurements_come_back_as_they_were() -> None:
    """Targets, slots, outcomes, reasons, timings and positions survive a file, in another order."""
    batches = {1: batch(1), 2: batch(2, vantage="south"), 3: replace(batch(3), outcome=np.full(20, 99, np.uint8))}
    tables = [measurement_table(rows, stored=9.125, sequence=number) for number, rows in batches.items()]
    expected: set[tuple[object, ...]] = set()
    found: set[tuple[object, ...]] = set()
    for number, rows in batches.items():
        assert rows.facts is not None
        numbers = rows.facts.numbers
        expected |= {
            (rows.vantage, rows.targets[rows.target[i]], *(int(column[i]) for column in (
                rows.slot_start, rows.time, rows.outcome, rows.reason, numbers[0], numbers[1])), 9.125, number)
            for i in range(len(rows))
        }  # fmt: skip
    for part in measurements_of(read(write(sorted_rows(tables, MEASUREMENT), MEASUREMENT), MEASUREMENT)):
        rows = part.columns
        assert rows.latency is not None
        assert rows.data_age is not None
        found |= {
            (rows.vantage, rows.targets[rows.target[i]], *(int(column[i]) for column in (
                rows.slot_start, rows.time, rows.outcome, rows.reason, rows.latency, rows.data_age)),
             float(part.stored[i]), int(part.sequence[i]))
            for i in range(len(rows))
        }  # fmt: skip
    assert found == expected


def test_facts_are_kept() -> None:
    """The table has the facts that an auditor looks at beside the verdict, as words and as moments."""
    table = measured(4, sequence=7)
    rows = batch(4)
    assert rows.facts is not None
    assert table["detail"].to_pylist() == [rows.facts.details[number] for number in rows.facts.detail]
    assert table["outcome"].to_pylist() == [Outcome(int(number)).name for number in rows.outcome]
    assert [moment and moment.timestamp() for moment in table["certificate_expiry"].to_pylist()] == [
        None if number < 0 else number for number in rows.facts.numbers[-1]
    ]
    assert set(table["prober"].to_pylist()) == {"one"}


def test_summaries_come_back_as_they_were() -> None:
    """A summary that went over the bus survives a round trip through a file."""
    _, sent = decode_summaries(encode_summaries("xroad", summaries(5, 40)))
    table = sorted_rows([exchanged(5, sequence=3, rows=40)], EXCHANGE)
    assert sorted(summaries_of(read(write(table, EXCHANGE), EXCHANGE)), key=repr) == sorted(sent, key=repr)


def test_a_file_from_before_a_column_was_added_is_read_as_it_was() -> None:
    """In an older file the added column is unset, and the content hash is the one that the older version sealed."""
    former = replace(EXCHANGE, schema=pa.schema([one for one in EXCHANGE.schema if one.name != "repeats"]), added=())
    sent = [replace(summary, repeats=None) for summary in summaries(5, 40)]
    table = sorted_rows([exchange_table("xroad", sent, stored=9.125, sequence=3)], EXCHANGE)
    of_before = table.drop_columns("repeats")
    found = read(write(of_before, former), EXCHANGE)
    assert sorted(summaries_of(found), key=repr) == sorted(sent, key=repr)
    assert content_hash(found, EXCHANGE) == content_hash(table, EXCHANGE) == content_hash(of_before, former)
    known = sorted_rows([exchange_table("xroad", summaries(5, 40), stored=9.125, sequence=3)], EXCHANGE)
    assert content_hash(known, EXCHANGE) != content_hash(table, EXCHANGE)
    with pytest.raises(ValueError, match="not a Parquet file of exchanges"):
        read(write(of_before, former), replace(EXCHANGE, added=()))


def test_indicators_come_back_as_they_were() -> None:
    """An indicator that went over the bus survives a round trip through a file, including unset fields."""
    rows = [published(seed) for seed in range(20)]
    sent = [decode_indicator(indicator_to_message(row).SerializeToString()) for row in rows]
    assert sent == rows
    tables = [indicator_table([row], stored=9.125, sequence=number) for number, row in enumerate(rows)]
    table = sorted_rows(tables, INDICATOR)
    assert sorted(indicators_of(read(write(table, INDICATOR), INDICATOR)), key=repr) == sorted(rows, key=repr)


def test_findings_are_kept_whole() -> None:
    """Each field of a finding is in its row, including unset ones, with moments as moments."""
    findings = [found(seed) for seed in range(4)]
    sent = [decode_finding(finding_to_message(one).SerializeToString()) for one in findings]
    assert sent == findings
    tables = [finding_table([one], stored=9.125, sequence=number) for number, one in enumerate(findings)]
    rows = read(write(sorted_rows(tables, FINDING), FINDING), FINDING).to_pylist()
    for finding, row in zip(findings, rows, strict=True):
        kept = {name: int(value.timestamp()) if isinstance(value, datetime) else value for name, value in row.items()}
        assert kept == asdict(finding) | {
            "flows": "\t".join(finding.flows),
            "stored": 9,
            "sequence": findings.index(finding),
        }


def test_bytes_follow_from_the_rows() -> None:
    """Messages read in any order and cut in any way make the same file and the same hash of its content."""
    parts = [measured(seed, sequence=seed, vantage=("main", "south")[seed % 2]) for seed in range(1, 9)]
    whole = sorted_rows(parts, MEASUREMENT)
    cut = [part.slice(*span) for part in reversed(parts) for span in ((0, 7), (7,))]
    again = sorted_rows(cut, MEASUREMENT)
    assert write(again, MEASUREMENT) == write(whole, MEASUREMENT)
    assert content_hash(again, MEASUREMENT) == content_hash(whole, MEASUREMENT)
    other = sorted_rows(parts[1:], MEASUREMENT)
    assert content_hash(other, MEASUREMENT) != content_hash(whole, MEASUREMENT)


def test_a_text_that_many_rows_share_is_not_repeated() -> None:
    """Rows that would take more than 2 GiB with their text written out are sorted, and hash like those of a short text."""
    rows = batch(1, rows=3_000)
    assert rows.facts is not None
    facts = replace(rows.facts, details=tuple(f"{text}{'x' * 1_000_000}" for text in rows.facts.details))
    long, short = (measurement_table(one, stored=9.0, sequence=1) for one in (replace(rows, facts=facts), rows))
    order = [sorted_rows([one], MEASUREMENT).drop_columns("detail") for one in (long, short)]
    assert order[0].equals(order[1])
    assert content_hash(long, MEASUREMENT) != content_hash(short, MEASUREMENT)


def test_content_does_not_depend_on_who_wrote_it() -> None:
    """A file that another program wrote with other encodings has the same content hash."""
    table = sorted_rows([measured(seed, sequence=seed) for seed in range(1, 4)], MEASUREMENT)
    target = BytesIO()
    pq.write_table(table, target, compression="none", row_group_size=7)
    assert target.getvalue() != write(table, MEASUREMENT)
    assert content_hash(read(target.getvalue(), MEASUREMENT), MEASUREMENT) == content_hash(table, MEASUREMENT)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_file_of_ours_is_refused(content: bytes) -> None:
    """Damaged files, and files with other columns, raise ValueError."""
    with pytest.raises(ValueError, match="not a Parquet file of measurements"):
        read(content, MEASUREMENT)
    with pytest.raises(ValueError, match="not a Parquet file of measurements"):
        read(write(exchanged(1, sequence=1), EXCHANGE), MEASUREMENT)


def test_an_empty_table_is_a_file() -> None:
    """A shard without rows has a file like any other."""
    empty = sorted_rows([], MEASUREMENT)
    assert list(measurements_of(read(write(empty, MEASUREMENT), MEASUREMENT))) == []
    assert rows_of(empty) == []

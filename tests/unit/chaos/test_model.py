"""The model of what must hold finds every breach."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.core.bus import StoredMessage
from services.core.bus.names import EXCHANGES, MEASUREMENTS
from services.core.codec.exchange import encode_summaries
from services.core.codec.measurement import decode_measurements
from services.core.model import ExchangeSummary
from services.core.model.outcome import Reason
from tests.chaos.campaign import Recovery, Run
from tests.chaos.model import _archived as archived
from tests.chaos.model import _lost_or_doubled as lost_or_doubled
from tests.chaos.model import _untrue as untrue
from tests.chaos.model import judge
from tests.chaos.record import Acknowledged
from tests.chaos.schedule import Fault
from tests.chaos.world import SLOT
from tests.support.cases.scorer import batch, measure

SUBJECT = "peyvand.v1.measurement.main.1"
FIRST = 1_000


def _message(sequence: int, slot: int) -> StoredMessage:
    return StoredMessage(sequence, SUBJECT, batch([measure("a-b", slot, Reason.OK)]), (slot + 1) * SLOT)


def _run(folder: Path) -> Run:
    """Return a run with slots 1000 to 1003 of one link measured, acknowledged, stored and reported truthfully."""
    (folder / "sandbox").mkdir()
    (folder / "logs").mkdir()
    (folder / "logs" / "sandbox.log").touch()
    header = {"slot_seconds": SLOT, "first_slot": FIRST}
    (folder / "sandbox" / "truth.ndjson").write_text(f"{json.dumps(header)}\n", "utf-8")
    run = Run(folder, first_slot=FIRST)
    run.messages = {MEASUREMENTS: [_message(number + 1, FIRST + number) for number in range(4)], EXCHANGES: []}
    run.before = [
        Acknowledged(0.0, MEASUREMENTS, one.sequence, one.subject, one.data, duplicate=False)
        for one in run.messages[MEASUREMENTS]
    ]
    run.record.acknowledged += run.before
    run.verdicts = {"a-b": dict.fromkeys(range(FIRST, FIRST + 4), 5)}
    return run


def _archive(run: Run) -> list[Path]:
    """Write a segment for each message, as the archive does."""
    segments = []
    for message in run.messages[MEASUREMENTS]:
        (row,) = decode_measurements(message.data)
        name = f"{message.sequence:012}-{message.sequence:012}.parquet"
        segments.append(run.archived / "measurement" / "2026-11-29" / name)
        segments[-1].parent.mkdir(parents=True, exist_ok=True)
        start = datetime.fromtimestamp(row.slot_start, UTC)
        line = {"sequence": message.sequence, "link": row.target.id, "endpoint": None, "slot_start": start}
        pq.write_table(pa.Table.from_pylist([{**line, "outcome": row.outcome.name}]), segments[-1])
    return segments


def test_damaged_segments_are_findings_unless_the_archive_reads_them_later(tmp_path: Path) -> None:
    """A segment that is damaged or gone is a finding, and its rows are missing, unless its damage is noticed when its day is sealed."""
    run = _run(tmp_path)
    first, second, third, _ = _archive(run)
    assert [*archived(run)] == []
    first.write_bytes(b"")
    run.until_sealed = {first}
    assert [*archived(run)] == []
    second.write_bytes(b"")
    third.unlink()
    damaged, missing = archived(run)
    assert damaged.startswith(f"{second.relative_to(tmp_path)} is damaged")
    assert missing.startswith("2 rows of MEASUREMENTS are not in the archive")


def test_a_clean_run_has_no_findings(tmp_path: Path) -> None:
    """A run in which everything held has no findings."""
    run = _run(tmp_path)
    assert [*lost_or_doubled(run), *untrue(run)] == []


def _lose(run: Run) -> None:
    del run.messages[MEASUREMENTS][1]


def _double(run: Run) -> None:
    run.messages[MEASUREMENTS].append(run.messages[MEASUREMENTS][0])


def _forget(run: Run) -> None:
    run.record.acknowledged.pop()
    run.before.pop()


def _lie(run: Run) -> None:
    run.verdicts["a-b"][FIRST] = 3


def _miss(run: Run) -> None:
    _lose(run)
    run.before.pop(1)
    run.verdicts["a-b"][FIRST + 1] = None


@pytest.mark.parametrize(
    ("happen", "found"),
    [
        (_lose, "1 acknowledged messages of MEASUREMENTS are gone"),
        (_double, "1 messages of MEASUREMENTS are stored twice"),
        (_forget, "1 messages of MEASUREMENTS were never acknowledged"),
        (_lie, "1 known verdicts are not true: a-b in slot 1000: 3 for 5"),
        (_miss, "1 slots were not measured although no prober was disturbed: a-b in slot 1001"),
    ],
)
def test_what_must_not_happen_is_found(tmp_path: Path, happen: Callable[[Run], None], found: str) -> None:
    """Each breach is reported in one sentence."""
    run = _run(tmp_path)
    happen(run)
    (finding,) = [*lost_or_doubled(run), *untrue(run)]
    assert finding.startswith(found)


@pytest.mark.parametrize(
    ("revision", "count", "findings"),
    [(7, 7, 1), (8, 8, 0), (8, 9, 1), (9, 9, 0)],
    ids=("older", "same", "other", "newer"),
)
def test_a_summary_that_was_replaced_is_not_sent_again(
    tmp_path: Path, revision: int, count: int, findings: int
) -> None:
    """A collector resends a summary, in any message, until it is acknowledged or has a later revision."""

    def summary(revision: int, count: int, *others: ExchangeSummary) -> bytes:
        return encode_summaries("xroad", [ExchangeSummary("a", "s", FIRST * SLOT, revision, count=count), *others])

    other = ExchangeSummary("b", "s", FIRST * SLOT, 1, count=1)
    run = _run(tmp_path)
    subject = "peyvand.v1.exchange.xroad.0"
    run.messages[EXCHANGES] = [StoredMessage(1, subject, summary(8, 8), FIRST * SLOT)]
    run.messages[EXCHANGES].append(StoredMessage(2, subject, summary(revision, count, other), FIRST * SLOT))
    run.record.acknowledged.append(
        Acknowledged(0.0, EXCHANGES, 2, subject, summary(revision, count, other), duplicate=False)
    )
    assert len([*lost_or_doubled(run)]) == findings


def test_a_slot_may_be_missed_while_the_prober_is_disturbed(tmp_path: Path) -> None:
    """An unmeasured slot is no finding while the prober is down; a wrong verdict is none while its clock is wrong."""
    run = _run(tmp_path)
    _miss(run)
    run.blind = [((FIRST + 1) * SLOT, (FIRST + 2) * SLOT)]
    _lie(run)
    run.astray = [((FIRST - 1) * SLOT, FIRST * SLOT + 1)]
    assert [*untrue(run)] == []


def test_a_system_that_does_not_recover_is_found(tmp_path: Path) -> None:
    """Late or missing recoveries and tracebacks are findings before anything else is read."""
    run = _run(tmp_path)
    run.verdicts = {}
    fault = Fault("processes", "kill", "prober", number=7)
    run.recoveries = [Recovery([fault], None), Recovery([fault], 500.0), Recovery([fault], 3.0)]
    (tmp_path / "logs" / "prober.log").write_text("Traceback (most recent call last):\n", "utf-8")
    assert judge(run) == [
        "it did not recover from 7: kill prober",
        "it took 500.0 s to recover from 7: kill prober",
        "prober.log has 1 tracebacks, the first from line 1",
    ]

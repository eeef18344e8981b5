from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tracemalloc
from dataclasses import replace
from typing import cast

import pytest

from services.collector.ledger.batch_result import BatchResult
from services.collector.ledger.ledger import Ledger
from services.collector.ledger.summary_rows import LedgerTotals
from services.collector.records.batch import RecordBatch, SourcePosition
from services.collector.records.formats import read
from services.collector.records.generic import read_generic
from services.collector.records.timeline import ReplayTimeline
from services.collector.records.xroad import read_side
from services.core.errors import StateError
from tests.bench.loads.exchange_records import lines
from tests.support.cases.ledger import DAY, HOUR, NOW, SLOT_SECONDS, batch, counts
from tests.support.values.exchange_records import PERSONAL


def test_the_real_sample_is_counted_once(ledger, data_file):
    """2,615 exchanges, 1,905 + 710 meta, none orphan; a second reading is all duplicates and changes nothing."""
    total = BatchResult()
    for _ in range(2):
        with data_file("opmon_dev_5230.ndjson").open("rb") as stream:
            for some in read(stream):
                total += ledger.take("log", some, now_ms=NOW)
    assert (total.read, total.duplicates, total.expired, total.paired) == (10_460, 5230, 0, 2615)
    found = list(ledger.summaries())
    assert sum(s.count for s in found) == sum(s.ok for s in found) == sum(s.skew_count for s in found) == 2615
    assert sum(s.count for s in found if s.meta) == 710
    assert sum(s.orphans for s in found) == 0
    assert sum(s.repeats or 0 for s in found) == 2  # one message id has three request ids
    assert all(sum(s.duration_buckets) == s.count for s in found)


def test_the_other_side_replaces_the_orphan(ledger, both):
    """An exchange that its producer logged first moves to the slot of the client's request once that comes."""
    ours, theirs = both(1_699_999_799_980)
    ledger.take("log", batch(theirs), now_ms=NOW)
    service = "IR/GOV/200/registry/person"
    assert counts(ledger) == {(service, 1_699_999_800): (1, 1)}
    ledger.acknowledge(ledger.unpublished(10))
    taken = ledger.take("log", batch(ours), now_ms=NOW)
    assert taken.paired == 1
    assert counts(ledger) == {(service, 1_699_999_500): (1, 0)}
    # The emptied slot is published as a replacement too, or it would stay counted.
    replacements = {p.summary.slot_start: p.summary.count for p in ledger.unpublished(10)}
    assert replacements == {1_699_999_800: 0, 1_699_999_500: 1}


def test_an_exchange_that_is_made_again_is_a_repeat(ledger, both):
    """Each further request of one message id, client and service is a repeat. The same records read again are not."""

    def repeats():
        return {(s.service, s.slot_start): (s.count, s.repeats) for s in ledger.summaries()}

    service = "IR/GOV/200/registry/person"
    first, second, third = (both(1_699_999_900_000 + 300_000 * n, xRequestId=f"x-{n}") for n in range(3))
    other = both(1_699_999_900_000, xRequestId="x-3", serviceCode="firm")
    for records in (first, first, other, second[:1], second[1:], second):
        ledger.take("log", batch(*records), now_ms=NOW)
    assert sorted(repeats().values()) == [(1, 0), (1, 0), (1, 1)]
    ledger.take("log", batch(*third), now_ms=NOW)
    found = repeats()
    assert sorted(found.values()) == [(1, 0), (1, 0), (1, 1), (1, 1)]
    again = Ledger(None, SLOT_SECONDS, now_ms=NOW)
    with again:
        again.take("log", batch(*third, *second, *other, *first), now_ms=NOW)
        assert {(s.service, s.slot_start): (s.count, s.repeats) for s in again.summaries()} == found
    alone = [number for (of, _), (_, number) in found.items() if of != service]
    assert alone == [0]


def test_exchanges_paired_by_their_message_id_repeat_the_first(ledger, both):
    """Without request ids, the second of two exchanges with one message id is a repeat, whichever is read first."""
    early, late = both(1_699_999_900_000, xRequestId=None), both(1_699_999_950_000, xRequestId=None)
    for records in (late, early):
        ledger.take("log", batch(*records), now_ms=NOW)
    assert [(s.count, s.repeats) for s in ledger.summaries()] == [(2, 1)]


def test_a_line_with_the_id_of_another_is_a_repeat(ledger):
    """Lines of another bus are repeats if id, parties and service are the same and the time differs."""
    line = {"consumer": "tax", "provider": "civil", "ok": True, "duration_ms": 5, "time": 1_699_999_900}
    lines = [{**line, "id": "a"}, {**line, "id": "a", "time": 1_699_999_901}, {**line, "id": "b"}, line, line]
    sides = tuple(map(read_generic, lines))
    ledger.take("log", RecordBatch(sides, (), SourcePosition(1, 1)), now_ms=NOW)
    assert [(s.count, s.repeats) for s in ledger.summaries()] == [(4, 1)]


def test_revisions_rise_and_only_the_acknowledged_one_is_published(ledger, raw):
    """A summary that changed after it was sent is sent again, with a higher revision."""
    ledger.take("log", batch(raw()), now_ms=NOW)
    [first] = ledger.unpublished(10)
    ledger.take("log", batch(raw(xRequestId="x-2")), now_ms=NOW)
    ledger.acknowledge([first])
    [second] = ledger.unpublished(10)
    assert second.summary.revision > first.summary.revision > NOW
    assert second.summary.count == 2
    ledger.acknowledge([second])
    ledger.acknowledge([first])
    assert ledger.unpublished(10) == []
    assert ledger.totals().unpublished == 0


def test_a_restored_copy_outranks_what_was_published_since(tmp_path, raw):
    """A restored copy of a state publishes above the revisions of the state that it replaces."""
    path, copy = tmp_path / "a" / "state.sqlite", tmp_path / "b" / "state.sqlite"
    path.parent.mkdir()

    def take(ledger, now_ms, *numbers):
        for number in numbers:  # each a transaction, with a revision of its own
            ledger.take("log", batch(raw(xRequestId=f"x-{number}"), line=number), now_ms=now_ms)
        sent = ledger.unpublished(10)
        ledger.acknowledge(sent)
        return sent

    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        take(ledger, NOW, 1)
    shutil.copytree(path.parent, copy.parent)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        [lost] = take(ledger, NOW + 1, *range(2, 9))
    later = NOW + HOUR
    with Ledger(copy, SLOT_SECONDS, now_ms=later) as ledger:
        [again] = take(ledger, later, 2, 3)
        [last] = take(ledger, later, *range(4, 10))
    assert (lost.summary.count, last.summary.count) == (8, 9)
    assert lost.summary.revision < later <= again.summary.revision < last.summary.revision


def test_a_late_side_opens_no_slot_before_the_first_request(tmp_path, raw):
    """A recreated state counts nothing in slots that began before its first request, so that their published summaries
    stay. Later slots count, also after a restart.
    """
    path, begun = tmp_path / "state.sqlite", 1_699_999_800_000
    late, within, whole = raw(begun - 1), raw(begun + 299_999, xRequestId="x-2"), raw(begun + 300_000, xRequestId="x-3")
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert ledger.take("ss", batch(late, within, whole), now_ms=NOW, asked_from_ms=begun + 1).expired == 2
        assert ledger.take("other", batch(within), now_ms=NOW, asked_from_ms=begun) == BatchResult(read=1)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        again = batch(raw(begun - 5, xRequestId="x-4"), line=2)
        assert ledger.take("ss", again, now_ms=NOW, asked_from_ms=begun + HOUR) == BatchResult(read=1, expired=1)
        assert [s.slot_start for s in ledger.summaries()] == [begun // 1000, begun // 1000 + 300]


def test_records_of_a_file_count_however_late(ledger, raw):
    """Records of a file count however late they come."""
    for number in range(3):
        late = batch(raw(NOW - DAY, xRequestId=f"x-{number}"))
        assert ledger.take("log", late, now_ms=NOW) == BatchResult(read=1)


def test_a_repetition_is_no_change(ledger, raw):
    """Records seen before raise no revision, in the same batch or in another."""
    assert ledger.take("log", batch(raw(), raw(monitoringDataTs=9)), now_ms=NOW).duplicates == 1
    ledger.acknowledge(ledger.unpublished(10))
    assert ledger.take("log", batch(raw(insertTime=1.0)), now_ms=NOW).duplicates == 1
    assert ledger.unpublished(10) == []


def test_state_survives_and_reading_goes_on(tmp_path, both):
    """After a restart, positions, orphans and unpublished summaries are still there, and the other side still pairs."""
    path = tmp_path / "state.sqlite"
    ours, theirs = both()
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert ledger.position("log") is None
        ledger.take("log", batch(ours, line=4), now_ms=NOW)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert ledger.position("log") == SourcePosition(40, 4)
        assert ledger.totals().unpublished == 1
        ledger.take("log", batch(theirs, line=5), now_ms=NOW)
        assert [(s.count, s.orphans) for s in ledger.summaries()] == [(1, 0)]


def test_a_batch_that_fails_leaves_nothing_behind(tmp_path, raw):
    """A transaction that cannot be finished changes neither counts nor position, and the next one works."""
    with Ledger(tmp_path / "state.sqlite", SLOT_SECONDS, now_ms=NOW) as ledger:
        ledger.take("log", batch(raw()), now_ms=NOW)
        broken = batch(raw(xRequestId="x-2", serviceCode="firm"), line=9)
        with pytest.raises(StateError, match="cannot be written"):
            ledger.take("log", replace(broken, position=SourcePosition(1 << 40, cast(int, None))), now_ms=NOW)
        assert ledger.position("log") == SourcePosition(10, 1)
        assert [s.count for s in ledger.summaries()] == [1]
        ledger.take("log", broken, now_ms=NOW)
        assert [s.count for s in ledger.summaries()] == [1, 1]


def test_totals_are_those_of_all_summaries(tmp_path, raw, both):
    """The totals are the sums over all summaries, also after a restart."""
    path = tmp_path / "state.sqlite"
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        ledger.take("log", batch(*both(), both(xRequestId="x-2")[1], raw(xRequestId="x-3")), now_ms=NOW)
        ledger.take("log", batch(both(xRequestId="x-2")[0]), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(10))
        expected = LedgerTotals(exchanges=3, orphans=1, unpublished=0)
        assert ledger.totals() == expected
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert ledger.totals() == expected
        found = list(ledger.summaries())
        assert (sum(s.count for s in found), sum(s.orphans for s in found)) == (3, 1)


def test_totals_say_since_when_the_oldest_summary_waits(raw):
    """A summary waits since its last change, whatever else comes in; an acknowledged one no longer does."""
    with Ledger(None, SLOT_SECONDS, now_ms=NOW) as ledger:
        ledger.take("log", batch(raw()), now_ms=NOW + 1_000)
        oldest = ledger.unpublished(10)
        ledger.take("log", batch(raw(xRequestId="x-2", serviceCode="firm"), line=9), now_ms=NOW + 2_000)
        assert ledger.totals().oldest_unpublished_ms == NOW + 1_000
        ledger.acknowledge(oldest)
        assert ledger.totals().oldest_unpublished_ms == NOW + 2_000
        ledger.acknowledge(ledger.unpublished(10))
        assert ledger.totals().oldest_unpublished_ms is None


def test_a_timeline_places_exchanges_and_keeps_their_durations(tmp_path, both):
    """Replayed exchanges fall into today's slots; durations and skew stay those of the log, after a restart too."""
    path, start = tmp_path / "state.sqlite", 1_699_999_500_000
    for part, record in enumerate(both()):
        with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
            if part == 0:
                ledger.replay("log", ReplayTimeline(start, 1_800_000_000_000, 7 * DAY, 30_000))
                assert ledger.position("log") == SourcePosition(0, 0)
            ledger.take("log", batch(record), now_ms=NOW)
            [found] = ledger.summaries()
    assert (found.slot_start, found.count, found.orphans) == (1_800_000_000, 1, 0)
    assert (found.duration_ms_sum, found.skew_ms_sum) == (120.0, 5.0)


def test_another_slot_length_is_refused(tmp_path):
    """A state with another slot length is refused with what to do about it."""
    path = tmp_path / "state.sqlite"
    Ledger(path, SLOT_SECONDS, now_ms=NOW).close()
    with pytest.raises(StateError) as caught:
        Ledger(path, 60, now_ms=NOW)
    assert str(caught.value) == (
        f"the collector's state {path} counts in slots of 300 s and the register now says 60 s: "
        "give the collector a new data directory"
    )


def test_only_one_process_may_hold_the_state(tmp_path):
    """A second collector on the same state is refused, and the first continues."""
    path = tmp_path / "state.sqlite"
    with Ledger(path, SLOT_SECONDS, now_ms=NOW), pytest.raises(StateError, match="another process uses it"):
        Ledger(path, SLOT_SECONDS, now_ms=NOW)
    Ledger(path, SLOT_SECONDS, now_ms=NOW).close()


def test_a_file_that_is_no_state_is_refused(tmp_path):
    """A foreign file is set aside for a new state, and a state of another version is refused. Neither is changed."""
    foreign = tmp_path / "foreign.sqlite"
    foreign.write_bytes(b"not a database" * 100)
    Ledger(foreign, SLOT_SECONDS, now_ms=NOW).close()
    assert foreign.with_name("foreign.sqlite.damaged").read_bytes() == b"not a database" * 100
    newer = tmp_path / "newer.sqlite"
    Ledger(newer, SLOT_SECONDS, now_ms=NOW).close()
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StateError, match="written by another version"):
        Ledger(newer, SLOT_SECONDS, now_ms=NOW)


def test_memory_does_not_grow_with_the_records():
    """Four times the records, shuffled, halved and repeated, take no more memory, and each counts once."""
    peaks = []
    for records in (4_000, 16_000):
        content = io.BytesIO(b"".join(lines(records)))
        tracemalloc.start()
        with Ledger(None, SLOT_SECONDS, now_ms=NOW) as ledger:
            taken = sum((ledger.take("log", some, now_ms=1 << 50) for some in read(content)), BatchResult())
            totals = ledger.totals()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (taken.read, taken.duplicates) == (records, records // 100)
        assert (totals.exchanges, totals.orphans) == (records // 2, records // 100)
    # The number of batches in memory may differ by one. The 12,000 records more would take 5 MB.
    assert peaks[1] < peaks[0] + 2_000_000


def test_nothing_personal_reaches_the_state(tmp_path, raw):
    """No canary of a personal field is in any file of the state."""
    personal = dict.fromkeys(PERSONAL, "CANARY")
    lines = json.dumps(raw() | personal) + "\n" + json.dumps(raw(succeeded=1) | personal) + "\nCANARY\n"
    ledger = Ledger(tmp_path / "state.sqlite", SLOT_SECONDS, now_ms=NOW)
    for some in read(io.BytesIO(lines.encode())):
        assert len(some.rejects) == 2
        ledger.take("log", some, now_ms=NOW)
    contents = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert any(read_side(raw()).request in content for content in contents)
    assert not any(b"CANARY" in content for content in contents)
    ledger.close()

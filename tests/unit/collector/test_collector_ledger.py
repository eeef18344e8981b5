from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tracemalloc
from dataclasses import replace

import pytest
from msgspec import structs

from services.collector import sides
from services.collector.batch import Batch, Position
from services.collector.cells import Totals
from services.collector.formats import read
from services.collector.ledger import Ledger, Taken
from services.collector.publisher import messages
from services.collector.record import read_side
from services.collector.replay import Timeline
from services.core import codec
from services.core.errors import StateError
from services.core.model import Member
from services.register.load import load
from services.register.mapping import Mapping
from tests.bench.exchange_load import lines
from tests.exchange_records import PERSONAL
from tests.registers import write_register

NOW = 1_700_000_500_000
HOUR, DAY = 3_600_000, 86_400_000
NOBODY = Mapping(None)


def batch(*records, line=1):
    return Batch(tuple(map(read_side, records)), (), Position(line * 10, line))


def counts(ledger):
    return {(s.service, s.slot_start): (s.count, s.orphans) for s in ledger.summaries()}


@pytest.fixture
def ledger():
    with Ledger(None, NOBODY, now_ms=NOW) as opened:
        yield opened


def test_the_real_sample_is_counted_once(ledger, data_file):
    """2,615 exchanges, 1,905 + 710 meta, none orphan; a second reading is all duplicates and changes nothing."""
    total = Taken()
    for _ in range(2):
        with data_file("opmon_dev_5230.ndjson").open("rb") as stream:
            for some in read(stream):
                total += ledger.take("log", some, now_ms=NOW)
    assert (total.read, total.duplicates, total.expired, total.paired) == (10_460, 5230, 0, 2615)
    found = list(ledger.summaries())
    assert sum(s.count for s in found) == sum(s.ok for s in found) == sum(s.skew_count for s in found) == 2615
    assert sum(s.count for s in found if s.meta) == 710
    assert sum(s.orphans for s in found) == 0
    assert all(sum(s.duration_buckets) == s.count for s in found)


def test_the_other_side_replaces_the_orphan(ledger, both):
    """An exchange logged by its producer first moves to the slot of the client's request once that is there."""
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


def test_an_older_copy_put_back_outranks_what_was_published_since(tmp_path, raw):
    """Of a state that was put back, what is read again and anew is published above the revisions of the state it replaces."""
    path, copy = tmp_path / "state.sqlite", tmp_path / "copy.sqlite"

    def take(ledger, now_ms, *numbers):
        for number in numbers:  # each a transaction, with a revision of its own
            ledger.take("log", batch(raw(xRequestId=f"x-{number}"), line=number), now_ms=now_ms)
        sent = ledger.unpublished(10)
        ledger.acknowledge(sent)
        return sent

    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        take(ledger, NOW, 1)
    shutil.copy(path, copy)
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        [lost] = take(ledger, NOW + 1, *range(2, 9))
    later = NOW + HOUR
    with Ledger(copy, NOBODY, now_ms=later) as ledger:
        [again] = take(ledger, later, 2, 3)
        [last] = take(ledger, later, *range(4, 10))
    assert (lost.summary.count, last.summary.count) == (8, 9)
    assert lost.summary.revision < later <= again.summary.revision < last.summary.revision


def test_a_late_side_opens_no_slot_from_before_the_first_question(tmp_path, raw):
    """A state that was lost and made anew counts nothing in slots of which its first question saw a part alone or nothing, so
    that what was published of them stays; the slot that begins with that question or after it counts, over a restart as well.
    """
    path, begun = tmp_path / "state.sqlite", 1_699_999_800_000
    late, within, whole = raw(begun - 1), raw(begun + 299_999, xRequestId="x-2"), raw(begun + 300_000, xRequestId="x-3")
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        assert ledger.take("ss", batch(late, within, whole), now_ms=NOW, asked_from_ms=begun + 1).expired == 2
        assert ledger.take("other", batch(within), now_ms=NOW, asked_from_ms=begun) == Taken(read=1)
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        again = batch(raw(begun - 5, xRequestId="x-4"), line=2)
        assert ledger.take("ss", again, now_ms=NOW, asked_from_ms=begun + HOUR) == Taken(read=1, expired=1)
        assert [s.slot_start for s in ledger.summaries()] == [begun // 1000, begun // 1000 + 300]


def test_a_source_begun_before_that_was_kept_goes_on_as_it_was(ledger, raw):
    """Where only the position of a source is known, and of a file, what came late counts as before."""
    for number, asked in enumerate((None, NOW, NOW)):
        some = batch(raw(NOW - DAY, xRequestId=f"x-{number}"))
        assert ledger.take("ss", some, now_ms=NOW, asked_from_ms=asked) == Taken(read=1)


def test_a_repetition_is_no_change(ledger, raw):
    """Records seen before raise no revision, in the same batch or in another."""
    assert ledger.take("log", batch(raw(), raw(monitoringDataTs=9)), now_ms=NOW).duplicates == 1
    ledger.acknowledge(ledger.unpublished(10))
    assert ledger.take("log", batch(raw(insertTime=1.0)), now_ms=NOW).duplicates == 1
    assert ledger.unpublished(10) == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_one_request_id_has_few_sides(raw, size):
    """Of an id that half a hundred clients and as many producers use 64 sides are kept, over batches too, and none is written
    again for those that follow; each of these is rejected at its place, and so is one that comes again.
    """
    lines = [
        json.dumps(raw(NOW - 1000, messageId=f"m-{number}", securityServerType=("Client", "Producer")[number % 2]))
        for number in range(100)
    ]
    content = ("\n".join(["", *lines[:70], "", *lines[69:], lines[0]]) + "\n").encode()
    with Ledger(None, NOBODY, now_ms=NOW) as ledger:
        taken = [ledger.take("log", some, now_ms=NOW) for some in read(io.BytesIO(content), size=size)]
        total = sum(taken, Taken())
        assert (total.read, total.duplicates, total.rejected, total.paired) == (102, 1, 37, 32)
        places = [(one.number, one.length, one.unit) for some in taken for one in some.refused]
        assert places == [
            (number, len(content.splitlines()[number - 1]), "line") for number in (*range(66, 72), *range(73, 104))
        ]
        assert {one.reason for some in taken for one in some.refused} == {"64 other records have its xRequestId"}
        assert (ledger.totals().exchanges, ledger.totals().orphans) == (32, 0)
        before = ledger._facts["revision"]
        assert ledger.take("log", batch(json.loads(lines[99])), now_ms=NOW).rejected == 1
        assert ledger._facts["revision"] == before


def test_an_id_that_has_too_many_sides_already_keeps_them(ledger, raw):
    """A state of before there was a limit is counted as it is; what comes to such an id is rejected."""
    sides = tuple(read_side(raw(messageId=f"m-{number}")) for number in range(70))
    counting = ledger._counting()
    with pytest.MonkeyPatch.context() as patch, ledger._transaction():
        patch.setattr("services.collector.counting.MOST_SIDES", 70)
        counting.take({sides[0].request: list(sides)}, DAY, 0)
        ledger._change(counting, NOW)
    more = batch(raw(messageId="m-1"), raw(messageId="m-70"), raw(messageId="m-70"))
    taken = ledger.take("log", more, now_ms=NOW)
    assert (taken.duplicates, taken.rejected) == (1, 2)
    assert ledger.totals().exchanges == 70


def test_state_survives_and_reading_goes_on(tmp_path, both):
    """After a restart positions, orphans and unpublished summaries are there, and the other side still pairs."""
    path = tmp_path / "state.sqlite"
    ours, theirs = both()
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        assert ledger.position("log") is None
        ledger.take("log", batch(ours, line=4), now_ms=NOW)
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        assert ledger.position("log") == Position(40, 4)
        assert ledger.totals().unpublished == 1
        ledger.take("log", batch(theirs, line=5), now_ms=NOW)
        assert [(s.count, s.orphans) for s in ledger.summaries()] == [(1, 0)]


def test_a_batch_that_fails_leaves_nothing_behind(tmp_path, raw):
    """A transaction that cannot be finished changes neither counts nor position, and the next one works."""
    with Ledger(tmp_path / "state.sqlite", NOBODY, now_ms=NOW) as ledger:
        ledger.take("log", batch(raw()), now_ms=NOW)
        broken = batch(raw(xRequestId="x-2", serviceCode="firm"), line=9)
        with pytest.raises(StateError, match="cannot be written"):
            ledger.take("log", replace(broken, position=Position(1 << 40, None)), now_ms=NOW)
        assert ledger.position("log") == Position(10, 1)
        assert [s.count for s in ledger.summaries()] == [1]
        ledger.take("log", broken, now_ms=NOW)
        assert [s.count for s in ledger.summaries()] == [1, 1]


def test_old_records_are_forgotten_and_refused(raw):
    """What is older than the pairing span is dropped from the state, and refused when it comes again."""
    with Ledger(None, NOBODY, now_ms=NOW, span_ms=DAY) as ledger:

        def at(moment, **more):
            return raw(requestInTs=moment, responseOutTs=moment + 9, xRequestId=f"x-{moment}", **more)

        start = NOW - 30 * DAY
        ledger.take("log", batch(at(start)), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(10))
        ledger.take("log", batch(at(start + 3 * DAY)), now_ms=NOW)
        sides = ledger._database.execute("SELECT count(*) FROM request").fetchone()[0]
        assert (sides, ledger.totals()) == (1, Totals(exchanges=1, orphans=1, unpublished=1))
        assert ledger.take("log", batch(at(start)), now_ms=NOW) == Taken(read=1, expired=1)
        assert ledger.take("log", batch(at(start + 2 * DAY + HOUR)), now_ms=NOW) == Taken(read=1)


def pairs(ledger):
    """The services of all pairs, as the table has them; what is in memory is the same."""
    rows = ledger._database.execute("SELECT id, service FROM pair").fetchall()
    assert {number: parties.service for number, parties in ledger._pairs._parties.items()} == dict(rows)
    assert sorted(ledger._pairs._numbers.values()) == sorted(ledger._pairs._attributions) == sorted(dict(rows))
    return {service.rpartition("/")[2]: number for number, service in rows}


@pytest.mark.parametrize("hours", [6, 30])
@pytest.mark.parametrize("restarts", [False, True])
def test_pairs_that_nothing_names_are_forgotten(tmp_path, raw, hours, restarts):
    """Whatever was called once is forgotten after its summary and its sides, at any pace and across restarts, and others
    have its number; what is called again, or named by a side that is kept, stays.
    """
    path, start = tmp_path / "state.sqlite", NOW - 90 * DAY

    def opened():
        return Ledger(path, NOBODY, now_ms=NOW, span_ms=2 * DAY)

    def take(ledger, hour, code, **more):
        ledger.take("log", batch(raw(start + hour * HOUR, serviceCode=code, **more)), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(1000))

    ledger, again, late = opened(), range(90, 181, 6), 330 if hours == 30 else 348
    for code in ("once", "twice", *map(str, again)):
        take(ledger, 0, code, xRequestId=code)
    taken = set(pairs(ledger).values())
    for hour in range(hours, 18 * 24, hours):
        if hour in again:  # some are about to be forgotten then
            take(ledger, hour, str(hour), xRequestId=f"again-{hour}")
        if hour == 300:  # the sides do not agree on what was called: no summary names "other"
            take(ledger, hour, "always", xRequestId="y")
            take(ledger, hour, "other", xRequestId="y", securityServerType="Producer")
        take(ledger, hour, "always", xRequestId=f"x-{hour}")
        assert {summary.service.rpartition("/")[2] for summary in ledger.summaries()} <= set(pairs(ledger))
        if hour == 240:
            assert {"always", "180"} <= set(pairs(ledger))
            assert {"once", "twice"}.isdisjoint(pairs(ledger))
        if hour == late:
            [known] = sides.known(ledger._database, [read_side(raw(xRequestId="y")).request], ledger._pairs, 0).values()
            assert [side.parties.service.rpartition("/")[2] for side in known] == ["always", "other"]
        if restarts and hour % 5 == 0:
            ledger.close()
            ledger = opened()
    assert {"always"} == set(pairs(ledger))
    take(ledger, 18 * 24, "new", xRequestId="new")
    assert pairs(ledger)["new"] in taken
    ledger.close()


def test_a_state_of_the_version_before_is_taken_over(tmp_path, raw):
    """A state without the table of idle pairs is given it, and goes on."""
    path = tmp_path / "state.sqlite"
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        ledger.take("log", batch(raw()), now_ms=NOW)
        ledger._database.execute("DROP TABLE idle")
        ledger._database.execute("PRAGMA user_version = 3")
    for count in (1, 2):
        with Ledger(path, NOBODY, now_ms=NOW) as ledger:
            assert [one.count for one in ledger.summaries()] == [count]
            ledger.take("log", batch(raw(xRequestId=f"x-{count}0")), now_ms=NOW)


def test_totals_are_those_of_all_summaries(tmp_path, raw, both):
    """The totals kept are the sums over summaries, also in a state that was written before they were kept."""
    path = tmp_path / "state.sqlite"
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        ledger.take("log", batch(*both(), both(xRequestId="x-2")[1], raw(xRequestId="x-3")), now_ms=NOW)
        ledger.take("log", batch(both(xRequestId="x-2")[0]), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(10))
        expected = Totals(exchanges=3, orphans=1, unpublished=0)
        assert ledger.totals() == expected
        ledger._database.execute("DELETE FROM fact WHERE name IN ('exchanges', 'orphans')")
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        assert ledger.totals() == expected
        found = list(ledger.summaries())
        assert (sum(s.count for s in found), sum(s.orphans for s in found)) == (3, 1)


def test_a_clock_in_the_future_makes_nothing_old(raw):
    """Forgetting counts from now where records claim to be later, and one wrong clock in a batch is outvoted."""
    with Ledger(None, NOBODY, now_ms=NOW, span_ms=DAY) as ledger:

        def at(moment):
            return raw(moment, xRequestId=f"x-{moment}")

        ledger.take("log", batch(at(NOW + 1000 * DAY)), now_ms=NOW)
        ledger.take("log", batch(at(NOW), at(NOW + 1), at(NOW + 900 * DAY)), now_ms=NOW + 1000 * DAY)
        assert ledger.take("log", batch(at(NOW - HOUR)), now_ms=NOW).expired == 0


def test_unpublished_summaries_are_never_forgotten(raw):
    """However long the bus is away, what it has not acknowledged stays."""
    with Ledger(None, NOBODY, now_ms=NOW, span_ms=DAY) as ledger:
        for days in (30, 20, 10):
            moment = NOW - days * DAY
            ledger.take("log", batch(raw(requestInTs=moment, responseOutTs=moment, xRequestId=f"x-{days}")), now_ms=NOW)
        assert len(ledger.unpublished(10)) == 3


def test_another_span_pairs_anew_what_is_not_forgotten(tmp_path, both):
    """A shorter span parts what is now too far apart, a longer one joins it again, and what changed is published; a state of
    before spans were kept counts by the default one.
    """
    path = tmp_path / "state.sqlite"
    (near, _), (_, far) = both(NOW - 2 * DAY), both(NOW)
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        ledger.take("log", batch(near, far), now_ms=NOW)
        [sent] = ledger.unpublished(10)
        ledger.acknowledge([sent])
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM fact WHERE name = 'span_ms'")
    database.close()
    for span, expected in ((DAY, (2, 2)), (DAY, (2, 2)), (3 * DAY, (1, 0)), (10 * DAY, (1, 0))):
        with Ledger(path, NOBODY, now_ms=NOW, span_ms=span) as ledger:
            assert (ledger.totals().exchanges, ledger.totals().orphans) == expected
            assert (len(list(ledger.summaries())), len(ledger.unpublished(10))) == (expected[0], 2)


def test_a_longer_span_leaves_alone_what_was_forgotten(tmp_path, both, raw):
    """Where the summary of one side is forgotten, a longer span does not pair it with another, now or when more comes of the
    same request id: nothing is taken from a summary that is no longer there.
    """
    path, start = tmp_path / "state.sqlite", NOW - 30 * DAY
    (early, _), (_, late) = both(start), both(start + 3 * DAY)
    with Ledger(path, NOBODY, now_ms=NOW, span_ms=2 * DAY) as ledger:
        ledger.take("log", batch(early, late), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(10))
        ledger.take("log", batch(raw(start + 5 * DAY, xRequestId="x-2")), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(10))
        before = counts(ledger)
    with Ledger(path, NOBODY, now_ms=NOW, span_ms=9 * DAY) as ledger:
        assert counts(ledger) == before
        again, _ = both(start + 4 * DAY)
        ledger.take("log", batch(again), now_ms=NOW)
        assert sorted(one.summary.count for one in ledger.unpublished(10)) == [0, 1]  # the late side found another
        assert sorted(counts(ledger).values()) == [(1, 0), (1, 1)]
        assert (ledger.totals().exchanges, ledger.totals().orphans) == (2, 1)


def told(ledger):
    """What the bus is told next, as it reads it, by slot."""
    [message] = messages("bus", "register", ledger.unpublished(10))
    return {one.slot_start: one for one in codec.decode_summaries(message.payload)[1]}


@pytest.mark.parametrize("batches", [(range(1200),), (range(600), range(600, 1200))])
def test_sums_stop_before_they_are_too_large_for_the_state(ledger, both, batches):
    """However much is claimed, in one batch or in two, a sum stops at 2^61, and at 0 when it is taken back; counts stay exact
    and nothing fails.
    """
    early, late = 1_699_999_500, 1_699_999_800
    ours, theirs = (read_side(one) for one in both(late * 1000 - 20, requestSize=None))
    theirs = structs.replace(theirs, request_bytes=(1 << 53) - 1)
    for side in (theirs, ours):
        for line, numbers in enumerate(batches):
            ids = [number.to_bytes(15, "big") for number in numbers]
            some = [structs.replace(side, digest=bytes([side.producer]) + one, request=b"x" + one) for one in ids]
            ledger.take("log", Batch(tuple(some), (), Position(0, line)), now_ms=NOW)
        if side is theirs:
            [found] = told(ledger).values()
            assert (found.slot_start, found.count, found.orphans) == (late, 1200, 1200)
            assert (found.request_bytes, found.response_bytes) == (1 << 61, 1200 * 900)
    found = told(ledger)
    assert (found[late].count, found[late].request_bytes, found[late].response_bytes) == (0, 0, 0)
    assert (found[early].count, found[early].request_bytes, found[early].response_bytes) == (1200, 1 << 61, 1200 * 900)


def test_a_state_whose_sums_are_too_large_goes_on(tmp_path, raw):
    """What older versions summed up beyond 64 bits, and SQLite then kept as floating point, is told as the bound, and more can
    be added.
    """
    path = tmp_path / "state.sqlite"
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        ledger.take("log", batch(raw()), now_ms=NOW)
        ledger._database.execute("UPDATE cell SET request_bytes = 9.3e18, response_bytes = 9223372036854775807")
    with Ledger(path, NOBODY, now_ms=NOW) as ledger:
        for count in (1, 2):
            [found] = told(ledger).values()
            assert (found.count, found.request_bytes, found.response_bytes) == (count, 1 << 61, 1 << 61)
            ledger.take("log", batch(raw(xRequestId="x-2")), now_ms=NOW)


def test_a_new_register_publishes_what_it_attributes_anew(tmp_path, raw):
    """A register that says who the parties are re-publishes their summaries, and only theirs."""
    register = load(write_register(tmp_path / "register"))
    path = tmp_path / "state.sqlite"
    with Ledger(path, Mapping(register), now_ms=NOW) as ledger:
        ledger.take("log", batch(raw(), raw(serviceMemberCode="300", xRequestId="x-2")), now_ms=NOW)
        sent = ledger.unpublished(10)
        ledger.acknowledge(sent)
        ledger.remap(Mapping(register), now_ms=NOW)
        assert ledger.unpublished(10) == []
    known = replace(register, members=(Member("IR/GOV/300", "customs"),))
    with Ledger(path, Mapping(known), now_ms=NOW) as ledger:
        [changed] = ledger.unpublished(10)
        assert (changed.summary.consumer, changed.summary.provider, changed.summary.count) == (
            "_unmapped",
            "customs",
            1,
        )
        assert changed.summary.revision > max(one.summary.revision for one in sent)


def test_a_timeline_places_exchanges_and_keeps_their_durations(tmp_path, both):
    """Replayed exchanges fall into today's slots; durations and skew stay those of the log, after a restart too."""
    path, start = tmp_path / "state.sqlite", 1_699_999_500_000
    for part, record in enumerate(both()):
        with Ledger(path, NOBODY, now_ms=NOW) as ledger:
            if part == 0:
                ledger.replay("log", Timeline(start, 1_800_000_000_000, 7 * DAY, 30_000))
                assert ledger.position("log") == Position(0, 0)
            ledger.take("log", batch(record), now_ms=NOW)
            [found] = ledger.summaries()
    assert (found.slot_start, found.count, found.orphans) == (1_800_000_000, 1, 0)
    assert (found.duration_ms_sum, found.skew_ms_sum) == (120.0, 5.0)


def test_another_slot_length_is_refused(tmp_path):
    """A state that counts in other slots is refused with what to do about it."""
    path = tmp_path / "state.sqlite"
    Ledger(path, NOBODY, now_ms=NOW).close()
    register = load(write_register(tmp_path / "register", policy_yaml=("slot_seconds: 300", "slot_seconds: 60")))
    with pytest.raises(StateError) as caught:
        Ledger(path, Mapping(register), now_ms=NOW)
    assert str(caught.value) == (
        f"the collector's state {path} counts in slots of 300 s and the register now says 60 s: "
        "give the collector a new data directory"
    )


def test_only_one_process_may_hold_the_state(tmp_path):
    """A second collector on the same state is refused, and the first goes on."""
    path = tmp_path / "state.sqlite"
    with Ledger(path, NOBODY, now_ms=NOW), pytest.raises(StateError, match="another process uses it"):
        Ledger(path, NOBODY, now_ms=NOW)
    Ledger(path, NOBODY, now_ms=NOW).close()


def test_a_file_that_is_no_state_is_refused(tmp_path):
    """Neither a foreign file nor the state of another version is touched."""
    foreign = tmp_path / "foreign.sqlite"
    foreign.write_bytes(b"not a database" * 100)
    with pytest.raises(StateError, match="cannot be opened"):
        Ledger(foreign, NOBODY, now_ms=NOW)
    assert foreign.read_bytes() == b"not a database" * 100
    newer = tmp_path / "newer.sqlite"
    Ledger(newer, NOBODY, now_ms=NOW).close()
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StateError, match="written by another version"):
        Ledger(newer, NOBODY, now_ms=NOW)


def test_memory_does_not_grow_with_the_records():
    """Four times the records, shuffled, halved and repeated, take no more memory, and each counts once."""
    peaks = []
    for records in (4_000, 16_000):
        content = io.BytesIO(b"".join(lines(records)))
        tracemalloc.start()
        with Ledger(None, NOBODY, now_ms=NOW) as ledger:
            taken = sum((ledger.take("log", some, now_ms=1 << 50) for some in read(content)), Taken())
            totals = ledger.totals()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (taken.read, taken.duplicates) == (records, records // 100)
        assert (totals.exchanges, totals.orphans) == (records // 2, records // 100)
    # One batch more or less is held, as it happens; the 12,000 records more would take 5 MB.
    assert peaks[1] < peaks[0] + 2_000_000


def test_nothing_personal_reaches_the_state(tmp_path, raw):
    """Canaries in every personal field are nowhere in the database, nor in its journal."""
    personal = dict.fromkeys(PERSONAL, "CANARY")
    path = tmp_path / "state.sqlite"
    lines = json.dumps(raw() | personal) + "\n" + json.dumps(raw(succeeded=1) | personal) + "\nCANARY\n"
    ledger = Ledger(path, NOBODY, now_ms=NOW)
    for some in read(io.BytesIO(lines.encode())):
        assert len(some.rejects) == 2
        ledger.take("log", some, now_ms=NOW)
    for written in tmp_path.iterdir():
        assert b"CANARY" not in written.read_bytes()
        assert written.stat().st_size > 0
    ledger.close()

"""Records and summaries that the collector's state drops or pairs again."""

from __future__ import annotations

import numpy as np
import pytest

from services.collector.ledger import sides
from services.collector.ledger.batch_result import BatchResult
from services.collector.ledger.ledger import ClockBehindError, Ledger
from services.collector.ledger.summary_rows import LedgerTotals
from services.collector.records.timeline import ReplayTimeline
from services.collector.records.xroad import read_side
from services.core.codec import decode_summaries, encode_summaries
from tests.support.cases.ledger import DAY, HOUR, NOW, SLOT_SECONDS, batch, counts


def test_old_records_are_forgotten_and_refused(raw):
    """Records older than the pairing span are dropped from the state, and refused when they come again."""
    with Ledger(None, SLOT_SECONDS, now_ms=NOW, span_ms=DAY) as ledger:

        def at(moment, **more):
            return raw(requestInTs=moment, responseOutTs=moment + 9, xRequestId=f"x-{moment}", **more)

        start = NOW - 30 * DAY
        ledger.take("log", batch(at(start)), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(10))
        ledger.take("log", batch(at(start + 3 * DAY)), now_ms=NOW)
        requests = [read_side(at(start + days * DAY)).request for days in (0, 3)]
        assert (len(ledger._requests.read(requests, 0)), ledger.totals()) == (
            1,
            LedgerTotals(1, 1, unpublished=1, oldest_unpublished_ms=ledger.revision),
        )
        assert ledger.take("log", batch(at(start)), now_ms=NOW) == BatchResult(read=1, expired=1)
        assert ledger.take("log", batch(at(start + 2 * DAY + HOUR)), now_ms=NOW) == BatchResult(read=1)


def test_after_an_outage_old_records_are_forgotten_bit_by_bit(raw, monkeypatch):
    """If time moves on by days at once, a batch does not wait until everything old is found. Later ones find the rest."""
    monkeypatch.setattr("services.collector.ledger.ledger._MOST_READ", 100)
    start = NOW - 30 * DAY
    old = batch(*(raw(start, xRequestId=f"x-{number}") for number in range(500)))
    with Ledger(None, SLOT_SECONDS, now_ms=NOW, span_ms=DAY) as ledger:
        ledger.take("log", old, now_ms=NOW)
        left = []
        for day in range(3, 9):
            ledger.take("log", batch(raw(start + day * DAY, xRequestId="x")), now_ms=NOW)
            left.append(len(ledger._requests.read([side.request for side in old.sides], 0)))
            assert ledger.take("log", old, now_ms=NOW).expired == 500
    assert 380 < left[0] <= 400
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


def pairs(ledger):
    """Return the numbers of all pairs in the table by service code, and check that those in memory are the same."""
    rows = ledger._database.execute("SELECT id, service FROM pair").fetchall()
    assert {number: parties.service for number, parties in ledger._pairs._parties.items()} == dict(rows)
    assert sorted(ledger._pairs._numbers.values()) == sorted(dict(rows))
    return {service.rpartition("/")[2]: number for number, service in rows}


@pytest.mark.parametrize("hours", [6, 30])
@pytest.mark.parametrize("restarts", [False, True])
def test_unused_pairs_are_forgotten(tmp_path, raw, hours, restarts):
    """A pair is dropped after its summary and its sides, at any pace and across restarts, and its number is used again.

    A pair that is called again, or that a kept side refers to, stays.
    """
    path, start = tmp_path / "state.sqlite", NOW - 90 * DAY

    def opened():
        return Ledger(path, SLOT_SECONDS, now_ms=NOW, span_ms=2 * DAY)

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
            [known] = ledger._requests.read([read_side(raw(xRequestId="y")).request], 0).values()
            numbers = np.frombuffer(known.sides, sides.SIDE)["pair"].tolist()
            assert [ledger._pairs.parties(one).service.rpartition("/")[2] for one in numbers] == ["always", "other"]
        if restarts and hour % 5 == 0:
            ledger.close()
            ledger = opened()
    assert {"always"} == set(pairs(ledger))
    take(ledger, 18 * 24, "new", xRequestId="new")
    assert pairs(ledger)["new"] in taken
    ledger.close()


def test_a_clock_in_the_future_makes_nothing_old(raw):
    """Nothing is forgotten early: future records count as of now, and one wrong clock in a batch is outvoted."""
    with Ledger(None, SLOT_SECONDS, now_ms=NOW, span_ms=DAY) as ledger:

        def at(moment):
            return raw(moment, xRequestId=f"x-{moment}")

        ledger.take("log", batch(at(NOW - 1), at(NOW + 1000 * DAY)), now_ms=NOW)
        ledger.take("log", batch(at(NOW), at(NOW + 1), at(NOW + 900 * DAY)), now_ms=NOW + 1000 * DAY)
        assert ledger.take("log", batch(at(NOW - HOUR)), now_ms=NOW).expired == 0


@pytest.mark.parametrize("forget", [True, False])
def test_a_record_of_the_future_is_refused(raw, forget):
    """A record of more than a day ahead is expired, except in a state that forgets nothing or replays a log."""
    future = raw(NOW + DAY + 1, xRequestId="x-2")
    with Ledger(None, SLOT_SECONDS, now_ms=NOW, forget=forget) as ledger:
        assert ledger.take("log", batch(raw(NOW + DAY), future), now_ms=NOW) == BatchResult(read=2, expired=int(forget))
    with Ledger(None, SLOT_SECONDS, now_ms=NOW) as ledger:
        ledger.replay("log", ReplayTimeline())
        assert ledger.take("log", batch(future), now_ms=NOW) == BatchResult(read=1)


def test_a_clock_that_is_behind_loses_no_record(raw):
    """If most records of a log are more than a day ahead of the clock, none is taken until the clock is right.

    Records that were requested from a server up to now are not a log, and expire.
    """
    records = batch(*(raw(NOW + moment, xRequestId=f"x-{moment}") for moment in range(3)))
    with Ledger(None, SLOT_SECONDS, now_ms=0) as ledger:
        for now_ms in (0, NOW - DAY - 1):
            with pytest.raises(ClockBehindError, match="more than a day ahead of the clock of this host"):
                ledger.take("log", records, now_ms=now_ms)
            assert (ledger.position("log"), ledger.totals().exchanges) == (None, 0)
        assert ledger.take("server", records, now_ms=0, asked_from_ms=0) == BatchResult(read=3, expired=3)
        assert ledger.take("log", records, now_ms=NOW) == BatchResult(read=3)
        assert (ledger.position("log"), ledger.totals().exchanges) == (records.position, 3)


def test_unpublished_summaries_are_never_forgotten(raw):
    """However long the bus is away, unacknowledged summaries stay."""
    with Ledger(None, SLOT_SECONDS, now_ms=NOW, span_ms=DAY) as ledger:
        for days in (30, 20, 10):
            moment = NOW - days * DAY
            ledger.take("log", batch(raw(requestInTs=moment, responseOutTs=moment, xRequestId=f"x-{days}")), now_ms=NOW)
        assert len(ledger.unpublished(10)) == 3


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("repeats", [1, -1])
def test_a_request_id_of_every_nine_days_changes_no_summary_that_was_dropped(tmp_path, raw, repeats, restarts):
    """Its first exchange may become a repeat, or stop being one, after its summary was dropped. Nothing comes back."""
    lowest, middle, highest = sorted(
        (f"x-{number}" for number in range(3)), key=lambda one: read_side(raw(xRequestId=one)).request
    )
    start = NOW - 30 * DAY

    def opened():
        return Ledger(tmp_path / "state.sqlite", SLOT_SECONDS, now_ms=NOW)

    def take(ledger, day, *ids):
        moment = start + day * DAY
        ledger.take("log", batch(*(raw(moment, xRequestId=one) for one in ids)), now_ms=moment)
        pending = ledger.unpublished(100)
        rows = [one.summary for one in pending]
        assert decode_summaries(encode_summaries("xroad", rows)) == ("xroad", rows)
        ledger.acknowledge(pending)
        return {one.slot_start for one in rows}

    ledger = opened()
    take(ledger, 0, middle, *((lowest,) if repeats < 0 else ()))  # the lowest id is the first of a message
    for day in (9, 18, 27):
        take(ledger, day, middle)
    assert ledger.totals() == LedgerTotals(exchanges=3, orphans=3, unpublished=0)
    if restarts:
        ledger.close()
        ledger = opened()
    first_slot = start // 1000 // SLOT_SECONDS * SLOT_SECONDS
    assert first_slot not in take(ledger, 28, lowest if repeats > 0 else highest)
    assert ledger.totals() == LedgerTotals(exchanges=4, orphans=4, unpublished=0)
    ledger.close()


def test_another_span_pairs_anew_what_is_not_forgotten(tmp_path, both):
    """A shorter span separates sides too far apart, a longer one joins them again, and the changes are published."""
    path = tmp_path / "state.sqlite"
    (near, _), (_, far) = both(NOW - 2 * DAY), both(NOW)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        ledger.take("log", batch(near, far), now_ms=NOW)
        [sent] = ledger.unpublished(10)
        ledger.acknowledge([sent])
    for span, expected in ((DAY, (2, 2)), (DAY, (2, 2)), (3 * DAY, (1, 0)), (10 * DAY, (1, 0))):
        with Ledger(path, SLOT_SECONDS, now_ms=NOW, span_ms=span) as ledger:
            assert (ledger.totals().exchanges, ledger.totals().orphans) == expected
            assert (len(list(ledger.summaries())), len(ledger.unpublished(10))) == (expected[0], 2)


def test_a_longer_span_leaves_alone_what_was_forgotten(tmp_path, both, raw):
    """If the summary of one side is dropped, a longer span does not pair it with another side, now or when more of its
    request id comes. Nothing is subtracted from a dropped summary.
    """
    path, start = tmp_path / "state.sqlite", NOW - 30 * DAY
    (early, _), (_, late) = both(start), both(start + 3 * DAY)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW, span_ms=2 * DAY) as ledger:
        ledger.take("log", batch(early, late), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(10))
        ledger.take("log", batch(raw(start + 5 * DAY, xRequestId="x-2")), now_ms=NOW)
        ledger.acknowledge(ledger.unpublished(10))
        before = counts(ledger)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW, span_ms=9 * DAY) as ledger:
        assert counts(ledger) == before
        again, _ = both(start + 4 * DAY)
        ledger.take("log", batch(again), now_ms=NOW)
        assert sorted(one.summary.count for one in ledger.unpublished(10)) == [0, 1]  # the late side found another
        assert sorted(counts(ledger).values()) == [(1, 0), (1, 1)]
        assert (ledger.totals().exchanges, ledger.totals().orphans) == (2, 1)

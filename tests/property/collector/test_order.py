"""The same records give the same summaries in any order, repetition and division into batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from services.collector.ledger.exchange_sums import Counted, sum_exchanges
from services.collector.ledger.ledger import Ledger
from services.collector.ledger.sides import packed
from services.collector.records.batch import RecordBatch, SourcePosition
from services.collector.records.xroad import Side, read_side
from tests.support.cases.exchanges import counts_of, exchanges_of

START = 1_700_000_000_000
SPAN = 3_600_000


def record(start, network, inside, request_out, response_in, **values):
    """Return a record with these values, with the moments of a request that starts then and takes so long inside and
    between the servers.
    """
    return {
        **values,
        "clientMemberCode": "tax",
        "requestInTs": start,
        "requestOutTs": start + inside if request_out else None,
        "responseInTs": start + inside + network if response_in else None,
        "responseOutTs": start + 2 * inside + network,
    }


# One strategy for all records: Hypothesis would check each new one for as long as it takes to draw from it.
RECORDS = st.builds(
    record,
    start=st.integers(START, START + 3_000_000),
    network=st.integers(-50, 200),
    inside=st.integers(0, 2000),
    request_out=st.booleans(),
    response_in=st.booleans(),
    securityServerType=st.sampled_from(["Client", "Producer"]),
    xRequestId=st.none() | st.sampled_from([f"x-{n}" for n in range(6)]),
    messageId=st.sampled_from([None, "m-1", "m-2"]),
    serviceCode=st.none() | st.sampled_from(["person", "firm", "listMethods"]),
    serviceSubsystemCode=st.sampled_from(["a", None]),
    succeeded=st.booleans(),
    statusCode=st.sampled_from([None, 200, 500]),
    requestSize=st.none() | st.integers(0, 10**6),
)


def summaries(batches):
    with Ledger(None, 300, now_ms=0, span_ms=SPAN, forget=False) as ledger:
        for line, sides in enumerate(batches):
            ledger.take("log", RecordBatch(tuple(sides), (), SourcePosition(0, line)), now_ms=0)
        found = {replace(s, revision=1) for s in ledger.summaries()}
        totals = ledger.totals()
    return found, totals.exchanges, totals.orphans


@settings(max_examples=150)
@given(st.lists(RECORDS, min_size=1, max_size=14), st.data())
def test_order_and_repetition_change_nothing(raw, data):
    """One batch in order, and any shuffle with repetitions in any batches, end with equal summaries."""
    sides = [read_side(record) for record in raw]
    once = summaries([sides])
    again = data.draw(st.lists(st.sampled_from(sides), max_size=8))
    mixed = data.draw(st.permutations(sides + again))
    size = data.draw(st.integers(1, len(mixed)))
    assert summaries(mixed[i : i + size] for i in range(0, len(mixed), size)) == once


@settings(max_examples=50)
@given(st.lists(RECORDS, min_size=1, max_size=14), st.lists(st.integers(1, SPAN), min_size=1, max_size=3), st.data())
def test_another_span_counts_as_if_it_had_always_been(raw, spans, data):
    """However often the pairing span changes, summaries and totals are those of the last span."""
    sides = [read_side(record) for record in raw]
    with TemporaryDirectory() as folder:
        for line, span in enumerate((*spans, SPAN)):
            with Ledger(Path(folder) / "state", 300, now_ms=0, span_ms=span, forget=False) as ledger:
                some = sides if span == SPAN else data.draw(st.lists(st.sampled_from(sides), max_size=14))
                ledger.take("log", RecordBatch(tuple(some), (), SourcePosition(0, line)), now_ms=0)
                found = {replace(s, revision=1) for s in ledger.summaries()}
                totals = ledger.totals()
    assert (found, totals.exchanges, totals.orphans) == summaries([sides])


@settings(max_examples=300)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=24), st.integers(0, 6), st.data())
def test_a_client_takes_the_first_producer_within_the_span(told, span, data):
    """In any order of arrival, each client by its time takes the earliest remaining producer within the span."""
    sides = [
        read_side(
            {
                "securityServerType": "Producer" if producer else "Client",
                **dict.fromkeys(("requestInTs", "responseOutTs"), START + moment),
                "messageId": str(number),
                "succeeded": True,
            }
        )
        for number, (producer, moment) in enumerate(told)
    ]
    clients, producers = (
        sorted((side for side in sides if side.producer is kind), key=lambda side: (side.request_in, side.digest))
        for kind in (False, True)
    )
    expected: set[tuple[Side | None, Side | None]] = set()
    for client in clients:
        match = next((one for one in producers if abs(one.request_in - client.request_in) <= span), None)
        if match:
            producers.remove(match)
        expected.add((client, match))
    expected.update((None, producer) for producer in producers)
    found = exchanges_of(data.draw(st.permutations(sides)), span) if sides else []
    assert len(found) == len(expected)
    assert {(one.client, one.producer) for one in found} == expected


@settings(max_examples=150)
@given(st.lists(RECORDS, min_size=1, max_size=14))
def test_every_record_is_in_exactly_one_exchange(raw):
    """Distinct records = 2 * pairs + orphans; each exchange has one result and one duration."""
    sides = [read_side(record) for record in raw]
    found, pair_sides, orphans = summaries([sides])
    assert 2 * (pair_sides - orphans) + orphans == len({side.digest for side in sides})
    assert sum(s.ok + s.bus_failures + s.provider_failures for s in found) == pair_sides
    assert sum(sum(s.duration_buckets) for s in found) == pair_sides


@settings(max_examples=300)
@given(st.lists(RECORDS, min_size=1, max_size=14), st.integers(0, SPAN), st.data())
def test_sums_are_those_of_the_exchanges_one_by_one(raw, span, data):
    """For any sides under any request ids, added or subtracted, the sums equal those of the exchanges one by one."""
    by_request: dict[bytes, dict[bytes, Side]] = {}
    for side in map(read_side, raw):
        by_request.setdefault(side.request, {})[side.digest] = side
    plus, minus = (counts_of([]), counts_of([]))
    requests = []
    for sides in (list(found.values()) for found in by_request.values()):
        sign, repeated = data.draw(st.sampled_from([1, -1])), data.draw(st.booleans())
        requests.append(Counted(b"".join(packed(side, 1) for side in sides), sign, repeated))
        exchanges = exchanges_of(sides, span)
        counts = counts_of(exchanges, repeats=len(exchanges) - (not repeated))
        kept = plus if sign > 0 else minus
        for old, new in zip(kept, counts, strict=True):
            old[:] = [one + more for one, more in zip(old, new, strict=True)]
    (found,) = sum_exchanges(requests, span, lambda moments: moments * 0).values()
    assert found.numbers == [one - other for one, other in zip(plus[0], minus[0], strict=True)]
    assert found.buckets == [one - other for one, other in zip(plus[1], minus[1], strict=True)]

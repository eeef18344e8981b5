from __future__ import annotations

import itertools
import json

import pytest

from services.collector.records.formats import read
from services.collector.records.xroad import ExchangeResult, Side, read_side
from tests.support.cases.exchanges import exchanges_of

# Names of the expected documents, and ours.
DERIVED = {
    "totalDuration": "total",
    "clientSsRequestDuration": "client_request",
    "clientSsResponseDuration": "client_response",
    "producerDurationClientView": "provider_client_view",
    "producerDurationProducerView": "provider_producer_view",
    "producerSsRequestDuration": "producer_request",
    "producerSsResponseDuration": "producer_response",
    "producerIsDuration": "provider_system",
}
SIZES = {
    "clientRequestSize": ("client", "request_bytes"),
    "clientResponseSize": ("client", "response_bytes"),
    "producerRequestSize": ("producer", "request_bytes"),
    "producerResponseSize": ("producer", "response_bytes"),
}


def sides_of(path):
    with path.open("rb") as stream:
        return [side for batch in read(stream) for side in batch.sides]


def paired(sides, span_ms=10**9):
    groups: dict[str, list[Side]] = {}
    for side in sides:
        groups.setdefault(side.request, []).append(side)
    return [exchange for group in groups.values() for exchange in exchanges_of(group, span_ms)]


def test_the_17_raw_records_give_the_12_expected_documents(data_file):
    """5 pairs and 7 orphans, each with every derived duration and size of the published expectation."""
    found = paired(sides_of(data_file("xroadmetrics_raw_messages_batch_1.json")))
    assert len(found) == 12
    assert sum(exchange.orphan for exchange in found) == 7
    by_moment = {exchange.speaker.digest: exchange for exchange in found}
    expected = json.loads(data_file("xroadmetrics_clean_data_batch_1.json").read_text())
    seen = set()
    for document in expected:
        exchange = by_moment[read_side(document.get("client") or document["producer"]).digest]
        seen.add(exchange.speaker.digest)
        assert {name: exchange.duration_of(ours) for name, ours in DERIVED.items()} == {
            name: document[name] for name in DERIVED
        }
        assert exchange.request_network == document["requestNwDuration"]
        assert exchange.response_network == document["responseNwDuration"]
        for name, (who, size) in SIZES.items():
            side = getattr(exchange, who)
            assert (getattr(side, size) if side else None) == document[name]
        assert exchange.orphan == (document["matchingType"] == "orphan")
    assert len(seen) == 12


def test_the_whole_sample_pairs(data_file):
    """5,230 records are 2,615 full pairs, 1,905 of RestTest and 710 of a meta service, none orphan, none failed."""
    found = paired(sides_of(data_file("opmon_dev_5230.ndjson")))
    assert len(found) == 2615
    assert not any(exchange.orphan for exchange in found)
    assert sum(exchange.speaker.parties.meta for exchange in found) == 710
    assert sum(exchange.speaker.parties.service.endswith("/RestTest") for exchange in found) == 1905
    assert {exchange.result for exchange in found} == {ExchangeResult.OK}


def test_skew_is_half_the_difference_of_the_network_durations(both):
    """A producer clock 5 ms ahead is measured, if both ways take equally long."""
    [exchange] = exchanges_of([read_side(record) for record in both()], 1000)
    assert (exchange.request_network, exchange.response_network, exchange.skew) == (25, 15, 5.0)


def test_pairs_only_within_the_span(both):
    """Sides further apart than the span stay orphans; at the span itself they pair."""
    sides = [read_side(record) for record in both()]
    assert len(exchanges_of(sides, 35)) == 1
    assert [exchange.orphan for exchange in exchanges_of(sides, 34)] == [True, True]


def test_a_repeated_request_id_pairs_by_set_not_by_order(raw):
    """Three sides with one id give one pair and one orphan, the same ones in any order."""
    sides = [
        read_side(raw(requestInTs=1_700_000_000_000 + shift, securityServerType=kind))
        for shift, kind in ((0, "Client"), (50, "Client"), (70, "Producer"))
    ]
    results = {frozenset(exchanges_of(order, 1000)) for order in itertools.permutations(sides)}
    assert len(results) == 1
    [found] = results
    assert sorted(exchange.orphan for exchange in found) == [False, True]


@pytest.mark.parametrize(
    ("client", "producer", "result"),
    [
        ({}, {}, ExchangeResult.OK),
        ({"succeeded": False}, {}, ExchangeResult.BUS_FAILURE),
        ({}, {"statusCode": 500}, ExchangeResult.PROVIDER_FAILURE),
        ({"succeeded": False}, {"statusCode": 500}, ExchangeResult.BUS_FAILURE),
    ],
)
def test_a_failure_seen_by_either_side_is_a_failure(both, client, producer, result):
    """A failure that either side logged is a failure; the client's view decides its kind."""
    ours, theirs = both()
    [exchange] = exchanges_of([read_side(ours | client), read_side(theirs | producer)], 1000)
    assert exchange.result is result


def test_sizes_come_from_the_client_where_it_has_them(both):
    """The client's sizes count, the producer's if the client has none, and 0 if neither has any."""
    ours, theirs = both()
    ours["responseSize"] = None
    theirs |= {"requestSize": 111, "responseSize": 222}
    [exchange] = exchanges_of([read_side(ours), read_side(theirs)], 1000)
    assert (exchange.request_bytes, exchange.response_bytes) == (300, 222)
    ours["requestSize"] = None
    [orphan] = exchanges_of([read_side(ours)], 1000)
    assert (orphan.request_bytes, orphan.response_bytes) == (0, 0)

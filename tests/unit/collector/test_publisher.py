from __future__ import annotations

from services.collector.ledger.summary import PendingSummary
from services.collector.publisher import messages
from services.core.bus.names import exchange_subject, shard_of
from services.core.codec import decode_summaries
from services.core.model.exchange import ExchangeSummary


def pending(count, width=8):
    return [PendingSummary(n, ExchangeSummary(f"{n:0{width}}", "s", 300, 1, count=1)) for n in range(count)]


def carried(found):
    return [summary for message in found for summary in decode_summaries(message.payload)[1]]


def test_each_summary_goes_out_once_in_as_few_messages_as_hold_them():
    """Messages carry every summary exactly once, in order and on one subject, 500 at a time."""
    some = pending(1200)
    found = list(messages("xroad", "", some))
    assert carried(found) == [one.summary for one in some]
    assert [len(message.summaries) for message in found] == [500, 500, 200]
    assert {message.subject for message in found} == {exchange_subject("xroad", shard_of("xroad"))}
    for message in found:
        assert [one.summary for one in message.summaries] == decode_summaries(message.payload)[1]


def test_no_message_exceeds_what_the_bus_takes():
    """However long the identifiers, a message stays under 1 MiB."""
    found = list(messages("xroad", "", pending(1000, width=4000)))
    assert len(carried(found)) == 1000
    assert max(len(message.payload) for message in found) <= 900_000


def test_the_id_follows_from_the_content():
    """The same summaries have the same message id, and another revision has another."""
    [first], [again] = (list(messages("xroad", "", pending(1))) for _ in range(2))
    [newer] = messages("xroad", "", [PendingSummary(0, ExchangeSummary("00000000", "s", 300, 2, count=1))])
    assert first.id == again.id != newer.id


def test_an_alias_goes_with_every_summary():
    """Each published summary has the agency that stands in for the provider."""
    assert {s.alias for s in carried(messages("xroad", "customs", pending(3)))} == {"customs"}

"""ListLinks and GetLink with slots, over a real gRPC server."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.core.blocks.target_blocks import encode_slot_blocks
from services.core.bus import group_of, slot_key
from services.core.codec.units import to_timestamp
from services.core.errors import BusError
from services.core.model.outcome import Outcome, Reason
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of, slot_block_of
from tests.support.registers import write_register

SLOT = 300
NOW = AS_OF // SLOT  # the slot that begins at the clock's moment
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def hold(api, agency, chunk, cells):
    block = slot_block_of(api.register, agency, chunk, cells)
    api.bucket.values[slot_key(group_of(agency), chunk)] = encode_slot_blocks([block])[0]


async def slots_of(api, link, first, end):
    """Return the slots [first, end) of a link as (number, verdict, reason, {vantage: (outcome, reason)})."""
    request = messages.GetLinkRequest(
        link=link, slots_from=to_timestamp(first * SLOT), slots_to=to_timestamp(end * SLOT)
    )
    answer = await api.indicators.GetLink(request)
    return [
        (
            slot.slot_start.seconds // SLOT,
            slot.verdict,
            slot.reason,
            {one.vantage: (one.outcome, one.reason) for one in slot.vantages},
        )
        for slot in answer.slots
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (
            {},
            [
                *("birth-tax", "clearance-customs", "clearance-land", "deed-civil"),
                *("deed-tax", "permit-tax", "transfer-civil", "transfer-customs"),
            ],
        ),
        ({"consumer": "land-registry"}, ["deed-civil", "deed-tax", "transfer-civil", "transfer-customs"]),
        ({"provider": "tax-office"}, ["birth-tax", "deed-tax", "permit-tax"]),
        ({"service": "title-deed"}, ["deed-civil", "deed-tax"]),
        ({"consumer": "land-registry", "provider": "tax-office"}, ["deed-tax"]),
        ({"consumer": "customs", "service": "title-deed"}, []),
        ({"links": ["deed-tax", "birth-tax", "gone", "birth-tax"]}, ["birth-tax", "deed-tax"]),
        ({"links": ["deed-tax", "birth-tax"], "consumer": "land-registry"}, ["deed-tax"]),
        ({"links": ["gone"]}, []),
    ],
)
async def test_links_are_listed_by_who_needs_them(api, filters, expected):
    """Every filter given must match; links come in id order, each with its indicator."""
    answer = await api.indicators.ListLinks(messages.ListLinksRequest(**filters))
    assert [one.link.id for one in answer.links] == expected
    assert all(one.indicator.id == one.link.id for one in answer.links)


async def test_a_link_comes_with_the_register_and_what_was_exchanged(api):
    """GetLink returns the link as the register lists it, its indicator, and the exchanges of its pair of agencies."""
    answer = (await api.indicators.GetLink(messages.GetLinkRequest(link="deed-tax", window_days=7))).link
    assert (answer.link.service, answer.link.consumer, answer.link.provider) == (
        *("title-deed", "land-registry", "tax-office"),
    )
    assert (answer.link.data_item, answer.link.latency_ms, answer.link.slo, answer.link.weight) == (
        *("tax-clearance", 500, 0.99, 2.0),
    )
    assert (answer.link.live_from, answer.link.absent) == ("always", False)
    assert not answer.link.HasField("max_age_s")
    assert (answer.indicator.window_days, answer.indicator.point) == (7, 0.9)
    assert not answer.HasField("exchanges")
    civil = (await api.indicators.GetLink(messages.GetLinkRequest(link="deed-civil"))).link
    assert (civil.exchanges.provider, civil.exchanges.count, civil.exchanges.ok) == ("civil-registry", 40, 38)
    assert civil.link.max_age_s == 86400
    absent = (await api.indicators.GetLink(messages.GetLinkRequest(link="transfer-customs"))).link
    assert (absent.link.live_from, absent.link.absent) == ("", True)


async def test_a_slot_tells_its_verdict_its_reason_and_every_vantage(api):
    """The reason is that of the vantage with the verdict's outcome; a vantage without a report is NO_MEASUREMENT."""
    slot = NOW // 64 * 64 - 10  # ten slots before the end of a block
    cells = {
        ("deed-tax", slot, "north"): (Outcome.OK, Reason.OK),
        ("deed-tax", slot, "south"): (Outcome.NOT_ANSWERED, Reason.SERVER_ERROR),
        ("deed-tax", slot + 1, "south"): (Outcome.UNKNOWN, Reason.VANTAGE_BLIND),
    }
    hold(api, "land-registry", slot // 64, cells)
    found = {number: rest for number, *rest in await slots_of(api, "deed-tax", slot, slot + 2)}
    assert found[slot] == [
        Outcome.NOT_ANSWERED,
        Reason.SERVER_ERROR,
        {"north": (Outcome.OK, Reason.OK), "south": (Outcome.NOT_ANSWERED, Reason.SERVER_ERROR)},
    ]
    nothing = (Outcome.UNKNOWN, Reason.NO_MEASUREMENT)
    assert found[slot + 1] == [
        Outcome.UNKNOWN,
        Reason.VANTAGE_BLIND,
        {"north": nothing, "south": (Outcome.UNKNOWN, Reason.VANTAGE_BLIND)},
    ]
    assert (await slots_of(api, "deed-civil", slot, slot + 1))[0][1:3] == nothing


async def test_only_vantages_that_count_for_a_link_are_told(api):
    """A link with its own vantages shows only those."""
    slot = NOW - 1
    hold(
        api,
        "tax-office",
        slot // 64,
        {
            ("clearance-customs", slot, "north"): (Outcome.LATE, Reason.LATE),
            ("clearance-customs", slot, "south"): (Outcome.LATE, Reason.LATE),
        },
    )
    (_, verdict, reason, vantages), *_ = await slots_of(api, "clearance-customs", slot, slot + 1)
    assert (verdict, reason, vantages) == (Outcome.LATE, Reason.LATE, {"north": (Outcome.LATE, Reason.LATE)})


async def test_slots_whose_block_is_gone_are_left_out(api):
    """Slots are returned across block borders; slots of a missing block are left out."""
    first = (NOW // 64 - 3) * 64
    hold(api, "land-registry", first // 64, {})
    hold(api, "land-registry", first // 64 + 2, {})
    numbers = [number for number, *_ in await slots_of(api, "deed-tax", first + 60, first + 130)]
    assert numbers == [*range(first + 60, first + 64), *range(first + 128, first + 130)]


@pytest.mark.parametrize("damaged", [b"\xff\xff\xff", b"torn"])
async def test_slots_whose_block_cannot_be_decoded_are_left_out(api, damaged):
    """A slot block that cannot be decoded is treated like a missing one: other slots and the states are answered."""
    first = (NOW // 64 - 1) * 64
    hold(api, "land-registry", first // 64, {("deed-tax", first + 3, "north"): (Outcome.OK, Reason.OK)})
    before = await slots_of(api, "deed-tax", first, first + 64)
    states = messages.ListLinksRequest(service="title-deed", states=True)
    known = await api.indicators.ListLinks(states)
    group = group_of("land-registry")
    whole = api.bucket.values[slot_key(group, first // 64)]
    api.bucket.values[slot_key(group, first // 64 + 1)] = whole[:-1] if damaged == b"torn" else damaged
    assert await slots_of(api, "deed-tax", first, first + 128) == before
    assert await api.indicators.ListLinks(states) == known


async def test_what_is_not_built_is_absent_in_every_slot(api, tmp_path):
    """Before live_from a link is NOT_CONNECTED/ABSENT whatever was measured; from then on it is judged."""
    (first, *rest) = await slots_of(api, "transfer-customs", NOW - 5, NOW)
    assert first == (NOW - 5, Outcome.NOT_CONNECTED, Reason.ABSENT, {})
    assert len(rest) == 4
    # transfer-civil is live from midnight of 1 January 2026 in Tehran (20:30 UTC the day before): the epoch.
    api.register = load_register(
        write_register(tmp_path / "later", links_csv=("2026-01-01,inquiry", "2026-09-20,inquiry"))
    )
    api.take_register()
    live = 1_789_849_800 // SLOT  # 2026-09-20 00:00 in Tehran
    hold(
        api,
        "land-registry",
        live // 64,
        {("transfer-civil", one, "north"): (Outcome.OK, Reason.OK) for one in range(live - live % 64, live + 1)},
    )
    (_, before, reason, _), (_, after, *_) = await slots_of(api, "transfer-civil", live - 1, live + 1)
    assert (before, reason, after) == (Outcome.NOT_CONNECTED, Reason.ABSENT, Outcome.OK)


async def test_slots_in_which_a_link_is_not_required_are_left_out(api, tmp_path):
    """Slots before required_from, and slots that have not begun, are left out."""
    api.register = load_register(
        write_register(tmp_path / "later", links_csv=("customs,liens,,", "customs,liens,2026-09-20,"))
    )
    api.take_register()
    start = 1_789_849_800 // SLOT
    assert [number for number, *_ in await slots_of(api, "transfer-customs", start - 2, start + 2)] == [
        *(start, start + 1)
    ]
    assert [number for number, *_ in await slots_of(api, "transfer-customs", NOW - 1, NOW + 50)] == [NOW - 1, NOW]


async def test_without_an_end_slots_reach_to_what_is_counted(api):
    """slots_to unset means up to as_of, so that a slot under way is not returned as one without measurement."""
    request = messages.GetLinkRequest(link="transfer-customs", slots_from=to_timestamp(AS_OF - 2 * SLOT))
    answer = await api.indicators.GetLink(request)
    assert [slot.slot_start.seconds for slot in answer.slots] == [AS_OF - 2 * SLOT, AS_OF - SLOT]


async def test_ten_thousand_slots_and_no_more(api, refusal):
    """The largest number of slots is returned; one more is refused."""
    assert len(await slots_of(api, "transfer-customs", NOW - 10_000, NOW)) == 10_000
    request = messages.GetLinkRequest(
        link="transfer-customs", slots_from=to_timestamp((NOW - 10_001) * SLOT), slots_to=to_timestamp(NOW * SLOT)
    )
    code, info, _ = await refusal(api.indicators.GetLink(request))
    assert (code, info.reason, info.metadata["slots"]) == (INVALID, "SLOTS_TOO_MANY", "10001")


async def test_bad_questions_about_links_are_refused(api, refusal):
    """Unknown ids, an end without a beginning or before it, and a silent bus have their status."""
    ask, at = api.indicators.GetLink, to_timestamp(AS_OF)
    expected = (
        (messages.GetLinkRequest(link="no"), grpc.StatusCode.NOT_FOUND, "LINK_UNKNOWN"),
        (messages.GetLinkRequest(), INVALID, "ID_MISSING"),
        (messages.GetLinkRequest(link="deed-tax", slots_to=at), INVALID, "SLOT_RANGE_INVALID"),
        (messages.GetLinkRequest(link="deed-tax", slots_from=at, slots_to=at), INVALID, "SLOT_RANGE_INVALID"),
        (messages.GetLinkRequest(link="deed-tax", slots_from=Timestamp(seconds=10**12)), INVALID, "SLOT_RANGE_INVALID"),
    )
    for request, code, reason in expected:
        got, info, _ = await refusal(ask(request))
        assert (got, info.reason) == (code, reason)
    for wanted, reason in (
        (messages.ListLinksRequest(consumer="no"), "AGENCY_UNKNOWN"),
        (messages.ListLinksRequest(service="no"), "SERVICE_UNKNOWN"),
    ):
        got, info, _ = await refusal(api.indicators.ListLinks(wanted))
        assert (got, info.reason) == (grpc.StatusCode.NOT_FOUND, reason)
    api.bucket.error = BusError("no answer in time")
    request = messages.GetLinkRequest(link="deed-tax", slots_from=to_timestamp(AS_OF - 900), slots_to=at)
    got, info, sentence = await refusal(ask(request))
    assert (got, info.reason, info.metadata["link"]) == (
        *(grpc.StatusCode.UNAVAILABLE, "EVIDENCE_UNREACHABLE", "deed-tax"),
    )
    assert "`deed-tax`" in sentence


async def test_states_say_since_when_a_link_is_as_it_is(api, refusal):
    """Each link of a service has the verdict and reason of its newest slot, and the slot since which they hold."""
    first = NOW - NOW % 64
    cells = {("deed-tax", slot, "north"): (Outcome.OK, Reason.OK) for slot in range(first, first + 10)}
    cells |= {
        ("deed-tax", slot, "north"): (Outcome.LATE, Reason.LATE) for slot in (first + 3, *range(first + 10, first + 64))
    }
    cells |= {("deed-civil", slot, "north"): (Outcome.OK, Reason.OK) for slot in range(first, first + 64)}
    hold(api, "land-registry", first // 64, cells)
    answer = await api.indicators.ListLinks(messages.ListLinksRequest(service="title-deed", states=True))
    civil, tax = answer.links
    assert (tax.state.verdict, tax.state.reason) == (Outcome.LATE, Reason.LATE)
    assert tax.state.since.seconds == (first + 10) * SLOT
    assert (civil.state.verdict, civil.state.HasField("since")) == (Outcome.OK, False)
    (transfer, _) = (
        await api.indicators.ListLinks(messages.ListLinksRequest(service="title-transfer", states=True))
    ).links
    assert not transfer.HasField("state") or transfer.state.verdict == Outcome.UNKNOWN
    unasked = await api.indicators.ListLinks(messages.ListLinksRequest(service="title-deed"))
    assert [one.HasField("state") for one in unasked.links] == [False, False]
    code, info, _ = await refusal(api.indicators.ListLinks(messages.ListLinksRequest(states=True)))
    assert (code, info.reason) == (INVALID, "STATES_WITHOUT_SERVICE")
    api.bucket.error = BusError("gone")
    request = messages.ListLinksRequest(service="title-deed", states=True)
    code, info, _ = await refusal(api.indicators.ListLinks(request))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "EVIDENCE_UNREACHABLE")


async def test_slots_of_another_length_are_left_out(api):
    """For two days after a change of slot_seconds the bucket still has slots of the former length, numbered otherwise."""
    chunk = NOW // 64 - 1
    hold(api, "land-registry", chunk, {("deed-tax", chunk * 64, "north"): (Outcome.OK, Reason.OK)})
    former = AS_OF // 20 // 64 - 1
    cells = {("deed-tax", slot, "north"): (Outcome.LATE, Reason.LATE) for slot in range(former * 64, former * 64 + 64)}
    block = replace(slot_block_of(api.register, "land-registry", former, cells), slot_seconds=20)
    api.bucket.values[slot_key(group_of("land-registry"), former)] = encode_slot_blocks([block])[0]
    _, tax = (await api.indicators.ListLinks(messages.ListLinksRequest(service="title-deed", states=True))).links
    assert tax.state.verdict == Outcome.UNKNOWN
    assert tax.state.since.seconds == (chunk * 64 + 1) * SLOT
    request = messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="deed-tax")
    found = (await api.indicators.ExplainIndicator(request)).findings
    assert (found.reasons_known, len(found.reasons)) == (1, 0)
    assert found.reasons_to.seconds == (chunk + 1) * 64 * SLOT


async def test_a_link_says_when_its_certificate_expires_soon(api):
    """A link has the expiry that is in its consumer's block; others have none."""
    block = blocks_of(api.register)["consumer.land-registry"]
    api.take("consumer.land-registry", replace(block, certificates=(("deed-tax", AS_OF + 86400),)))
    answer = await api.indicators.ListLinks(messages.ListLinksRequest(service="title-deed"))
    civil, tax = answer.links
    assert tax.certificate_expiry.seconds == AS_OF + 86400
    assert not civil.HasField("certificate_expiry")

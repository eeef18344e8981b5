"""Exchanges over a real gRPC server: GetLink, ListLinks by finding, GetTraffic."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any, cast

import grpc
import pytest

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.access.roles import UNRESTRICTED
from services.api.answers import EvidenceReader, LinkAnswers
from services.api.rpc.indicator_service import IndicatorServicer
from services.core import tasks
from services.core.blocks import read
from services.core.blocks.compression import parse_block
from services.core.bus import INDICATOR_BUCKET, group_of, slot_key
from services.core.tasks import cancel_and_wait
from tests.support.cases.api.blocks import AS_OF, COUNTED_FROM, blocks_of
from tests.support.values.reconciliations import LAST_HOUR, LOOKED_AT, disagreeing, silent, traffic

FOUND = {one.link: one for one in (disagreeing(window_days=7), silent(window_days=7), silent("birth-tax"))}
TRAFFIC = traffic(7)


@pytest.fixture
def carried(api):
    """The api's blocks, with reconciliations of some links."""
    consumers = {f"consumer.{api.register.consumer(api.register.links[link])}" for link in FOUND}
    for key, block in blocks_of(api.register).items():
        if key in consumers:
            own = tuple(
                one
                for name, one in FOUND.items()
                if key == f"consumer.{api.register.consumer(api.register.links[name])}"
            )
            api.take(key, replace(block, reconciliations=own))
        elif key == "government":
            api.take(key, replace(block, traffic=(TRAFFIC,)))
    return api


async def test_a_link_has_logs_beside_probes(carried):
    """GetLink returns both shares with intervals, the flag and the volume; a link without exchanges has none of them."""
    one = (await carried.indicators.GetLink(messages.GetLinkRequest(link="deed-civil", window_days=7))).link
    found = one.reconciliation
    assert (found.exchanges, found.shared, found.disagrees, found.compared) == (1234, True, True, 1200)
    assert (found.logs.value, found.probes.low, found.difference.high) == (0.9, 0.99, -0.05)
    assert (found.as_of.seconds, found.last_hour.seconds) == (LOOKED_AT, LAST_HOUR)
    assert (one.exchanges.slots_from.seconds, one.exchanges.slots_to.seconds) == (COUNTED_FROM, AS_OF)
    assert (found.volume.recent, found.volume.expected, found.volume.unusual) == (10, 120.5, True)
    for link, window in (("deed-civil", 28), ("transfer-civil", 7)):
        other = (await carried.indicators.GetLink(messages.GetLinkRequest(link=link, window_days=window))).link
        assert not other.HasField("reconciliation")


async def test_of_many_links_each_has_its_own(api):
    """Each link and window of a large block has its reconciliation, and any other has none."""
    key = f"consumer.{api.register.consumer(api.register.links['deed-civil'])}"
    names = sorted({*(f"link-{number}" for number in range(500)), "deed-civil", "deed-tax"} - {"link-7"})
    many = tuple(
        replace(silent(name, window), last_hour=window * 3600)
        for window in (7, 90)
        for name in names
        if (name, window) != ("deed-tax", 90)
    )
    api.take(key, replace(blocks_of(api.register)[key], reconciliations=many))
    block = api.state.model.blocks[key]
    for name in (*names, "link-7", "a", "z"):
        found = [block.reconciliation(name, window) for window in (7, 28, 90)]
        windows = [one.window_days for one in found if one is not None and one.link == name]
        assert windows == [one.window_days for one in many if one.link == name]
    for link, window, moment in (("deed-civil", 7, 7), ("deed-civil", 90, 90), ("deed-tax", 7, 7)):
        one = (await api.indicators.GetLink(messages.GetLinkRequest(link=link, window_days=window))).link
        assert (one.reconciliation.link, one.reconciliation.last_hour.seconds) == (link, moment * 3600)


async def test_a_page_of_links_parses_a_block_once(carried, monkeypatch):
    """A block that did not stay parsed is parsed once for all links of a page, also if their indicators are known."""
    parsed = []

    def parse_counted(kind, payload):
        parsed.append(payload)
        return parse_block(kind, payload)

    monkeypatch.setattr(read, "parse_block", parse_counted)
    request = messages.ListLinksRequest(window_days=7)
    before = await carried.indicators.ListLinks(request)
    for block in carried.state.model.blocks.values():
        block.forget()
    parsed.clear()
    assert await carried.indicators.ListLinks(request) == before
    assert len(before.links) > len(set(parsed)) == len(parsed) > 0


@pytest.mark.parametrize(
    ("finding", "window", "expected"),
    [
        (messages.LINK_FINDING_SILENT, 7, ["deed-tax"]),
        (messages.LINK_FINDING_SILENT, 28, ["birth-tax"]),
        (messages.LINK_FINDING_DISAGREEING, 7, ["deed-civil"]),
        (messages.LINK_FINDING_UNUSUAL, 7, ["deed-civil"]),
        (messages.LINK_FINDING_UNUSUAL, 28, []),
    ],
)
async def test_links_are_listed_by_finding(carried, finding, window, expected):
    """Only links with the finding in the requested window are listed."""
    answer = await carried.indicators.ListLinks(messages.ListLinksRequest(finding=finding, window_days=window))
    assert [one.link.id for one in answer.links] == expected
    mixed = messages.ListLinksRequest(finding=finding, window_days=window, consumer="customs")
    assert not (await carried.indicators.ListLinks(mixed)).links


async def test_a_newer_block_replaces_what_was_found(carried):
    """Links are listed by the newest block."""
    request = messages.ListLinksRequest(finding=messages.LINK_FINDING_SILENT, window_days=7)
    assert (await carried.indicators.ListLinks(request)).links
    carried.take_blocks()
    assert not (await carried.indicators.ListLinks(request)).links


async def test_links_are_listed_by_the_register_in_force(carried):
    """A link that a new register lacks is listed no more, and one that returns is listed again."""
    request = messages.ListLinksRequest(finding=messages.LINK_FINDING_SILENT, window_days=7)
    links = carried.register.links
    for there in (True, False, True):
        carried.take_register(
            replace(carried.register, links={name: link for name, link in links.items() if there or name != "deed-tax"})
        )
        assert len((await carried.indicators.ListLinks(request)).links) == there


async def test_a_page_of_links_lets_other_calls_have_turns(carried, monkeypatch):
    """While blocks are read for a page of links, their slots, or their indicators, other tasks run after each slice."""
    monkeypatch.setattr(tasks, "_SLICE_SECONDS", 0.0)
    for module in ("answers.links", "rpc.indicator_service"):
        monkeypatch.setattr(f"services.api.{module}.current_caller", lambda: UNRESTRICTED)
    bucket, model, turns = carried.bucket, carried.state.model, 0
    links = LinkAnswers(model, read=bucket.kv_get, clock=lambda: float(AS_OF))
    unused = cast(Any, None)
    slots = {slot_key(group_of("land-registry"), chunk): b"" for chunk in range(9)}
    monkeypatch.setattr(bucket, "values", bucket.values | slots)
    evidence = EvidenceReader(partial(bucket.kv_all, INDICATOR_BUCKET))
    servicer = IndicatorServicer(model, carried.state.hub, links=links, history=unused, evidence=evidence)

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for call, at_least in (
        (servicer.list_links(messages.ListLinksRequest(), unused), len(carried.register.links)),
        (
            servicer.list_links(messages.ListLinksRequest(finding=messages.LINK_FINDING_SILENT), unused),
            len(blocks_of(carried.register)) - 1,
        ),
        (
            servicer.list_indicators(messages.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK), unused),
            len(carried.register.links),
        ),
        (evidence.states(model.view, "land-registry", carried.register.links), len(carried.register.links)),
        (evidence.states(model.view, "land-registry", ()), len(slots)),
    ):
        turns = 0
        await call
        assert turns >= at_least
    await cancel_and_wait(counting)


async def test_traffic_has_buses_and_undeclared_pairs(carried, refusal):
    """GetTraffic answers per window. An uncomputed window is UNAVAILABLE; an unknown finding or window is refused."""
    answer = (await carried.indicators.GetTraffic(messages.GetTrafficRequest(window_days=7))).traffic
    assert (answer.exchanges, answer.undeclared_exchanges, answer.undeclared_pairs) == (2000, 20, 1)
    assert answer.as_of.seconds == LOOKED_AT
    assert (answer.read_days, answer.unseen_share) == (60.5, 0.002)
    assert [(one.bus, one.share) for one in answer.buses] == [("xroad", 1.0)]
    assert [(one.consumer, one.provider, one.exchanges, one.ok) for one in answer.undeclared] == [
        ("_unmapped", "customs", 20, 19)
    ]
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    for call, code, reason in (
        (
            carried.indicators.GetTraffic(messages.GetTrafficRequest()),
            grpc.StatusCode.UNAVAILABLE,
            "TRAFFIC_UNPUBLISHED",
        ),
        (carried.indicators.GetTraffic(messages.GetTrafficRequest(window_days=5)), invalid, "WINDOW_UNKNOWN"),
        (
            carried.indicators.ListLinks(messages.ListLinksRequest(finding=messages.LinkFinding.ValueType(9))),
            invalid,
            "FINDING_UNKNOWN",
        ),
    ):
        got, info, _ = await refusal(call)
        assert (got, info.reason) == (code, reason)

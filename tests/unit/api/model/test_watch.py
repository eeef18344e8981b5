"""Watches send the current state, then changes; slow watchers skip some, and each change is serialised once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest
from prometheus_client import Gauge

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.access.roles import ROLE_KEY, UNRESTRICTED
from services.api.component import api_services
from services.api.model import read_model
from services.api.model.read_model import ReadModel
from services.api.model.register_view import RegisterView
from services.api.model.watch import PublishedIndicator, WatchHub
from services.api.rpc import indicator_service
from services.core import tasks
from services.core.blocks.read import BlockReader
from services.core.model.indicator import IndicatorKind
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.values.block_columns import encoded
from tests.support.waiting import DEADLINE


async def take(stream, count):
    """Return the next messages of a stream."""
    async with asyncio.timeout(DEADLINE):
        return [(await stream.read()).indicator for _ in range(count)]


async def until(condition):
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # the condition is the server's, not an event of ours
            await asyncio.sleep(0)


def watchers(api):
    return api.registry.get_sample_value("peyvand_api_watchers")


async def test_current_ones_come_at_once_and_then_what_changes(api):
    """A watch of a kind begins with every entity and continues with those that changed, and no other."""
    stream = api.indicators.WatchIndicators(messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_CONSUMER))
    assert [one.id for one in await take(stream, 4)] == [
        *("civil-registry", "customs", "land-registry", "tax-office"),
    ]
    api.take_blocks(sequence=8)  # the same numbers from later evidence are no news
    api.take_blocks(ok={"permit-tax": 10}, sequence=9)
    (changed,) = await take(stream, 1)
    assert (changed.id, changed.point, changed.evidence_sequence) == ("customs", 0.1, 9)
    api.take_blocks(ok={"permit-tax": 10}, as_of=AS_OF + 300)
    assert {one.as_of.seconds for one in await take(stream, 4)} == {AS_OF + 300}
    stream.cancel()
    await until(lambda: watchers(api) == 0)


async def test_a_watch_of_many_leaves_time_to_others(api, monkeypatch):
    """Other work is done while a new watch takes what is published, and what is replaced meanwhile is sent as it became."""
    monkeypatch.setattr(tasks, "_SLICE_SECONDS", 0.0)
    monkeypatch.setattr(indicator_service, "current_caller", lambda: UNRESTRICTED)
    servicer = next(
        one
        for one in api_services(api.state, clock=lambda: AS_OF).values()
        if isinstance(one, indicator_service.IndicatorServicer)
    )
    request = messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_LINK)
    async with aclosing(servicer.watch_indicators(request, cast(Any, None))) as watch:
        first = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        assert not first.done()
        api.take_blocks(as_of=AS_OF + 300)
        payloads = [await first, *[await anext(watch) for _ in range(len(api.register.links) - 1)]]
        sent = [messages.WatchIndicatorsResponse.FromString(one).indicator for one in payloads]
        assert sorted(one.id for one in sent) == sorted(api.register.links)
        assert {one.as_of.seconds for one in sent} == {AS_OF + 300}


async def test_a_watch_of_named_entities_hears_of_no_other(api):
    """A watch sends only the requested ids in the requested window. An unpublished one follows once it is published."""
    api.take("consumer.customs", None)
    request = messages.WatchIndicatorsRequest(
        kind=indicator_pb2.INDICATOR_KIND_LINK, ids=["permit-tax", "deed-tax"], window_days=7
    )
    stream = api.indicators.WatchIndicators(request)
    assert [(one.id, one.window_days) for one in await take(stream, 1)] == [("deed-tax", 7)]
    api.take_blocks(ok={"birth-tax": 3})
    assert [(one.id, one.window_days) for one in await take(stream, 1)] == [("permit-tax", 7)]
    stream.cancel()


def moved(register):
    """Return the register with a service of land-registry moved to customs."""
    service = replace(register.services["title-transfer"], agency="customs")
    return replace(register, services={**register.services, "title-transfer": service}, register_version="2" * 64)


def take_moved(api):
    """Put that register in force, and publish its blocks, the new owner's before the old owner's."""
    register = moved(api.register)
    api.take_register(register)
    blocks = blocks_of(register, as_of=AS_OF + 300, ok={"transfer-civil": 10})
    for key in sorted(blocks):
        api.take(key, blocks[key])


async def test_a_service_that_moves_is_read_from_the_block_of_its_new_owner(api):
    """Once a service belongs to another agency, its number in the former owner's block is neither sent nor returned."""
    request = messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_SERVICE, ids=["title-transfer"])
    stream = api.indicators.WatchIndicators(request)
    (before,) = await take(stream, 1)
    former = blocks_of(api.register, as_of=AS_OF + 300)["consumer.land-registry"]
    take_moved(api)
    (after,) = await take(stream, 1)
    assert (after.as_of.seconds, after.register_version) == (AS_OF + 300, "2" * 64)
    assert after.point != before.point
    api.take("consumer.land-registry", former)  # the block that the scorer published last under the older register
    asked = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_SERVICE, id="title-transfer")
    assert (await api.indicators.GetIndicator(asked)).indicator == after
    stream.cancel()


async def test_an_agency_hears_no_more_of_what_moved_to_another(api, refusal):
    """A watch of ids continues with those that the agency still owns. A watch of a kind ends and must be reopened."""
    kind, land = indicator_pb2.INDICATOR_KIND_SERVICE, [(ROLE_KEY, "agency:land-registry")]
    request = messages.WatchIndicatorsRequest(kind=kind, ids=["title-deed", "title-transfer"])
    named = api.indicators.WatchIndicators(request, metadata=land)
    whole = api.indicators.WatchIndicators(messages.WatchIndicatorsRequest(kind=kind), metadata=land)
    for stream in (named, whole):
        assert [one.id for one in await take(stream, 2)] == ["title-deed", "title-transfer"]
    everything = api.indicators.WatchIndicators(messages.WatchIndicatorsRequest(kind=kind))
    count = len(api.register.services)
    await take(everything, count)
    take_moved(api)
    assert [one.id for one in await take(named, 1)] == ["title-deed"]
    api.take_blocks(as_of=AS_OF + 600)
    assert [one.id for one in await take(named, 1)] == ["title-deed"]
    code, info, _ = await refusal(whole)
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "REGISTER_CHANGED")
    again = api.indicators.WatchIndicators(messages.WatchIndicatorsRequest(kind=kind), metadata=land)
    assert [one.id for one in await take(again, 1)] == ["title-deed"]
    assert len(await take(everything, count)) == count  # a watch of everything continues
    for stream in (named, everything, again):
        stream.cancel()


async def test_a_watch_that_makes_no_sense_is_refused(api, refusal):
    """Unknown kinds, ids and windows end the watch at once with their status."""
    for asked, code, reason in (
        ({"kind": 0}, grpc.StatusCode.INVALID_ARGUMENT, "KIND_UNKNOWN"),
        ({"kind": IndicatorKind.LINK, "ids": ["deed-tax", "no"]}, grpc.StatusCode.NOT_FOUND, "LINK_UNKNOWN"),
        ({"kind": IndicatorKind.LINK, "window_days": 3}, grpc.StatusCode.INVALID_ARGUMENT, "WINDOW_UNKNOWN"),
    ):
        got, info, _ = await refusal(api.indicators.WatchIndicators(messages.WatchIndicatorsRequest(**asked)))
        assert (got, info.reason) == (code, reason)


async def test_draining_ends_watches_with_unavailable(api, refusal):
    """When the api stops, a watch ends with UNAVAILABLE, so that clients connect again."""
    stream = api.indicators.WatchIndicators(
        messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
    )
    await take(stream, 1)
    api.state.hub.close()
    code, info, _ = await refusal(stream)
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    late = api.indicators.WatchIndicators(messages.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT))
    assert (await refusal(late))[0] == grpc.StatusCode.UNAVAILABLE


@pytest.fixture
def hub():
    return WatchHub(Gauge("watchers", "Watches open", registry=None))


def changes_of(model, register, **options):
    """Yield the changes of a model with the register as it takes a set of blocks."""
    for key, block in blocks_of(register, windows=(7,), **options).items():
        yield model.replace_block(key, BlockReader.of(encoded(block)))


@pytest.fixture
def model(register):
    made = ReadModel()
    made.replace_register(RegisterView(register))
    return made


async def test_a_slow_watcher_gets_the_newest_and_holds_no_more(hub, model, register):
    """Of a hundred unsent refreshes a slow watcher gets one message per entity: the last."""
    with hub.watch(IndicatorKind.LINK, 7, ()) as watch:
        for refresh in range(100):
            for change in changes_of(model, register, as_of=AS_OF + refresh):
                hub.publish(change)
        assert len(watch) == 8
        changes = watch.changes()
        got = [(await anext(changes)).message for _ in range(8)]
        assert {one.as_of.seconds for one in got} == {AS_OF + 99}
        assert {one.id for one in got} == set(register.links)
        assert len(watch) == 0


async def test_a_message_is_made_once_for_all_watchers(hub, model, register, monkeypatch):
    """Each change is serialised once for all watchers; indicators without a watcher are not read."""
    made = []

    def counted(message):
        made.append(message)
        return PublishedIndicator(message)

    monkeypatch.setattr(read_model, "PublishedIndicator", counted)
    watches = [hub.watch(IndicatorKind.GOVERNMENT, 7, ["country"]) for _ in range(50)]
    entered = [watch.__enter__() for watch in watches]
    for change in changes_of(model, register):
        hub.publish(change)
    answers = {id((await anext(watch.changes())).answer) for watch in entered}
    assert (len(answers), len(made)) == (1, 1)
    assert made[0].id == "country"
    for watch in watches:
        watch.__exit__(None, None, None)
    for change in changes_of(model, register, as_of=AS_OF + 300):
        hub.publish(change)
    assert all(len(watch) == 0 for watch in entered)
    assert len(made) == 1

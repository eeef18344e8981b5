"""The api takes the blocks that a scorer of version 0.2.0 put, until those of groups replace them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

import grpc
import grpc.aio
from prometheus_client import Gauge

from peyvand.v1 import indicator_pb2, indicator_service_pb2, indicator_service_pb2_grpc
from services.api.model.feed import Feed
from services.api.model.read_model import ReadModel
from services.api.model.watch import WatchHub
from services.core.blocks.encode import encode_group
from services.core.bus.names import INDICATOR_BUCKET, consumers_key, group_of
from services.core.log import logger
from services.core.tasks import cancel_and_wait
from services.register.bus.publish import publish_register
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.cases.api.service import launch, put_blocks, register
from tests.support.values.block_columns import encoded
from tests.support.waiting import DEADLINE, EAGER, eventually

__all__ = ["launch", "register"]  # the fixtures


async def test_groups_take_over_the_blocks_of_a_former_scorer(launch, nats, register):
    """Agencies' blocks from version 0.2.0 are answered, and stay when the values of groups have replaced those of agencies.
    An agency that a new value lacks has no indicator any more.
    """
    former = {key: encoded(block) for key, block in blocks_of(register).items()}
    process = launch()
    async with grpc.aio.insecure_channel(process.listen, EAGER) as channel, nats.connect("scorer") as bus:
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = indicator_service_pb2.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_CONSUMER)

        async def sequences():
            with suppress(grpc.aio.AioRpcError):  # before there is a register
                listed = await stub.ListIndicators(request, timeout=DEADLINE)
                return {one.id: one.evidence_sequence for one in listed.indicators}

        def are(expected):
            async def look():
                return await sequences() == expected

            return look

        async with nats.connect("register") as publisher:
            await publish_register(publisher, register, now=AS_OF)
        for name, block in former.items():
            await bus.kv_put(INDICATOR_BUCKET, name, block)
        agencies = {name.removeprefix("consumer.") for name in former} - {"government"}
        await eventually(are(dict.fromkeys(agencies, 7)), "the blocks of agencies")

        await put_blocks(bus, register, sequence=8)
        for name in former.keys() - {"government"}:
            await bus.kv_delete(INDICATOR_BUCKET, name)
        await eventually(are(dict.fromkeys(agencies, 8)), "the blocks of groups")

        other = "tax-office"
        value = encode_group({other: former[f"consumer.{other}"]})
        await bus.kv_put(INDICATOR_BUCKET, consumers_key(group_of("customs")), value)
        await eventually(are(dict.fromkeys(agencies - {"customs"}, 8) | {other: 7}), "no block of customs")


async def test_no_agency_goes_back_while_blocks_of_a_former_scorer_are_there(nats, register):
    """An api that starts before the blocks of version 0.2.0 are removed shows each agency as of the values of groups."""
    moments: dict[str, list[int]] = defaultdict(list)

    class Hub(WatchHub):
        def publish(self, change):
            if change.after is not None:
                _, entity, _ = next(iter(change.after.keys()))
                moments[entity].append(change.after.as_of)
            super().publish(change)

    async with nats.connect("register") as publisher, nats.connect("scorer") as bus, nats.connect("api") as reader:
        await publish_register(publisher, register, now=AS_OF)
        for name, block in blocks_of(register).items():
            await bus.kv_put(INDICATOR_BUCKET, name, encoded(block))
        await put_blocks(bus, register, as_of=AS_OF + 300)
        model = ReadModel()
        feeding = asyncio.ensure_future(Feed(reader, model, Hub(Gauge("watchers", "", registry=None)), logger()).run())
        await eventually(lambda: model.complete and moments, "the blocks of groups")
        await put_blocks(bus, register, as_of=AS_OF + 600)
        await eventually(lambda: model.blocks["government"].as_of == AS_OF + 600, "the next ones")
        await cancel_and_wait(feeding)
    assert len(moments) > 2
    assert {agency: sorted(of_agency) for agency, of_agency in moments.items()} == moments

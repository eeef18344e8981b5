"""The api reads blocks and registers from the bus and shows them only when they are complete."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import grpc
import grpc.aio
from prometheus_client import Gauge

from peyvand.v1 import (
    block_pb2,
    indicator_pb2,
    indicator_service_pb2,
    indicator_service_pb2_grpc,
    register_service_pb2,
    register_service_pb2_grpc,
)
from services.api.model.feed import Feed
from services.api.model.read_model import ReadModel
from services.api.model.watch import WatchHub
from services.core.blocks.compression import parse_block
from services.core.blocks.target_blocks import encode_slot_blocks
from services.core.bus.messages import MAX_VALUE_BYTES
from services.core.bus.names import INDICATOR_BUCKET, REGISTER_BUCKET, consumers_key, group_of, kv_stream, slot_key
from services.core.bus.topology import initialise_streams
from services.core.codec.units import to_timestamp
from services.core.errors import BusError
from services.core.log import logger
from services.core.model.indicator import IndicatorKind
from services.core.model.outcome import Outcome, Reason
from services.core.tasks import cancel_and_wait
from services.register.bus.publish import publish_register
from services.register.bus.read import CURRENT_KEY
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of, slot_block_of, values_of
from tests.support.cases.api.service import (
    NOT_SERVING,
    SERVING,
    health_of,
    launch,
    put_blocks,
    register,
    serving,
    with_register,
)
from tests.support.registers import write_register
from tests.support.values.block_columns import encoded
from tests.support.waiting import DEADLINE, EAGER, eventually

__all__ = ["launch", "register"]  # the fixtures


async def test_slots_are_read_from_the_bus_on_demand(launch, nats, register):
    """A slot block that is put after the api's startup is found when a link's slots are requested."""
    slot = AS_OF // 300 - 100
    cells = {("deed-tax", slot, "north"): (Outcome.INVALID, Reason.TEST_RECORD)}
    async with serving(launch, nats, register) as (_, channel):
        async with nats.connect("scorer") as bus:
            block = slot_block_of(register, "land-registry", slot // 64, cells)
            await bus.kv_put(
                INDICATOR_BUCKET, slot_key(group_of("land-registry"), slot // 64), encode_slot_blocks([block])[0]
            )
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = indicator_service_pb2.GetLinkRequest(
            link="deed-tax", slots_from=to_timestamp(slot * 300), slots_to=to_timestamp((slot + 1) * 300)
        )
        (found,) = (await stub.GetLink(request, timeout=DEADLINE)).slots
        assert (found.verdict, found.reason) == (Outcome.INVALID, Reason.TEST_RECORD)


async def test_a_block_too_large_for_a_message_is_answered_from(launch, nats, register):
    """The api answers from a government's block with more providers than one message holds, and from the next one."""
    async with serving(launch, nats, register) as (_, channel):
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        request = indicator_service_pb2.GetIndicatorRequest(
            kind=indicator_pb2.INDICATOR_KIND_PROVIDER, id="civil-registry", window_days=28
        )

        async def as_of():
            try:
                return (await stub.GetIndicator(request, timeout=DEADLINE)).indicator.as_of.seconds
            except grpc.aio.AioRpcError:
                return None

        async with nats.connect("scorer") as bus:
            for moment in (AS_OF + 300, AS_OF + 600):
                blocks = blocks_of(register, as_of=moment)
                government = blocks.pop("government")
                row = next(
                    one for one in government.indicators if one.kind == IndicatorKind.PROVIDER and one.window_days == 28
                )
                many = tuple(replace(row, id=f"agency-{number:05d}") for number in range(10_000))
                block = parse_block(
                    block_pb2.IndicatorBlock, encoded(replace(government, indicators=government.indicators + many))
                )
                payload = block.SerializeToString()  # not compressed, as older scorers put it
                assert len(payload) > MAX_VALUE_BYTES
                for key, other in blocks.items():
                    await bus.kv_put(INDICATOR_BUCKET, key, encoded(other))
                await bus.kv_put(INDICATOR_BUCKET, "government", payload)

                async def refreshed(moment=moment):
                    return await as_of() == moment

                await eventually(refreshed, "the new block is shown")


async def test_a_new_register_is_taken_in_without_a_restart(launch, nats, register, tmp_path):
    """A published successor is in force in the api moments later."""
    successor = load_register(write_register(tmp_path / "successor", links_csv=(",0.99,2", ",0.99,4")))
    async with serving(launch, nats, register) as (_, channel):
        stub = register_service_pb2_grpc.RegisterServiceStub(channel)
        async with nats.connect("register") as bus:
            await publish_register(bus, successor, now=AS_OF + 60)

        async def in_force():
            answer = await stub.GetRegister(register_service_pb2.GetRegisterRequest(), timeout=DEADLINE)
            return (answer.register_version, answer.published.seconds) == (successor.register_version, AS_OF + 60)

        await eventually(in_force, "the new register is in force")
        answer = await stub.GetRegister(register_service_pb2.GetRegisterRequest(), timeout=DEADLINE)
        assert answer.register_version == successor.register_version


async def test_the_time_of_a_register_is_read_once_the_bus_answers(nats, register, monkeypatch):
    """A bus that does not answer while a register is taken in only delays it, with the time of its publication."""
    async with nats.connect("register") as bus:
        await publish_register(bus, register, now=AS_OF)
    model, failures = ReadModel(), [BusError("it does not answer")] * 2
    async with nats.connect("api") as bus:
        real = bus.kv_get

        async def kv_get(bucket, key, **options):
            if key == CURRENT_KEY and failures:
                raise failures.pop()
            return await real(bucket, key, **options)

        monkeypatch.setattr(bus, "kv_get", kv_get)
        feeding = asyncio.ensure_future(Feed(bus, model, WatchHub(Gauge("watchers", "")), logger()).run())
        await eventually(lambda: model.current, "the register")
        await cancel_and_wait(feeding)
    assert (failures, model.view.published) == ([], AS_OF)


async def test_an_unreadable_block_changes_nothing(launch, nats, register):
    """Bytes without a block are logged and ignored; the previous blocks stay."""
    async with serving(launch, nats, register) as (process, channel):
        async with nats.connect("scorer") as bus:
            await bus.kv_put(INDICATOR_BUCKET, consumers_key(group_of("customs")), b"\xff\xff\xff")
            await bus.kv_put(INDICATOR_BUCKET, consumers_key(group_of("tax-office")), b"")
            await bus.kv_put(INDICATOR_BUCKET, "government", b"")

        async def logged():
            return process.events().count("block_unreadable") == 3

        await eventually(logged, "it is logged")
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        for kind, name in (("LINK", "permit-tax"), ("CONSUMER", "tax-office")):
            request = indicator_service_pb2.GetIndicatorRequest(
                kind=indicator_pb2.IndicatorKind.Value(f"INDICATOR_KIND_{kind}"), id=name
            )
            assert (await stub.GetIndicator(request, timeout=DEADLINE)).indicator.as_of.seconds == AS_OF


async def test_a_new_government_is_visible_after_the_rest(launch, nats, register):
    """A government block that overtakes the agencies' blocks is held back until those arrive."""
    async with serving(launch, nats, register) as (_, channel):
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        watch = stub.WatchIndicators(
            indicator_service_pb2.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
        )
        assert (await watch.read()).indicator.as_of.seconds == AS_OF

        async def look_around():
            seen = (await watch.read()).indicator.as_of.seconds
            request = indicator_service_pb2.ListIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_CONSUMER)
            listed = await stub.ListIndicators(request, timeout=DEADLINE)
            return seen, {one.as_of.seconds for one in listed.indicators}

        looking = asyncio.ensure_future(look_around())
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, register, as_of=AS_OF + 300)  # the government's comes first
        async with asyncio.timeout(DEADLINE):
            assert await looking == (AS_OF + 300, {AS_OF + 300})
        watch.cancel()


async def test_the_first_government_waits_for_every_agency(launch, nats, register):
    """The first government block is held back until each consumer's block exists: nothing is shown as not applicable."""
    values, agency = values_of(register), "customs"
    late, government = consumers_key(group_of(agency)), "government"
    process = launch()
    async with grpc.aio.insecure_channel(process.listen, EAGER) as channel:
        stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        async with nats.connect("register") as bus:
            await publish_register(bus, register, now=AS_OF)
        await eventually(lambda: with_register(channel), "the api has its register")
        watch = stub.WatchIndicators(
            indicator_service_pb2.WatchIndicatorsRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
        )
        seen = asyncio.ensure_future(watch.read())
        async with nats.connect("scorer") as bus:
            for key in (government, *values.keys() - {government, late}):
                await bus.kv_put(INDICATOR_BUCKET, key, values[key])
            await asyncio.wait({seen}, timeout=0.5)
            assert not seen.done()
            await bus.kv_put(INDICATOR_BUCKET, late, values[late])
        async with asyncio.timeout(DEADLINE):
            answer = cast(indicator_service_pb2.WatchIndicatorsResponse, await seen)
            assert answer.indicator.as_of.seconds == AS_OF
        request = indicator_service_pb2.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_CONSUMER, id=agency)
        assert (await stub.GetIndicator(request, timeout=DEADLINE)).indicator.as_of.seconds == AS_OF


async def test_buckets_made_anew_are_taken_in(launch, nats, register, tmp_path):
    """Without its buckets the api stops serving; with new and shorter ones it serves their content."""
    successor = load_register(write_register(tmp_path / "successor", links_csv=(",0.99,2", ",0.99,4")))
    soon = {"services.api.health.LOST_SECONDS": 0.5}
    async with serving(launch, nats, register, constants=soon) as (_, channel), nats.connect("admin") as admin:
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, register, as_of=AS_OF + 300)
        indicators = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        registers = register_service_pb2_grpc.RegisterServiceStub(channel)

        async def held():
            indicator = await indicators.GetIndicator(
                indicator_service_pb2.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT),
                timeout=DEADLINE,
            )
            answer = await registers.GetRegister(register_service_pb2.GetRegisterRequest(), timeout=DEADLINE)
            return indicator.indicator.as_of.seconds, answer.register_version

        async def refreshed():
            return await held() == (AS_OF + 300, register.register_version)

        async def renewed():
            return await held() == (AS_OF + 600, successor.register_version)

        async def refused():
            return await health_of(channel) == NOT_SERVING

        async def restored():
            return await health_of(channel) == SERVING

        await eventually(refreshed, "the new block is shown")
        for bucket in (INDICATOR_BUCKET, REGISTER_BUCKET):
            await admin.jetstream.delete_stream(kv_stream(bucket))
        await eventually(refused, "the call is refused")
        assert await refreshed()
        await initialise_streams(admin)
        async with nats.connect("register") as bus:
            await publish_register(bus, successor, now=AS_OF + 400)
        async with nats.connect("scorer") as bus:
            await put_blocks(bus, successor, as_of=AS_OF + 600)
        await eventually(renewed, "the register is renewed")
        await eventually(restored, "the blocks are restored")

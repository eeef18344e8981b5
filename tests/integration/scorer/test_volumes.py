"""The scorer publishes the volumes that data buses carried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from services.core.bus.names import exchange_subject
from services.core.codec import encode_summaries
from services.core.model.exchange import ExchangeSummary
from services.core.model.reconciliation import BusTraffic
from tests.support.cases.scorer import SLOT, Scorer, blocks, make_register, now_slot, register_on
from tests.support.nats import Nats
from tests.support.values.block_columns import Block
from tests.support.waiting import eventually


def summary(slot_start: int, **changes: object) -> ExchangeSummary:
    base = ExchangeSummary("tax-office", "customs/tax-clearance/imports", slot_start, 1)
    return replace(base, **{"count": 10, "ok": 9, "bus_failures": 1, **changes})  # type: ignore[arg-type]


def midnight_before(moment: float, *, days: int) -> int:
    """Return the midnight ``days`` before the day of a moment, in UTC."""
    return int(moment // 86_400 - days) * 86_400


async def test_exchange_volumes_are_shown_with_their_consumer(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Volumes replace one another by revision and survive kill -9; those of unmapped consumers are shown with the
    government. Each volume has its span, and each finding about a link its moment.
    """
    exchanged = now_slot() * SLOT
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    async with nats.connect("collector") as collector, nats.connect("api") as api:

        async def send(*rows: ExchangeSummary) -> None:
            await collector.publish(exchange_subject("xroad", 2), encode_summaries("xroad", rows), message_id="")

        def counted(consumer: str, key: str, *counts: int) -> Callable[[], Awaitable[bool]]:
            async def look() -> bool:
                block = (await blocks(api)).get(key)
                volumes = block.exchanges if block else ()
                return [one.count for one in volumes if one.consumer == consumer] == list(counts)

            return look

        await send(
            summary(exchanged),
            summary(exchanged, client="X/G/9", count=3, ok=3, bus_failures=0),
            summary(exchanged, service="customs/any/listMethods", meta=True),
        )
        await eventually(
            counted("tax-office", "consumer.tax-office", 10, 10), "volumes of the pair and its meta services"
        )
        await eventually(counted("_unmapped", "government", 3), "the volume of nobody")
        await scorer.killed()
        revisions = ((3, 12), (2, 99))
        await send(*(summary(exchanged, revision=at, count=count) for at, count in revisions))
        scorer.start()
        await eventually(counted("tax-office", "consumer.tax-office", 12, 10), "the highest revision")
        pair = 'peyvand_exchanges{consumer="tax-office",meta="false",provider="customs",result="ok"} 9.0'

        async def exposed() -> bool:
            return pair in (await scorer.get("/metrics") or "")

        await eventually(exposed, "the gauge")

        async def told() -> bool:
            block = (await blocks(api)).get("government")
            if block is None or not block.traffic:
                return False
            return {(one.exchanges, one.undeclared_exchanges, one.buses) for one in block.traffic} == {
                (15, 3, (BusTraffic("xroad", 15),))
            }

        await eventually(told, "the traffic of every window")

        async def looked() -> Block | None:
            found = await blocks(api)
            block, traffic = found["consumer.tax-office"], found["government"].traffic
            moments = [one.as_of or 0 for one in block.reconciliations] + [one.as_of or 0 for one in traffic]
            return block if block.reconciliations and min(moments) > exchanged else None

        block = await eventually(looked, "what was found after the slot")
        as_of = block.indicators[0].as_of
        for volume in block.exchanges:
            assert volume.slots_from == midnight_before(as_of, days=90)
            assert volume.slots_to is not None
            assert volume.last_slot == exchanged < volume.slots_to
            assert volume.slots_to in (as_of, exchanged + SLOT)
        assert {one.link for one in block.reconciliations} == {"clearance-customs"}
        for one in block.reconciliations:
            assert one.as_of is not None
            assert one.as_of <= as_of
            assert one.last_hour == exchanged // 3600 * 3600
    assert await scorer.stop() == (0, "")


async def test_a_new_register_attributes_what_was_exchanged_before(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Without new data from a collector, exchanges belong to the agency that a new register names, and to nobody under
    a register that names none, also with another calendar.
    """
    epoch = float(now_slot() * SLOT - 3600)
    members = "member,agency\nX/G/1,tax-office\nX/G/2,customs\n"
    await register_on(nats, make_register(tmp_path / "first", epoch=epoch))
    scorer.start()
    await scorer.serving()
    async with nats.connect("collector") as collector, nats.connect("api") as api:

        def counted(key: str, consumer: str) -> Callable[[], Awaitable[bool]]:
            async def look() -> bool:
                found = await blocks(api)
                told = [
                    (name, one.consumer, one.provider, one.count)
                    for name in ("government", "consumer.tax-office")
                    if name in found
                    for one in found[name].exchanges
                ]
                return told == [(key, consumer, "customs" if consumer == "tax-office" else "_unmapped", 10)]

            return look

        row = summary(now_slot() * SLOT, client="X/G/1/tax", service="X/G/2/customs/get")
        await collector.publish(exchange_subject("xroad", 2), encode_summaries("xroad", [row]), message_id="")
        await eventually(counted("government", "_unmapped"), "the volume of nobody")
        await register_on(nats, make_register(tmp_path / "second", epoch=epoch, members_csv=members))
        await eventually(counted("consumer.tax-office", "tax-office"), "the volume of the agency")
        await register_on(nats, make_register(tmp_path / "third", epoch=epoch - 60))
        await eventually(counted("government", "_unmapped"), "the volume of nobody again")
    assert await scorer.stop() == (0, "")

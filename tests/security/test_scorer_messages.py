"""What the seed of a prober or of a collector can do to the scorer by the messages that it may publish."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from peyvand.v1.measurement_pb2 import MeasurementBatch
from services.core.blocks.target_blocks import decode_slot_block
from services.core.bus.names import (
    INDICATOR_BUCKET,
    MEASUREMENTS,
    exchange_subject,
    group_of,
    measurement_subject,
    slot_key,
)
from services.core.codec import encode_summaries
from services.core.model.exchange import ExchangeSummary
from services.core.model.outcome import Outcome, Reason
from tests.support.cases.scorer import (
    SLOT,
    Scorer,
    batch,
    blocks,
    government,
    make_register,
    measure,
    now_slot,
    put,
    register_on,
)
from tests.support.nats import Nats
from tests.support.waiting import eventually


def shown(scorer: Scorer, *lines: str) -> Callable[[], Awaitable[bool]]:
    """Return a check whether /metrics has these lines."""

    async def look() -> bool:
        page = (await scorer.get("/metrics") or "").splitlines()
        return set(lines) <= set(page)

    return look


@pytest.mark.parametrize("change", [{"revision": 2**64 - 1}, {"count": 2**62}, {"count": 9, "ok": 2**63}])
async def test_summaries_out_of_range_stop_nothing(
    nats: Nats, scorer: Scorer, tmp_path: Path, change: dict[str, Any]
) -> None:
    """A summary with a number that no database holds is rejected and counted; the index goes on, after a restart too,
    and so do the summaries that follow.
    """
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    good = ExchangeSummary("tax-office", "customs/tax-clearance/imports", now_slot() * SLOT, 1, count=10, ok=9)
    rejected = "peyvand_summaries_rejected_total 1.0"
    async with nats.connect("collector") as collector, nats.connect("prober") as prober, nats.connect("api") as api:

        async def volumes() -> list[int]:
            block = (await blocks(api)).get("consumer.tax-office")
            return [] if block is None else [volume.count for volume in block.exchanges]

        async def counted() -> bool:
            return await volumes() == [10]

        for row in (replace(good, **change), good):
            await collector.publish(exchange_subject("xroad", 0), encode_summaries("xroad", [row]), message_id="")
        await eventually(shown(scorer, rejected), "the summary is rejected")
        await eventually(counted, "the good summary counts")
        scorer.kill()
        scorer.start()
        await put(prober, [measure("deed-tax", now_slot() - 2)])
        await eventually(shown(scorer, "peyvand_measurements_total 1.0"), "measurements are taken in")
        await scorer.serving()
        assert await volumes() == [10]
    assert await scorer.stop() == (0, "")


async def stored(nats: Nats, sequence: int) -> float:
    """Return when MEASUREMENTS stored a message, in epoch seconds."""
    async with nats.connect("dump") as dump:
        (message,) = await dump.read(MEASUREMENTS, sequence, limit=1)
    return message.time


async def test_a_seed_of_a_prober_rewrites_no_settled_slot(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """What claims the earliest time of a slot, or one before it, changes nothing that was measured in time once the slot has
    settled. What it changes where nothing was measured is exposed, and so is what is refused.
    """
    register = await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    prompt = SLOT + register.policy.prompt_seconds
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        while True:  # until it was stored in time, however slow the machine is
            slot = now_slot() + 1
            if await stored(nats, await put(prober, [measure("deed-tax", slot)])) <= slot * SLOT + prompt:
                break

        async def settled() -> bool:
            return time.time() > slot * SLOT + prompt + 1

        await eventually(settled, "the slot has settled")
        forged = [measure(link, slot, Reason.STATUS, at=0.0) for link in ("deed-tax", "birth-tax")]
        earlier = [measure(link, slot, Reason.STATUS, at=-60.0) for link in ("deed-tax", "deed-civil")]
        sequence = await put(prober, [*forged, *earlier])
        assert await stored(nats, sequence) > slot * SLOT + prompt
        await government(api, sequence)

        async def verdict(consumer: str, link: str) -> int:
            block = decode_slot_block(
                (await api.kv_get(INDICATOR_BUCKET, slot_key(group_of(consumer), slot // 64))) or b""
            )
            return int(block.verdict[slot - block.first_slot, block.links.index(link)])

        assert await verdict("land-registry", "deed-tax") == Outcome.OK
        assert await verdict("civil-registry", "birth-tax") == Outcome.INVALID
        assert await verdict("land-registry", "deed-civil") == Outcome.UNKNOWN
    lines = (
        'peyvand_settled_slots_changed_total{vantage="main"} 1.0',
        'peyvand_measurements_refused_total{fault="time"} 2.0',
    )
    await eventually(shown(scorer, *lines), "the metrics")
    assert await scorer.stop() == (0, "")


async def test_a_seed_of_a_prober_fills_no_table(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Batches that name targets that no register has, in their tables or in rows, leave nothing in the scorer's state: it
    keeps a column for each target of the register and no more.
    """
    register = await register_on(nats, make_register(tmp_path / "register"))
    slot = now_slot() - 2
    row = measure("deed-tax", slot)
    table = MeasurementBatch.FromString(batch([row]))
    table.links.extend(f"junk-{number}" for number in range(20_000))
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        scorer.start()
        await prober.publish(measurement_subject("main", 0), table.SerializeToString(), message_id="")
        for part in range(5):
            await put(prober, [measure(f"junk-{part}-{number}", slot) for number in range(2_000)])
        await government(api, await put(prober, [row]))
        assert await scorer.stop() == (0, "")
        state = next(scorer.data.glob("evidence-*/ids"))
        assert b"junk" not in state.read_bytes()
        sizes = {path.stat().st_size for path in scorer.data.glob("evidence-*/slots/*")}
        assert max(sizes) < 8 * len(register.targets) + 256
        scorer.start()  # the latest measurements are recalled from the stream
        await scorer.serving()
        counted = ("peyvand_measurements_rejected_total 0.0", 'peyvand_measurements_refused_total{fault="target"} 0.0')
        await eventually(shown(scorer, *counted), "nothing is read again")
        await put(prober, [measure("junk", slot)])
        await eventually(shown(scorer, 'peyvand_measurements_refused_total{fault="target"} 1.0'), "the metric")
    assert await scorer.stop() == (0, "")

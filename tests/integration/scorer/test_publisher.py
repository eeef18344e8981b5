"""Small blocks are put on a real nats-server in batches, large ones alone."""

from __future__ import annotations

import asyncio
from functools import partial

from nats.aio.msg import Msg

from services.core.blocks.target_blocks import stamp_slot_block
from services.core.bus import MAX_ATOMIC_PUTS
from services.core.bus.names import INDICATOR_BUCKET, kv_subject
from services.core.tasks import run_in_thread
from services.scorer.publishing.encode import EncodedBlock
from services.scorer.publishing.publisher import SMALL, IndexPublisher
from tests.support.nats import Nats
from tests.support.waiting import DEADLINE


async def test_small_blocks_go_together_and_large_ones_alone(nats: Nats) -> None:
    """Blocks of up to SMALL bytes are put in atomic batches of up to MAX_ATOMIC_PUTS, a larger one alone; all arrive.

    How the blocks were encoded in groups makes no difference.
    """
    sizes = [SMALL] * (MAX_ATOMIC_PUTS + 20) + [SMALL + 1, SMALL] + [SMALL + 1] * 2 + [10] * 30
    new = [EncodedBlock(f"slot.a.{at}", bytes([at]), bytes(size)) for at, size in enumerate(sizes)]
    seen: dict[str, Msg] = {}
    complete = asyncio.Event()

    async def heard(message: Msg) -> None:
        seen[message.subject] = message
        if len(seen) == len(new):
            complete.set()

    async with nats.connect("scorer") as bus, nats.connect("api") as api:
        await api.client.subscribe(kv_subject(INDICATOR_BUCKET, "slot.>"), cb=heard)
        await api.client.flush()
        groups, stamp = iter([new[:70], [], new[70:130], new[130:]]), partial(stamp_slot_block, evidence_sequence=7)
        assert await IndexPublisher(bus)._put(groups, {}, stamp, run_in_thread, ttl=60.0) == len(new)
        async with asyncio.timeout(DEADLINE):
            await complete.wait()
        stored = await api.kv_all(INDICATOR_BUCKET, "slot.*.*")
    assert stored == {one.key: stamp_slot_block(one.payload or b"", 7) for one in new}

    batches: dict[str, list[Msg]] = {}
    for at in range(len(new)):
        message = seen[kv_subject(INDICATOR_BUCKET, f"slot.a.{at}")]
        batches.setdefault((message.headers or {}).get("Nats-Batch-Id", f"alone {at}"), []).append(message)
    assert [len(batch) for batch in batches.values()] == [MAX_ATOMIC_PUTS, 51, 1, 1, 1]
    assert [len(batch) for name, batch in batches.items() if not name.startswith("alone")] == [MAX_ATOMIC_PUTS, 51]
    for name, batch in batches.items():
        if not name.startswith("alone"):
            assert all((one.headers or {})["Nats-TTL"] == "60s" for one in batch)
            assert [(one.headers or {}).get("Nats-Batch-Commit") for one in batch] == [None] * (len(batch) - 1) + ["1"]

"""Blocks are put on a real nats-server: small ones in batches, large ones alone, and again when they are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from services.core.bus import MAX_ATOMIC_PUTS
from services.core.bus.names import INDICATOR_BUCKET, SLOTS_PER_BLOCK, group_of, kv_stream, kv_subject, slot_key
from services.core.bus.topology import initialise_streams
from services.core.tasks import run_in_thread
from services.scorer.publishing.block_writer import INFLIGHT, SMALL, BlockWriter
from services.scorer.publishing.encode import EncodedBlock
from services.scorer.publishing.publisher import IndexPublisher
from tests.support.cases.scorer import Scorer, make_register, measure, now_slot, put, register_on
from tests.support.nats import Nats
from tests.support.waiting import DEADLINE, eventually


async def test_small_blocks_go_together_and_large_ones_alone(nats: Nats) -> None:
    """Blocks of up to SMALL bytes are put in atomic batches of up to MAX_ATOMIC_PUTS, a larger one alone; all arrive.

    How the blocks were encoded in groups makes no difference.
    """
    sizes = [SMALL] * (MAX_ATOMIC_PUTS + 10) + [SMALL + 1, SMALL] + [SMALL + 1] * 2 + [10] * 20
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
        groups = iter([new[:40], [], new[40:70], new[70:]])
        assert await BlockWriter(bus).put(groups, {}, run_in_thread, ttl=60.0) == len(new)
        async with asyncio.timeout(DEADLINE):
            await complete.wait()
        stored = await api.kv_all(INDICATOR_BUCKET, "slot.*.*")
    assert stored == {one.key: one.payload for one in new}

    batches: dict[str, list[Msg]] = {}
    for at in range(len(new)):
        message = seen[kv_subject(INDICATOR_BUCKET, f"slot.a.{at}")]
        batches.setdefault((message.headers or {}).get("Nats-Batch-Id", f"alone {at}"), []).append(message)
    assert [len(batch) for batch in batches.values()] == [MAX_ATOMIC_PUTS, 31, 1, 1, 1]
    assert [len(batch) for name, batch in batches.items() if not name.startswith("alone")] == [MAX_ATOMIC_PUTS, 31]
    for name, batch in batches.items():
        if not name.startswith("alone"):
            assert all((one.headers or {})["Nats-TTL"] == "60s" for one in batch)
            assert [(one.headers or {}).get("Nats-Batch-Commit") for one in batch] == [None] * (len(batch) - 1) + ["1"]


async def test_few_blocks_wait_for_the_bus(nats: Nats, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more blocks are sent than a disk syncs before the call ends, one sync for each; the others follow."""
    blocks = [EncodedBlock(f"slot.a.{at}", bytes([1]), b"x") for at in range((INFLIGHT + 2) * MAX_ATOMIC_PUTS)]
    sent, acknowledged = 0, asyncio.Event()
    async with nats.connect("scorer") as bus:
        put_all = bus.kv_put_all

        async def held(bucket: str, values: Mapping[str, bytes], *, ttl: float | None = None) -> None:
            nonlocal sent
            sent += len(values)
            await acknowledged.wait()
            await put_all(bucket, values, ttl=ttl)

        monkeypatch.setattr(bus, "kv_put_all", held)
        putting = asyncio.ensure_future(BlockWriter(bus).put(iter([blocks]), {}, run_in_thread))
        await eventually(lambda: sent >= INFLIGHT * MAX_ATOMIC_PUTS, "as many were sent as may be")
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent == INFLIGHT * MAX_ATOMIC_PUTS <= 200  # within 5 s, if a sync takes up to 25 ms
        acknowledged.set()
        assert await putting == len(blocks)
        assert len(await bus.kv_keys(INDICATOR_BUCKET, "slot.*.*")) == len(blocks)


async def test_a_loss_is_noticed_whatever_was_put_after_it(nats: Nats) -> None:
    """Slots that a purge removed are missed although the chunk that the next one follows was put again meanwhile."""
    async with nats.connect("scorer") as bus, nats.connect("admin") as admin:
        publisher = IndexPublisher(bus)

        async def put(chunk: int, content: bytes) -> None:
            groups = iter([[EncodedBlock(slot_key(group, chunk), content, content) for group in (1, 2)]])
            await publisher._writer.put(groups, publisher._slots.setdefault(chunk, {}), run_in_thread)

        for chunk in range(3):
            await put(chunk, b"whole")
        await put(3, b"begun")
        assert not await publisher.forget_lost_slots(0)

        await admin.jetstream.purge_stream(kv_stream(INDICATOR_BUCKET))
        await put(3, b"whole")
        await put(4, b"begun")
        assert await publisher.forget_lost_slots(0)

        for chunk in range(5):
            await put(chunk, b"whole")
        assert not await publisher.forget_lost_slots(0)
        assert len(await bus.kv_keys(INDICATOR_BUCKET, slot_key("*", "*"))) == 10


@pytest.mark.parametrize("recreate", [False, True], ids=["purged", "recreated"])
async def test_slots_that_the_bucket_lost_are_put_again(
    nats: Nats, scorer: Scorer, tmp_path: Path, recreate: bool
) -> None:
    """A running scorer puts the slots of all hours again when somebody purged or recreated the bucket, not only new ones."""
    await register_on(nats, make_register(tmp_path / "register"))
    slot = now_slot() - 4
    earlier = [slot - 3 * SLOTS_PER_BLOCK, slot - 6 * SLOTS_PER_BLOCK]
    keys = [slot_key(group_of("land-registry"), one // SLOTS_PER_BLOCK) for one in earlier]
    async with nats.connect("prober") as prober, nats.connect("api") as api, nats.connect("admin") as admin:

        async def blocks() -> list[bytes | None]:
            return [await api.kv_get(INDICATOR_BUCKET, key) for key in keys]

        async def are_there() -> bool:
            return all(await blocks())

        await put(prober, [measure("deed-tax", one) for one in (*earlier, slot)])
        scorer.start()
        await scorer.serving()
        await eventually(are_there, "the earlier slots")
        before = await blocks()
        if recreate:
            await admin.jetstream.delete_stream(kv_stream(INDICATOR_BUCKET))
            await initialise_streams(admin)
        else:
            await admin.jetstream.purge_stream(kv_stream(INDICATOR_BUCKET))
        await eventually(lambda: "slots_published_again" in scorer.events(), "the loss being noticed")
        await eventually(are_there, "the earlier slots again")
        assert await blocks() == before

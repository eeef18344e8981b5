"""A scorer that is killed and restarted publishes what it would have published."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import pytest

from services.core.blocks.encode import encode_blocks
from services.core.blocks.target_blocks import RecentBlock, decode_recent
from services.core.bus import Bus
from services.core.bus.evidence import columns_of
from services.core.bus.names import INDICATOR_BUCKET, MEASUREMENTS, group_of, recent_key
from services.core.model import StreamPosition
from services.core.model.measurement import Measurement
from services.core.model.outcome import Reason
from services.core.model.register import Register
from services.core.tasks import run_in_thread
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.scorer.index.results import CompiledRegister
from services.scorer.index.scoring import Scoring
from services.scorer.publishing.blocks import consumer_blocks, government_block
from services.scorer.publishing.columns import IndicatorTable
from services.scorer.publishing.publisher import IndexPublisher
from services.scorer.publishing.recent import recall, recent_blocks
from services.scorer.state.loading import LoadedState
from tests.support.cases.scorer import SLOT, Scorer, blocks, make_register, measure, now_slot, put, register_on
from tests.support.nats import Nats
from tests.support.values.block_columns import Block, decode_block
from tests.support.waiting import eventually

KILLS = 8


async def test_what_was_last_measured_survives_a_kill(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """The last failures with their details, and the burn, are published, including those before a kill -9 and during
    the downtime.
    """
    await register_on(nats, make_register(tmp_path / "register"))
    slot = now_slot() - 6
    key = recent_key(group_of("land-registry"), 0)

    def failed(number: int) -> Measurement:
        return replace(measure("deed-tax", number, Reason.STATUS), detail=f"status 50{number - slot}")

    async def told() -> list[str] | None:
        value = await api.kv_get(INDICATOR_BUCKET, key)
        return None if value is None else decode_recent(value).failures.details.tolist()

    async def knows_five() -> RecentBlock | None:
        block = decode_recent(await api.kv_get(INDICATOR_BUCKET, key) or b"")
        known = block.burn_known[:, block.links.index("deed-tax")]
        return block if known.tolist() == [5] * 4 else None

    async def burns() -> bool:
        return 'peyvand_link_burn{link="deed-tax",span="1h"} 83.3' in (await scorer.get("/metrics") or "")

    async def burns_no_more() -> bool:
        return 'span="1h"}' not in (await scorer.get("/metrics") or 'span="1h"}')

    async with nats.connect("prober") as prober, nats.connect("api") as api:
        await put(prober, [failed(slot), failed(slot + 1), measure("deed-civil", slot)])
        scorer.start()
        await eventually(lambda: _equal(told(), ["status 501", "status 500"]), "the failures")
        assert "peyvand_link_burn{" not in (await scorer.get("/metrics") or "")
        await scorer.killed()
        await put(prober, [failed(slot + 2), failed(slot + 3), measure("deed-tax", slot + 4)])
        scorer.start()
        await eventually(lambda: _equal(told(), [f"status 50{at}" for at in (3, 2, 1, 0)]), "all failures")
        block = await eventually(knows_five, "the last slot was due")
        assert block.burn_failed[:, block.links.index("deed-tax")].tolist() == [4] * 4
        latest = dict(zip(block.latest.numbers[0].tolist(), block.latest.numbers[2].tolist(), strict=True))
        assert latest == {0: slot * SLOT, 1: (slot + 4) * SLOT}
        await scorer.killed()
        # This comes between two publications, so nothing has saved it.
        await put(prober, [failed(slot + 5)])
        scorer.start()
        await eventually(lambda: _equal(told(), [f"status 50{at}" for at in (5, 3, 2, 1, 0)]), "the last failure")
        await eventually(burns, "the burn: five of six slots, by a budget of .01")
        await put(prober, [measure("deed-tax", earlier) for earlier in range(slot - 40, slot)])
        await eventually(burns_no_more, "a burn below its threshold")
    assert await scorer.stop() == (0, "")


async def test_what_came_between_two_indexes_is_read_again(nats: Nats, tmp_path: Path) -> None:
    """Not every block is put with every index, so a block lacks what came after its own message, not after the last."""
    register = await register_on(nats, make_register(tmp_path / "register"))
    slot = now_slot() - 6
    scoring = fresh(register)
    async with nats.connect("prober") as prober, nats.connect("scorer") as bus:
        publisher = IndexPublisher(bus)
        for row in (
            measure("deed-tax", slot, Reason.STATUS),
            measure(
                "deed-tax", slot + 1, Reason.STATUS
            ),  # of a slot that is not due yet, so that its block stays as it is
            measure("birth-tax", slot - 1, Reason.LATE),
        ):
            await put(prober, [row])
            await take_all(bus, scoring)
            if row.slot_start <= slot * SLOT:
                due = scoring.due(slot + 1)
                latest = recent_blocks(scoring.recent, scoring.burns, scoring.arrays, due.groups)
                await publisher.put_recent(due, latest, run_in_thread)
        again = fresh(register)
        assert await recall(bus, again, 3) == 2
    failed = again.recent.failures(again.recent.columns.of(scoring.arrays.targets))
    assert sorted(failed.numbers[2].tolist()) == [(slot + at) * SLOT for at in (-1, 0, 1)]


async def _equal(found: Awaitable[list[str] | None], wanted: list[str]) -> bool:
    return await found == wanted


def fresh(register: Register) -> Scoring:
    """Return a scorer that has read nothing."""
    loaded = LoadedState(None, Evidence(Calendar.of(register.policy)), ())
    return Scoring(CompiledRegister.of(register), loaded, StreamPosition(MEASUREMENTS, "", 0))


async def take_all(bus: Bus, scoring: Scoring) -> None:
    """Read the rest of the stream."""
    while messages := await bus.read(MEASUREMENTS, scoring.manifest.position.sequence + 1):
        for message in messages:
            scoring.take(columns_of(message), stored=message.time, sequence=message.sequence)


async def uninterrupted(bus: Bus, folder: Path, as_of: int) -> dict[str, Block]:
    """Return the blocks of a scorer that read the whole stream without a crash."""
    from services.register.directory.load import load_register  # noqa: PLC0415  # the register as the scorer under test has it

    scoring = fresh(load_register(folder))
    await take_all(bus, scoring)
    table = IndicatorTable(scoring.compute(scoring.count(as_of // SLOT)).snapshot)
    none = [()] * len(scoring.compiled.members)
    cut = consumer_blocks(table, [*scoring.compiled.members.values()], none, none, none)
    found = {f"consumer.{agency}": block for agency, block in zip(scoring.compiled.members, cut, strict=True)}
    found["government"] = government_block(table, ())
    return {key: decode_block(*encode_blocks([block])) for key, block in found.items()}


def comparable(block: Block) -> tuple[object, ...]:
    """Return a block to the last bit, except the position of the evidence: an unchanged block keeps an older one."""
    rows = [replace(row, evidence_sequence=0) for row in block.indicators]
    arrays = [
        (one.ids, one.window_days, *(column.tobytes() for column in (one.slots, one.verdicts, one.omega, one.share)))
        for one in block.links
    ]
    return rows, arrays


async def settled_blocks(bus: Bus, sequence: int) -> dict[str, Block]:
    """Return all blocks once they are of the same moment and of everything up to this message."""

    async def look() -> dict[str, Block] | None:
        found = await blocks(bus)
        moments = {block.indicators[0].as_of for block in found.values()}
        complete = "government" in found and found["government"].indicators[0].evidence_sequence >= sequence
        return found if complete and len(moments) == 1 else None

    return await eventually(look, "blocks of one moment")


@pytest.mark.slow
async def test_kill_at_random_moments_changes_nothing(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """A scorer that is killed repeatedly while batches come in ends with the blocks of one that is not."""
    folder = make_register(tmp_path / "register")
    register = await register_on(nats, folder)
    chance = random.Random(11)
    reasons = [Reason.OK, Reason.OK, Reason.OK, Reason.STATUS, Reason.LATE, Reason.SHED, Reason.CONNECT_REFUSED]
    last = kills = 0

    async def probe() -> None:
        nonlocal last
        async with nats.connect("prober") as prober:
            while kills < KILLS:
                slots = [now_slot() - chance.randrange(1, 900) for _ in range(4)]
                rows = [measure(link, slot, chance.choice(reasons)) for slot in slots for link in register.links]
                last = await put(prober, rows, shard=chance.randrange(16))
                await asyncio.sleep(0.05)

    probing = asyncio.create_task(probe())
    while not probing.done():
        scorer.start()
        await asyncio.wait({probing}, timeout=chance.uniform(0.6, 2.5))
        await scorer.killed()
        kills += 1
    await probing
    scorer.start()
    async with nats.connect("api") as api, nats.connect("dump") as dump:
        found = await settled_blocks(api, last)
        as_of = found["government"].indicators[0].as_of
        expected = await uninterrupted(dump, folder, as_of)
    assert {key: comparable(block) for key, block in found.items()} == {
        key: comparable(block) for key, block in expected.items()
    }
    assert expected["government"].indicators[0].links_known == 8
    assert await scorer.stop() == (0, "")

"""An index is computed when a slot has settled, and for late rows while the next slot leaves time."""

from __future__ import annotations

from dataclasses import replace

from services.core.blocks import BlockReader, blocks_of_group
from services.core.bus import GOVERNMENT_KEY, SLOTS_PER_BLOCK, consumers_key, group_of, slot_key
from services.core.codec import decode_columns, encode_measurements
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.scorer.index.results import CompiledRegister
from services.scorer.refresher import CERTIFICATE_SECONDS, LATE_SECONDS, LATE_SHARE
from tests.support.cases.refresher import SLOT, START, TOOK, Running, running, until

__all__ = ["running"]  # the fixture


async def test_no_late_index_begins_just_before_a_slot_settles(running: Running) -> None:
    """Late rows are published at once if another index fits in before the next slot settles. Otherwise they are in that
    slot's index, which is not delayed.
    """
    begun = await running.puts(1)
    running.late()
    begun = await running.puts(2)
    assert begun < START + 2 * SLOT + running.settle - TOOK, "the next slot settles later"

    settles = START + 2 * SLOT + running.settle
    running.clock.now = settles - TOOK
    running.late()
    await running.nothing_more()
    assert running.scoring.stale
    running.clock.now = settles - 1
    await running.nothing_more()

    running.clock.now = settles
    assert await running.puts(3) == settles + TOOK
    assert running.scoring.manifest.end_slot == START // SLOT + 2
    assert not running.scoring.stale


async def test_late_indexes_take_a_share_of_the_time(running: Running) -> None:
    """Indexes of late rows take at most their share of the time, however many come."""
    begun = await running.puts(1)
    running.late()
    await running.puts(2)
    pause = max(TOOK + LATE_SECONDS, TOOK / LATE_SHARE)
    running.clock.now = begun + pause - 0.1
    running.late()
    await running.nothing_more()
    running.clock.now = begun + pause
    assert await running.puts(3) == begun + pause + TOOK
    assert running.scoring.manifest.end_slot == START // SLOT + 1


async def test_evidence_that_cannot_be_put_comes_with_the_next_index(running: Running) -> None:
    """While the bus stores nothing, the index is computed in vain. Then slots, measurements and index are put."""
    await running.puts(1)
    running.sink.broken = True
    running.sink.values.clear()
    running.clock.now += SLOT
    await until(lambda: running.sink.refused > 2)
    assert running.scoring.manifest.end_slot == START // SLOT + 1
    assert str(running.health) == "NOT_SERVING: the index cannot be published"

    running.sink.broken = False
    await running.puts(2)
    assert running.scoring.manifest.end_slot == START // SLOT + 2
    assert {key.partition(".")[0] for key in running.sink.values} == {"slot", "latest", "consumer", "government"}
    assert str(running.health) == "SERVING"


async def test_a_clock_that_is_ahead_makes_no_index(running: Running) -> None:
    """While our clock is more than a slot ahead of the bus's, nothing is published or dropped. Then it continues."""
    await running.puts(1)
    running.sink.behind = 200 * 86_400.0
    running.clock.now += SLOT
    await running.nothing_more()
    assert running.scoring.manifest.end_slot == START // SLOT + 1
    wrong = "the clock here is 17280000 s ahead of the bus's: set the one that is wrong"
    assert str(running.health) == f"NOT_SERVING: {wrong}"

    running.sink.behind = 0.0
    await running.puts(2)
    assert running.scoring.manifest.end_slot == START // SLOT + 2
    assert str(running.health) == "SERVING"


async def test_no_index_is_new_while_the_clock_cannot_be_checked(running: Running) -> None:
    """If the bus does not say its time, nothing new is published: our clock may be ahead. Late rows still are."""
    await running.puts(1)
    running.sink.silent = True
    running.late()
    await running.puts(2)
    running.clock.now += 7200
    await running.nothing_more()
    assert str(running.health) == "NOT_SERVING: the index cannot be published"
    running.sink.silent, running.sink.behind = False, 7200.0
    await running.nothing_more()
    running.sink.behind = 0.0
    await running.puts(3)
    assert str(running.health) == "SERVING"


async def test_a_clock_that_is_behind_does_not_serve(running: Running) -> None:
    """If our clock is behind the bus's by more than a slot, the index stands still and is not served as new. A smaller
    difference is no fault.
    """
    await running.puts(1)
    assert str(running.health) == "SERVING"
    running.sink.behind = float(-SLOT)
    await running.nothing_more()
    assert str(running.health) == "SERVING"
    running.sink.behind = -3600.0
    await running.nothing_more()
    assert str(running.health) == "NOT_SERVING: the clock here is 3600 s behind the bus's: set the one that is wrong"

    running.sink.behind = 0.0
    await running.nothing_more()
    assert str(running.health) == "SERVING"
    running.clock.now += 3600.0
    await running.puts(2)


async def test_certificates_that_expire_soon_are_published(running: Running) -> None:
    """A consumer's block lists exactly its links whose certificate expires within three weeks of the index."""
    await running.puts(1)
    soon, later = START + SLOT + CERTIFICATE_SECONDS - 1, START + SLOT + CERTIFICATE_SECONDS
    running.late(later)  # deed-civil
    running.late(soon)  # deed-tax
    await running.puts(2)

    def block(agency: str) -> BlockReader:
        return BlockReader.of(blocks_of_group(running.sink.values[consumers_key(group_of(agency))])[agency])

    assert {link: expiry.seconds for link, expiry in block("land-registry").certificates.items()} == {"deed-tax": soon}
    assert not block("civil-registry").certificates


async def test_old_slots_are_put_after_the_index(running: Running) -> None:
    """With another register the index is put first, then the detail of older slots, which is half of everything put."""
    old, new = START - 100 * SLOT, START
    async with running.evidence_lock.lock:  # the first index may be computed already
        for moment in (old, new):
            row = Measurement(Target("deed-civil"), "north", moment, moment + 5.0, OUTCOME_OF[Reason.OK], Reason.OK)
            running.scoring.take(decode_columns(encode_measurements([row])), stored=moment + 10.0, sequence=1)
    await running.puts(1)
    register = running.scoring.register
    links = {name: link for name, link in register.links.items() if name != "deed-tax"}
    running.sink.values.clear()
    running.scoring.adopt(CompiledRegister.of(replace(register, links=links)))
    running.clock.now += SLOT
    await running.puts(2)
    group = group_of("land-registry")
    keys = [key for key in running.sink.values if key == GOVERNMENT_KEY or key.startswith(slot_key(group, ""))]
    chunks = [slot_key(group, moment // SLOT // SLOTS_PER_BLOCK) for moment in (new, old)]
    assert keys == [chunks[0], GOVERNMENT_KEY, chunks[1]]

"""Blocks of the bucket come and go with what the register has in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import cast

from services.core.bus import DETAIL_SECONDS, GOVERNMENT_KEY, SLOTS_PER_BLOCK, Bus, consumers_key, group_of
from services.core.codec import decode_columns, encode_measurements
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import Register
from services.core.tasks import run_in_thread
from services.register.directory.load import load_register
from services.scorer.exchanges.reconciler import ReconciliationReport
from services.scorer.index.results import CompiledRegister
from services.scorer.publishing.encode import BlockEncoder
from services.scorer.publishing.publisher import IndexPublisher
from tests.support.cases.scoring import SLOT, START, Run, register, register_directory

__all__ = ["register"]  # the fixture


class Bucket:
    """A bucket in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def kv_remove_orphans(self, _bucket: str) -> None:
        pass

    async def kv_keys(self, _bucket: str, pattern: str) -> set[str]:
        return {key for key in self.values if key.startswith(pattern.partition("*")[0])}

    async def kv_put_all(self, _bucket: str, values: Mapping[str, bytes], **_: float | None) -> None:
        self.values |= values

    async def kv_delete(self, _bucket: str, key: str) -> None:
        del self.values[key]


async def test_no_block_stays_when_no_link_is_in_force(register: Register, tmp_path: Path) -> None:
    """When the last link goes out of force, the government's block goes too, and comes back with the links.

    This also holds in one slot, and if an earlier process put the block.
    """
    scoring, bucket = Run(register, tmp_path).scoring, Bucket()
    links = {name: replace(link, required_until=date(2020, 1, 1)) for name, link in register.links.items()}
    ended = CompiledRegister.of(replace(register, links=links))
    publisher = IndexPublisher(cast(Bus, bucket))

    async def publish() -> set[str]:
        result = scoring.compute(scoring.count(START // SLOT + 1))
        await publisher.publish(BlockEncoder(result, (), ReconciliationReport()))
        return {key for key in bucket.values if key == GOVERNMENT_KEY or key.startswith(consumers_key(""))}

    whole = await publish()
    assert GOVERNMENT_KEY in whole
    scoring.adopt(ended)
    assert await publish() == {consumers_key(group_of(one.agency)) for one in register.endpoints.values()}
    scoring.adopt(CompiledRegister.of(register))
    assert await publish() == whole
    publisher = IndexPublisher(cast(Bus, bucket))
    scoring.adopt(ended)
    assert GOVERNMENT_KEY not in await publish()


async def test_lost_slots_are_noticed_while_they_are_kept(tmp_path: Path) -> None:
    """Slots of an hour are missed too, although a chunk of them is longer than detail is kept. Expired ones are not."""
    hour = 3600
    scoring = Run(load_register(register_directory(tmp_path / "register", hour)), tmp_path / "state").scoring
    bucket = Bucket()
    publisher = IndexPublisher(cast(Bus, bucket))
    end = (START // hour // SLOTS_PER_BLOCK + 1) * SLOTS_PER_BLOCK
    for sequence, slot in enumerate((end - 5, end + 1), 1):
        row = Measurement(
            Target("deed-civil"), "north", slot * hour, slot * hour + 5.0, OUTCOME_OF[Reason.OK], Reason.OK
        )
        scoring.take(decode_columns(encode_measurements([row])), stored=slot * hour + 10.0, sequence=sequence)
    due, now = scoring.due(end + 2), float((end + 2) * hour)
    assert len(due.chunks) == 2
    for chunk in due.chunks:
        assert await publisher.put_slots(due, chunk, scoring.evidence, now, run_in_thread)
    assert not await publisher.forget_lost_slots(now)
    bucket.values.clear()
    assert not await publisher.forget_lost_slots(end * hour + DETAIL_SECONDS - 1.0)
    assert await publisher.forget_lost_slots(now)
    assert not await publisher.forget_lost_slots(now)

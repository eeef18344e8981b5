"""Blocks of the bucket come and go with what the register has in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import cast

import pytest

from services.core.blocks import BlockReader, blocks_of_group
from services.core.bus import DETAIL_SECONDS, GOVERNMENT_KEY, SLOTS_PER_BLOCK, Bus, consumers_key, group_of
from services.core.codec import decode_columns, encode_measurements
from services.core.errors import BusError
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import Register
from services.core.tasks import run_in_thread
from services.register.directory.load import load_register
from services.scorer.exchanges.reconciler import ReconciliationReport
from services.scorer.index.results import CompiledRegister
from services.scorer.publishing import encode
from services.scorer.publishing.encode import BlockEncoder
from services.scorer.publishing.publisher import IndexPublisher
from tests.support.cases.scoring import SLOT, START, Run, register, register_directory

__all__ = ["register"]  # the fixture


class Bucket:
    """A bucket in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.refuses = False

    def of_agencies(self) -> dict[str, bytes]:
        """Return the blocks of agencies, by agency."""
        values = (value for key, value in self.values.items() if key.startswith(consumers_key("")))
        return {agency: block for value in values for agency, block in blocks_of_group(value).items()}

    async def kv_remove_orphans(self, _bucket: str) -> None:
        pass

    async def kv_keys(self, _bucket: str, pattern: str) -> set[str]:
        return {key for key in self.values if key.startswith(pattern.partition("*")[0])}

    async def kv_put_all(self, _bucket: str, values: Mapping[str, bytes], **_: float | None) -> None:
        if self.refuses:
            raise BusError("nothing is stored")
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


async def test_agencies_of_a_group_are_put_together(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value has the block of each agency as it is alone. If a certificate of one of them is to expire soon, only its block
    is another, although it could not be put at first. An agency without a link in force leaves the value.
    """
    scoring, alone, together = Run(register, tmp_path).scoring, Bucket(), Bucket()

    async def publish(publisher: IndexPublisher, *expiring: tuple[str, int]) -> int:
        result = scoring.compute(scoring.count(START // SLOT + 1))
        return await publisher.publish(BlockEncoder(result, (), ReconciliationReport(), certificates=expiring))

    monkeypatch.setattr(encode, "group_of", sorted(register.agencies).index)
    count = await publish(IndexPublisher(cast(Bus, alone)))
    monkeypatch.setattr(encode, "group_of", lambda _: 0)
    publisher = IndexPublisher(cast(Bus, together))
    assert await publish(publisher) == count > 2
    before = together.of_agencies()
    assert before == alone.of_agencies()
    assert len(before) == count

    scoring.skip(sequence=1, stored=START + 10.0)
    together.refuses = True
    with pytest.raises(BusError):
        await publish(publisher, ("deed-civil", START))
    together.refuses = False
    assert await publish(publisher, ("deed-civil", START)) == count
    after = together.of_agencies()
    assert {agency for agency in after if after[agency] != before[agency]} == {"land-registry"}
    block = BlockReader.of(after["land-registry"])
    assert (list(block.certificates), block.evidence_sequence) == (["deed-civil"], 1)

    ended = {
        name: replace(link, required_until=date(2020, 1, 1))
        for name, link in register.links.items()
        if register.consumer(link) == "land-registry"
    }
    scoring.adopt(CompiledRegister.of(replace(register, links={**register.links, **ended})))
    assert await publish(publisher) == count - 1
    assert together.of_agencies().keys() == before.keys() - {"land-registry"}


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

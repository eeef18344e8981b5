"""Blocks of the bucket come and go with what the register has in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import cast

from services.core.bus import GOVERNMENT_KEY, Bus, consumer_key
from services.core.model.register import Register
from services.scorer.exchanges.reconciler import ReconciliationReport
from services.scorer.index.results import CompiledRegister
from services.scorer.publishing.encode import BlockEncoder
from services.scorer.publishing.publisher import IndexPublisher
from tests.support.cases.scoring import SLOT, START, Run, register

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
        return {key for key in bucket.values if key == GOVERNMENT_KEY or key.startswith(consumer_key(""))}

    whole = await publish()
    assert GOVERNMENT_KEY in whole
    scoring.adopt(ended)
    assert await publish() == {consumer_key(one.agency) for one in register.endpoints.values()}
    scoring.adopt(CompiledRegister.of(register))
    assert await publish() == whole
    publisher = IndexPublisher(cast(Bus, bucket))
    scoring.adopt(ended)
    assert GOVERNMENT_KEY not in await publish()

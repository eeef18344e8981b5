"""A scorer asks for the lease when told to, renews it, and gives up only the lease that it certainly still has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from services.core.bus import Bus, claim
from services.core.errors import BusError
from services.core.log import logger
from services.scorer import lease as module
from services.scorer.lease import LEASE_SECONDS, Lease


@dataclass
class OneKey:
    """A bus with one key, which the test removes itself once it has expired."""

    holder: bytes = b""
    connected: bool = True

    async def kv_claim(self, _bucket: str, _key: str, value: bytes, *, ttl: float) -> bytes:
        assert ttl == LEASE_SECONDS
        self.holder = self.holder or value
        return self.holder

    async def kv_delete(self, _bucket: str, _key: str) -> None:
        self.holder = b""


@pytest.mark.parametrize(("passed", "left"), [(LEASE_SECONDS - 1, b""), (LEASE_SECONDS + 1, b"another")])
async def test_a_lease_that_another_scorer_took_stays(
    monkeypatch: pytest.MonkeyPatch, passed: float, left: bytes
) -> None:
    """A scorer that ends removes its own lease, but not that of another scorer, which took it after it had expired."""
    now, bus = 1000.0, OneKey()
    monkeypatch.setattr(claim, "time", SimpleNamespace(monotonic=lambda: now))
    lease = Lease(cast(Bus, bus), log=logger())
    assert await lease.take()
    now += passed
    if left:
        bus.holder = left
    await lease.give_up()
    assert bus.holder == left


async def test_the_lease_is_kept_once_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is not asked for before it is taken. From then on it is renewed, and that fails if another has it."""
    monkeypatch.setattr(module, "RENEWAL_SECONDS", 0)
    bus = OneKey()
    lease = Lease(cast(Bus, bus), log=logger())
    keeping = asyncio.ensure_future(lease.keep())
    await asyncio.sleep(0)
    assert not bus.holder
    assert await lease.take()
    bus.holder = b"another"
    with pytest.raises(BusError, match="another scorer publishes by now, another: this one stood still"):
        await keeping

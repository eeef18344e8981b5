"""A scorer asks for the lease when told to, renews it, and gives up only the lease that it certainly still has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from services.core.bus import Bus, StoredMessage, claim
from services.core.errors import BusError
from services.core.log import logger
from services.core.tasks import cancel_and_wait
from services.scorer import lease as module
from services.scorer.lease import LEASE_SECONDS, Lease
from tests.support.waiting import eventually


@dataclass
class OneKey:
    """A bus with one key, which the test removes itself once it has expired. It leaves claim ``silent`` unanswered."""

    holder: bytes = b""
    connected: bool = True
    asked: int = 0
    silent: int | None = None

    async def kv_last(self, _bucket: str, key: str) -> StoredMessage | None:
        self.asked += 1
        if self.asked == self.silent:
            await asyncio.Event().wait()
        return StoredMessage(self.asked, key, self.holder, 0.0) if self.holder else None

    async def kv_replace(
        self, _bucket: str, _key: str, value: bytes | None, *, last: StoredMessage | None, ttl: float | None = None
    ) -> bool:
        assert ttl == (None if value is None else LEASE_SECONDS)
        assert (b"" if last is None else last.data) == self.holder
        self.holder = value or b""
        return True


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
    now, bus = 1000.0, OneKey()
    monkeypatch.setattr(module, "RENEWAL_SECONDS", 0.001)
    monkeypatch.setattr(claim, "time", SimpleNamespace(monotonic=lambda: now))
    lease = Lease(cast(Bus, bus), log=logger())
    keeping = asyncio.ensure_future(lease.keep())
    await asyncio.sleep(0)
    assert not bus.holder
    assert await lease.take()
    bus.holder = b"another"
    now += LEASE_SECONDS + 1
    with pytest.raises(BusError, match="another scorer publishes by now, another: this one stood still"):
        await keeping


async def test_a_replica_that_lags_behind_ends_no_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica may still name the scorer that had the lease before. The lease is then renewed by the next answer."""
    now, bus = 1000.0, OneKey()
    monkeypatch.setattr(module, "RENEWAL_SECONDS", 0.001)
    monkeypatch.setattr(claim, "time", SimpleNamespace(monotonic=lambda: now))
    lease = Lease(cast(Bus, bus), log=logger())
    assert await lease.take()
    taken, bus.holder, bus.asked = bus.holder, b"before", 0
    keeping = asyncio.ensure_future(lease.keep())
    await eventually(lambda: bus.asked > 0 or keeping.done(), "it asks")
    assert not keeping.done()
    now += LEASE_SECONDS - 1
    bus.holder, bus.asked = taken, 0
    await eventually(lambda: bus.asked > 1, "it is renewed")
    now += LEASE_SECONDS - 1
    lease.check()
    await cancel_and_wait(keeping)


async def test_the_lease_is_asked_for_again_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that is not answered is given up early enough for another one before the lease runs out."""
    monkeypatch.setattr(module, "RENEWAL_SECONDS", 0.001)
    bus = OneKey(silent=2)
    lease = Lease(cast(Bus, bus), log=logger())
    assert await lease.take()
    keeping = asyncio.ensure_future(lease.keep())
    await eventually(lambda: bus.asked > 2, "it asks again")
    await cancel_and_wait(keeping)

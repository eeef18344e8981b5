"""Findings about exchanges are sent to FINDINGS when something of them is new, and once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.core.bus import Bus, finding_of
from services.core.bus.names import FINDINGS, finding_subject
from services.core.errors import BusError
from services.core.model import Finding, ProbeView, Review
from services.scorer.publishing import FindingPublisher
from tests.support.cases.dataset import found
from tests.support.nats import Nats


async def sent(bus: Bus) -> list[Finding]:
    """All that was sent, the oldest first."""
    return [finding_of(message) for message in await bus.read(FINDINGS, 1)]


async def test_what_is_new_is_sent_once(nats: Nats) -> None:
    """A finding is sent when it is found, changes or ends; not when only its figures go on, and not again after a start."""
    first, second = found(0), found(2)
    async with nats.connect("scorer") as bus, nats.connect("dump") as dump:
        publisher = FindingPublisher(bus)
        await publisher.publish([first])
        await publisher.publish([replace(first, seen=1.0, expected=12.0, chance=0.0)])
        assert await sent(dump) == [first]
        failing = replace(first, probes=ProbeView.FAIL)
        await publisher.publish([failing, second])
        ended = replace(failing, ended_at=failing.found_at + 3600)
        started = FindingPublisher(bus)
        await started.publish([ended, second])
        reviewed = replace(ended, review=Review.CONFIRMED, note="the cable was cut")
        await started.publish([second, reviewed])
        assert await sent(dump) == [first, failing, second, ended, reviewed]


async def test_only_what_this_version_knows_is_compared(nats: Nats) -> None:
    """A finding that a later version sent is passed over, and does not stop what follows."""
    async with nats.connect("scorer") as bus, nats.connect("dump") as dump:
        await bus.publish(finding_subject("drought", "0"), b"\x10\x7f", message_id="")
        await FindingPublisher(bus).publish([found(0)])
        (_, message) = await dump.read(FINDINGS, 1)
        assert finding_of(message) == found(0)


async def test_a_scorer_without_the_lease_sends_nothing(nats: Nats) -> None:
    """What may not be sent is sent by the next call."""
    allowed = False

    def check() -> None:
        if not allowed:
            raise BusError("another scorer publishes")

    async with nats.connect("scorer") as bus, nats.connect("dump") as dump:
        publisher = FindingPublisher(bus, check)
        with pytest.raises(BusError, match="another scorer"):
            await publisher.publish([found(0)])
        assert await sent(dump) == []
        allowed = True
        await publisher.publish([found(0)])
        assert await sent(dump) == [found(0)]

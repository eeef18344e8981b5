"""Findings about exchanges are sent to FINDINGS once for each change, and a restart keeps those published last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from peyvand.v1 import block_pb2
from services.core.blocks.compression import parse_block
from services.core.bus import Bus, finding_of, initialise_streams
from services.core.bus.names import FINDINGS, GOVERNMENT_KEY, INDICATOR_BUCKET, finding_subject
from services.core.codec import finding_to_message
from services.core.errors import BusError
from services.core.model import Finding, FindingKind, ProbeView, Review
from services.scorer.publishing import FindingPublisher, published_findings
from tests.support.cases.datasets.rows import found
from tests.support.cases.scorer import Scorer, make_register, register_on
from tests.support.nats import Nats
from tests.support.waiting import eventually


async def sent(bus: Bus) -> list[Finding]:
    """Return all findings that were sent, the oldest first."""
    return [finding_of(message) for message in await bus.read(FINDINGS, 1)]


async def test_what_is_new_is_sent_once(nats: Nats) -> None:
    """A finding is sent when it is found, changes or ends, not when only its figures change, and not again after a
    restart.
    """
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
        fallen = replace(second, kind=FindingKind.FALL, seen=1.0)  # what was silent is used a little
        await started.publish([fallen, reviewed])
        assert await sent(dump) == [first, failing, second, ended, fallen, reviewed]


async def test_a_recreated_stream_gets_every_finding_again(nats: Nats) -> None:
    """After the first finding in a recreated stream, those that have not changed are sent again."""
    first, second, third = found(0), found(2), found(4)
    async with nats.connect("scorer") as bus, nats.connect("dump") as dump, nats.connect("admin") as admin:
        publisher = FindingPublisher(bus)
        await publisher.publish([first, second])
        await admin.jetstream.delete_stream(FINDINGS)
        await initialise_streams(admin)
        await publisher.publish([first, second])
        assert await sent(dump) == []
        await publisher.publish([first, second, third])
        await publisher.publish([first, second, third])
        assert await sent(dump) == [third, first, second]
        await publisher.publish([first, second, third])
        assert len(await sent(dump)) == 3


async def test_only_what_this_version_knows_is_compared(nats: Nats) -> None:
    """A finding that a later version sent is skipped, and does not stop those that follow."""
    async with nats.connect("scorer") as bus, nats.connect("dump") as dump:
        await bus.publish(finding_subject("drought", "0"), b"\x10\x7f", message_id="")
        await FindingPublisher(bus).publish([found(0)])
        (_, message) = await dump.read(FINDINGS, 1)
        assert finding_of(message) == found(0)


async def test_a_scorer_without_the_lease_sends_nothing(nats: Nats) -> None:
    """A finding that could not be sent without the lease is sent by the next call."""
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


async def test_a_start_keeps_published_findings_until_it_has_looked(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """The first index after a restart has the findings published last; a later one has those that the scorer found."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    assert await scorer.stop() == (0, "")
    async with nats.connect("scorer") as bus:
        block = parse_block(block_pb2.IndicatorBlock, await bus.kv_get(INDICATOR_BUCKET, GOVERNMENT_KEY) or b"")
        block.findings.append(finding_to_message(found(0)))
        await bus.kv_put(INDICATOR_BUCKET, GOVERNMENT_KEY, block.SerializeToString())
        assert await published_findings(bus) == (found(0),)
        before = len(scorer.published())
        scorer.start()

        async def gone() -> bool:
            return await published_findings(bus) == ()

        await eventually(gone, "an index without findings, since nothing was exchanged")

    def logged() -> list[int]:
        return [one["findings"] for one in scorer.published()[before:]]

    # The line of an index is logged after the index is put.
    await eventually(lambda: 0 in logged(), "its line in the log")
    assert logged()[0] == 1


async def test_findings_of_a_later_version_are_not_kept(nats: Nats) -> None:
    """A block that cannot be read as this version's has no findings, and neither has a bus without an index."""
    async with nats.connect("scorer") as bus:
        assert await published_findings(bus) == ()
        await bus.kv_put(INDICATOR_BUCKET, GOVERNMENT_KEY, b"\x10\x7f")
        assert await published_findings(bus) == ()

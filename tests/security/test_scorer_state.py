"""What damage of the scorer's files does: the index is that of before, or the scorer says what is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.core.bus import Bus
from services.core.bus.names import MEASUREMENTS, exchange_subject
from services.core.codec import encode_summaries
from services.core.model.exchange import ExchangeSummary
from services.core.model.outcome import Reason
from tests.support.cases.scorer import (
    SLOT,
    Scorer,
    blocks,
    government,
    make_register,
    measure,
    now_slot,
    put,
    register_on,
)
from tests.support.nats import Nats
from tests.support.waiting import eventually


def flip(path: Path) -> None:
    """Flip a bit in the middle of a file; in a database, which has unused space, in a flow and in the position."""
    data = bytearray(path.read_bytes())
    places = [place for value in (b"customs/tax-clearance", b"EXCHANGES") if (place := data.find(value)) >= 0]
    for place in places or [len(data) // 2]:
        data[place] ^= 0x80  # this makes a text invalid
    path.write_bytes(data)


async def counted(bus: Bus) -> tuple[object, ...] | None:
    """Return the verdicts of two links, and the volumes; None before there is an index."""
    found = await blocks(bus)
    if not {"consumer.land-registry", "consumer.civil-registry", "consumer.tax-office"} <= found.keys():
        return None
    verdicts = [
        found[f"consumer.{agency}"].links[0].verdicts[row].tolist()
        for agency, row in (("land-registry", 1), ("civil-registry", 0))
    ]
    return (*verdicts, [volume.count for volume in found["consumer.tax-office"].exchanges])


@pytest.fixture
async def saved(nats: Nats, scorer: Scorer, tmp_path: Path) -> AsyncIterator[tuple[Bus, tuple[object, ...]]]:
    """A connection of the api, and what a scorer had counted that is stopped now."""
    await register_on(nats, make_register(tmp_path / "register"))
    exchanged = ExchangeSummary("tax-office", "customs/tax-clearance/imports", now_slot() * SLOT, 1, count=10, ok=9)
    async with nats.connect("prober") as prober, nats.connect("collector") as collector, nats.connect("api") as api:
        await collector.publish(exchange_subject("xroad", 0), encode_summaries("xroad", [exchanged]), message_id="")
        for at in range(20):
            reason = Reason.OK if at % 3 else Reason.STATUS
            sequence = await put(
                prober, [measure(link, now_slot() - 900 + 40 * at, reason) for link in ("deed-tax", "birth-tax")]
            )
        scorer.start()
        await government(api, sequence)

        async def complete() -> tuple[object, ...] | None:
            found = await counted(api)
            return found if found and found[-1] == [10] else None

        expected = await eventually(complete, "the index and the volumes")
        assert await scorer.stop() == (0, "")
        yield api, expected


@pytest.mark.parametrize(
    "pattern", ["evidence-*/manifest*", "evidence-*/ids*", "evidence-*/slots/*", "exchanges.sqlite"]
)
async def test_damaged_files_are_made_good(scorer: Scorer, saved: tuple[Bus, tuple[object, ...]], pattern: str) -> None:
    """Files with a bit changed are set aside and counted, what was in them is read again, and the index is the same."""
    api, expected = saved
    paths = list(scorer.data.glob(pattern))
    assert paths
    for path in paths:
        flip(path)
    scorer.start()
    await scorer.serving()

    async def same() -> bool:
        return await counted(api) == expected

    aside = {path.with_name(f"{path.name}.damaged") for path in paths}
    await eventually(lambda: all(path.exists() for path in aside), "the files are set aside")
    await eventually(same, "the same index")
    kept = set(scorer.data.rglob("*.damaged"))
    assert f"peyvand_scorer_damaged_files {float(len(kept))}" in (await scorer.get("/metrics") or "")
    assert {"evidence_damaged", "exchanges_damaged"} & set(scorer.events())
    assert await scorer.stop() == (0, "")
    scorer.start()
    await scorer.serving()
    await eventually(same, "the same index after another start")
    assert await scorer.stop() == (0, "")


async def test_what_is_gone_is_named(nats: Nats, scorer: Scorer, saved: tuple[Bus, tuple[object, ...]]) -> None:
    """Where the stream no longer holds what was in damaged files, the scorer ends with what is missing and what to do."""
    for path in scorer.data.glob("evidence-*/ids*"):
        flip(path)
    async with nats.connect("admin") as admin:
        await admin.jetstream.purge_stream(MEASUREMENTS)
    scorer.start()
    code, errors = await scorer.ended()
    assert code == 1
    assert "evidence is damaged or missing, and stream MEASUREMENTS no longer holds it: " in errors
    assert errors.endswith(
        "Put the folder back from a backup, or start once with --accept-gap yes: what is gone stays unknown\n"
    )
    scorer.start("--accept-gap", "yes")
    await scorer.serving()
    assert await scorer.stop() == (0, "")

"""The scorer process on a real nats-server publishes what it receives, as blocks, indicators and gauges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.core.blocks.target_blocks import decode_slot_block
from services.core.bus import Bus
from services.core.bus.names import INDICATOR_BUCKET, INDICATORS, group_of, measurement_subject, slot_key
from services.core.model.indicator import IndicatorKind
from services.core.model.outcome import Outcome, Reason, Stage
from tests.support.cases.scorer import (
    SLOT,
    Scorer,
    blocks,
    government,
    make_register,
    measure,
    now_slot,
    only,
    put,
    register_on,
)
from tests.support.nats import Nats
from tests.support.waiting import eventually


async def test_measurements_become_blocks_indicators_and_gauges(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Measurements are in the blocks, the slot detail, INDICATORS and /metrics within seconds."""
    register = await register_on(nats, make_register(tmp_path / "register"))
    slot = now_slot() - 4
    failing = {"deed-tax": Reason.ANSWER_TIMEOUT, "birth-tax": Reason.SHED}
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        rows = [measure(link, slot, failing.get(link, Reason.OK)) for link in register.links]
        sequence = await put(prober, [*rows, measure("endpoint:portal", slot, Reason.STATUS)])
        scorer.start()
        await scorer.serving()
        block = await government(api, sequence)
        whole = only(block, IndicatorKind.GOVERNMENT, "country")
        assert (whole.links_required, whole.links_known, whole.links_absent) == (8, 7, 1)
        assert {row.kind for row in block.indicators} == {
            IndicatorKind.GOVERNMENT,
            IndicatorKind.SECTOR,
            IndicatorKind.PROVIDER,
        }

        found = await blocks(api)
        assert set(found) == {"government", *(f"consumer.{agency}" for agency in register.agencies)}
        deeds = found["consumer.land-registry"]
        assert only(deeds, IndicatorKind.LINK, "deed-tax").point == 0.0
        assert only(deeds, IndicatorKind.LINK, "deed-civil").point == 1.0
        evidence = deeds.links[0]
        assert evidence.ids == ("deed-civil", "deed-tax", "transfer-civil", "transfer-customs")
        assert evidence.verdicts[1].tolist() == [0, 1, 0, 0, 0, 0]
        assert only(found["consumer.tax-office"], IndicatorKind.ENDPOINT, "portal").losses.invalid == 1.0

        detail = decode_slot_block(
            (await api.kv_get(INDICATOR_BUCKET, slot_key(group_of("tax-office"), slot // 64))) or b""
        )
        row = slot - detail.first_slot
        assert detail.vantages == ("main",)
        assert detail.endpoints == ("portal",)
        assert detail.verdict[row].tolist() == [Outcome.OK, Outcome.OK, Outcome.INVALID]
        assert detail.reason[row, 2].tolist() == [Reason.STATUS]

        wanted = {"government.country.28", "consumer.customs.7", "service.title-deed.90"}
        await eventually(lambda: _announced(api, wanted), "indicators")

        page = await scorer.get("/metrics")
        assert page is not None
        assert "peyvand_measurements_total 9.0" in page
        assert 'peyvand_links{state="absent"} 1.0' in page
        assert 'peyvand_index_lower{id="country",kind="government",window="28"}' in page
        assert 'peyvand_index_loss{id="land-registry",kind="consumer",stage="not_answered",window="7"}' in page
    assert await scorer.stop() == (0, "")


async def _announced(bus: Bus, wanted: set[str]) -> bool:
    messages = await bus.read(INDICATORS, 1)
    return wanted <= {message.subject.removeprefix("peyvand.v1.indicator.") for message in messages}


async def test_a_start_reports_what_it_waits_for(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Until there is an index /health gives the reason, and each step towards it is a line of the log."""
    nats.kill()
    scorer.start()

    def says(words: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            return await scorer.health() == f"{words}\n"

        return look

    await eventually(says("NOT_SERVING: waiting for the bus"), "waiting for the bus")
    nats.start()
    await eventually(says("NOT_SERVING: reading the register, or waiting for one"), "waiting for a register")
    await register_on(nats, make_register(tmp_path / "register"))
    await eventually(says("SERVING"), "SERVING")
    nats.kill()
    await eventually(says("NOT_SERVING: the bus cannot be read"), "the bus is gone")
    nats.start()
    await eventually(says("SERVING"), "SERVING again")
    steps = ["evidence_read", "resumed", "caught_up", "evidence_counted", "index_published"]
    assert [event for event in dict.fromkeys(scorer.events()) if event in steps] == steps
    assert await scorer.stop() == (0, "")


async def test_last_slot_is_shown_and_goes_when_unknown(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """A link's stage series exists while its last settled slot is known. The vantage's series has the newest slot that
    was measured from there.
    """
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    series = 'peyvand_link_stage{consumer="land-registry",link="deed-tax",over_bus="false",provider="tax-office"}'

    newest = 0

    async def shown() -> bool:
        """Measure each slot as it comes, until one is shown."""
        nonlocal newest
        if now_slot() >= newest:
            newest = now_slot() + 1
            await put(prober, [measure("deed-tax", newest - 1, Reason.LATE), measure("deed-tax", newest, Reason.LATE)])
        return f"{series} {float(Stage.LATE)}" in (await scorer.get("/metrics") or "")

    async def gone() -> bool:
        return series not in (await scorer.get("/metrics") or series)

    async def heard() -> bool:
        page = await scorer.get("/metrics") or ""
        series = 'peyvand_vantage_newest_timestamp_seconds{vantage="main"} '
        times = [float(line.removeprefix(series)) for line in page.splitlines() if line.startswith(series)]
        return times == [SLOT * newest]

    async with nats.connect("prober") as prober:
        await eventually(shown, "the stage")
        await eventually(heard, "the vantage was heard")
        await eventually(gone, "no stage")
    assert await scorer.stop() == (0, "")


async def test_nothing_is_published_before_the_first_whole_slot(nats: Nats, tmp_path: Path) -> None:
    """With an epoch in the future, the first published index is that of the first slot after it."""
    # Slots. A slow machine needs some of them for startup, and may be late for the first index.
    for lead in (4, 16, 48):
        scorer = Scorer(nats, tmp_path / f"scorer-{lead}")
        first_slot = now_slot() + lead
        await register_on(nats, make_register(tmp_path / f"register-{lead}", epoch=first_slot * SLOT))
        scorer.start()
        await scorer.serving()
        assert await scorer.stop() == (0, "")
        as_of = scorer.published()[0]["as_of"]
        assert as_of >= (first_slot + 1) * SLOT
        if as_of == (first_slot + 1) * SLOT:
            return
    pytest.fail("the index of the first slot was never the first")


async def test_late_and_repeated_measurements(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Late arrivals change the index published for the same moment or a later one; repeated ones change no count."""
    await register_on(nats, make_register(tmp_path / "register"))
    slot = now_slot() - 300
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        await put(prober, [measure("deed-tax", slot)])
        scorer.start()
        await scorer.serving()
        sequence = 0
        for _ in range(3):
            sequence = await put(prober, [measure("deed-tax", slot + at) for at in range(100)])
        # Measured again and later in the same slot: the earliest counts, so this changes nothing either.
        sequence = await put(prober, [measure("deed-tax", slot, Reason.STATUS, at=1.5)])
        await government(api, sequence)
        evidence = (await blocks(api))["consumer.land-registry"].links[0]
        assert evidence.verdicts[1].tolist() == [0, 0, 0, 0, 0, 100]
        page = await scorer.get("/metrics") or ""
        assert "peyvand_measurements_total 302.0" in page
        assert "peyvand_measurements_late_total 0.0" in page


async def test_batches_that_cannot_be_trusted_are_refused(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Garbage, and a batch that claims another vantage than its sender's, are counted and skipped, also by a restart."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        await prober.publish(measurement_subject("main", 3), b"\xff garbage", message_id="")
        await put(prober, [measure("deed-tax", now_slot() - 4, vantage="south")])
        sequence = await put(prober, [measure("deed-civil", now_slot() - 4)])
        await government(api, sequence)
        evidence = (await blocks(api))["consumer.land-registry"].links[0]
        assert evidence.verdicts.sum(axis=1).tolist()[:3] == [1, 0, 0]
        await prober.publish(measurement_subject("main", 3), b"\xff garbage", message_id="")

        async def rejected() -> bool:
            return "peyvand_measurements_rejected_total 3.0" in (await scorer.get("/metrics") or "")

        await eventually(rejected, "all three are rejected")
        assert await scorer.stop() == (0, "")
        scorer.start()
        await scorer.serving()


async def test_bus_may_go_and_come_back(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Without the bus the scorer does not serve and does not end; when the bus is back it continues."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    nats.kill()

    async def not_serving() -> bool:
        return await scorer.get("/health") is None and await scorer.get("/metrics") is not None

    await eventually(not_serving, "NOT_SERVING")
    nats.start()
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        sequence = await put(prober, [measure("deed-tax", now_slot() - 4)])
        await government(api, sequence)
    await scorer.serving()
    assert await scorer.stop() == (0, "")

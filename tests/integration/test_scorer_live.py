"""The scorer as a process against a real nats-server."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from registers import register_files
from scorer_case import SLOT, Scorer, blocks, eventually, make_register, measure, put, register_on

from services.core.bus import Bus, subjects
from services.core.bus.topology import initialise
from services.core.codec import (
    decode_recent,
    decode_slot_block,
    encode_block,
    encode_summaries,
)
from services.core.evidence import ExchangeSummary, Indicator, Kind, Measurement
from services.core.outcome import Outcome, Reason, Stage
from services.core.reconciliation import BusTraffic
from services.indicator.calendar import Calendar
from services.indicator.window import Evidence
from services.scorer.batches import columns_of
from services.scorer.blocks import consumer_blocks, government_block
from services.scorer.gap import Position
from services.scorer.latest import latest_key
from services.scorer.scoring import Adopted, Scoring
from services.scorer.store import Loaded
from services.scorer.table import Table
from tests.block_columns import Block, decode_block
from tests.conftest import Nats

REMEDY = "re-score that time offline, then start once with --accept-gap yes: what is gone stays unknown"


@pytest.fixture
def scorer(nats: Nats, tmp_path: Path) -> Iterator[Scorer]:
    """A scorer that is not running yet, and is not running afterwards."""
    one = Scorer(nats, tmp_path / "scorer")
    yield one
    if one.process is not None and one.process.poll() is None:
        one.kill()


def now_slot() -> int:
    return int(time.time() // SLOT)


async def government(bus: Bus, sequence: int) -> Block:
    """The government's block, once it is made of everything up to this message."""

    async def look() -> Block | None:
        found = (await blocks(bus)).get("government")
        return found if found and found.indicators[0].evidence_sequence >= sequence else None

    return await eventually(look, "the government's block")


def only(block: Block, kind: Kind, name: str, window: int = 7) -> Indicator:
    """One indicator of a block."""
    (found,) = [row for row in block.indicators if (row.kind, row.id, row.window_days) == (kind, name, window)]
    return found


async def test_measurements_become_blocks_indicators_and_gauges(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """What probers measured is in the blocks, the slot detail, INDICATORS and /metrics within seconds."""
    register = await register_on(nats, make_register(tmp_path / "register"))
    slot = now_slot() - 2
    failing = {"deed-tax": Reason.ANSWER_TIMEOUT, "birth-tax": Reason.SHED}
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        rows = [measure(link, slot, failing.get(link, Reason.OK)) for link in register.links]
        sequence = await put(prober, [*rows, measure("endpoint:portal", slot, Reason.STATUS)])
        scorer.start()
        await scorer.serving()
        block = await government(api, sequence)
        whole = only(block, Kind.GOVERNMENT, "country")
        assert (whole.links_required, whole.links_known, whole.links_absent) == (8, 7, 1)
        assert {row.kind for row in block.indicators} == {Kind.GOVERNMENT, Kind.SECTOR, Kind.PROVIDER}

        found = await blocks(api)
        assert set(found) == {"government", *(f"consumer.{agency}" for agency in register.agencies)}
        deeds = found["consumer.land-registry"]
        assert only(deeds, Kind.LINK, "deed-tax").point == 0.0
        assert only(deeds, Kind.LINK, "deed-civil").point == 1.0
        evidence = deeds.links[0]
        assert evidence.ids == ("deed-civil", "deed-tax", "transfer-civil", "transfer-customs")
        assert evidence.verdicts[1].tolist() == [0, 1, 0, 0, 0, 0]
        assert only(found["consumer.tax-office"], Kind.ENDPOINT, "portal").losses.invalid == 1.0

        detail = decode_slot_block((await api.kv_get(subjects.INDICATOR, f"slot.tax-office.{slot // 64}")) or b"")
        row = slot - detail.first_slot
        assert detail.vantages == ("main",)
        assert detail.endpoints == ("portal",)
        assert detail.verdict[row].tolist() == [Outcome.OK, Outcome.OK, Outcome.INVALID]
        assert detail.reason[row, 2].tolist() == [Reason.STATUS]

        announced = await eventually(lambda: _announced(api), "indicators")
        assert {"government.country.28", "consumer.customs.7", "service.title-deed.90"} <= announced

        page = await scorer.get("/metrics")
        assert page is not None
        assert "peyvand_measurements_total 9.0" in page
        assert 'peyvand_links{state="absent"} 1.0' in page
        assert 'peyvand_index_lower{id="country",kind="government",window="28"}' in page
        assert 'peyvand_index_loss{id="land-registry",kind="consumer",stage="not_answered",window="7"}' in page
    assert await scorer.stop() == (0, "")


async def _announced(bus: Bus) -> set[str] | None:
    messages = await bus.read(subjects.INDICATORS, 1)
    names = {message.subject.removeprefix("peyvand.v1.indicator.") for message in messages}
    return names if any(name.startswith("service.") for name in names) else None


async def test_what_was_last_measured_survives_a_kill(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """The last failures with their details, and the burn, are published, also of before a kill -9 and of while it was down."""
    await register_on(nats, make_register(tmp_path / "register"))
    slot = now_slot() - 6
    key = latest_key("land-registry", 0)

    def failed(number: int) -> Measurement:
        return replace(measure("deed-tax", number, Reason.STATUS), detail=f"status 50{number - slot}")

    async def told() -> list[str] | None:
        value = await api.kv_get(subjects.INDICATOR, key)
        return None if value is None else decode_recent(value).failures.details.tolist()

    async def burns() -> bool:
        return 'peyvand_link_burn{link="deed-tax",span="1h"} 83.3' in (await scorer.get("/metrics") or "")

    async def burns_no_more() -> bool:
        return 'span="1h"}' not in (await scorer.get("/metrics") or 'span="1h"}')

    async with nats.connect("prober") as prober, nats.connect("api") as api:
        await put(prober, [failed(slot), failed(slot + 1), measure("deed-civil", slot)])
        scorer.start()
        await eventually(lambda: _equal(told(), ["status 501", "status 500"]), "the failures")
        assert "peyvand_link_burn{" not in (await scorer.get("/metrics") or "")
        scorer.kill()
        await put(prober, [failed(slot + 2), failed(slot + 3), measure("deed-tax", slot + 4)])
        scorer.start()
        await eventually(lambda: _equal(told(), [f"status 50{at}" for at in (3, 2, 1, 0)]), "all failures")
        block = decode_recent(await api.kv_get(subjects.INDICATOR, key) or b"")
        assert block.burn_failed[:, block.links.index("deed-tax")].tolist() == [4] * 4
        assert block.burn_known[:, block.links.index("deed-tax")].tolist() == [5] * 4
        latest = dict(zip(block.latest.numbers[0].tolist(), block.latest.numbers[2].tolist(), strict=True))
        assert latest == {0: slot * SLOT, 1: (slot + 4) * SLOT}
        scorer.kill()
        # Between two publications: measured, saved by nobody.
        await put(prober, [failed(slot + 5)])
        scorer.start()
        await eventually(lambda: _equal(told(), [f"status 50{at}" for at in (5, 3, 2, 1, 0)]), "the last failure")
        await eventually(burns, "the burn: five of six slots, by a budget of .01")
        await put(prober, [measure("deed-tax", earlier) for earlier in range(slot - 40, slot)])
        await eventually(burns_no_more, "a burn below its threshold")
    assert await scorer.stop() == (0, "")


async def _equal(found: Awaitable[list[str] | None], wanted: list[str]) -> bool:
    return await found == wanted


async def test_last_slot_is_shown_and_goes_when_unknown(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """A link's stage series exists while its last settled slot is known, and is gone with the first that is not."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    series = 'peyvand_link_stage{consumer="land-registry",link="deed-tax",over_bus="false",provider="tax-office"}'

    async def shown() -> bool:
        return f"{series} {float(Stage.LATE)}" in (await scorer.get("/metrics") or "")

    async def gone() -> bool:
        return series not in (await scorer.get("/metrics") or series)

    async with nats.connect("prober") as prober:
        slot = now_slot()
        await put(prober, [measure("deed-tax", slot, Reason.LATE), measure("deed-tax", slot + 1, Reason.LATE)])
        await eventually(shown, "the stage")
        await eventually(gone, "no stage")
    assert await scorer.stop() == (0, "")


async def test_nothing_is_published_before_the_first_whole_slot(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """With an epoch still to come, the first index published is that of the first slot after it."""
    first_slot = now_slot() + 4
    await register_on(nats, make_register(tmp_path / "register", epoch=first_slot * SLOT))
    scorer.start()
    await scorer.serving()
    assert await scorer.stop() == (0, "")
    lines = map(json.loads, (scorer.data / "scorer.log").read_text("utf-8").splitlines())
    published = [line["as_of"] for line in lines if line["event"] == "index_published"]
    assert published[0] == (first_slot + 1) * SLOT


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
    """Garbage, and a batch that claims another vantage than its sender's, are counted and passed over."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        await prober.publish(subjects.measurement("main", 3), b"\xff garbage", message_id="")
        await put(prober, [measure("deed-tax", now_slot() - 2, vantage="south")])
        sequence = await put(prober, [measure("deed-civil", now_slot() - 2)])
        await government(api, sequence)
        evidence = (await blocks(api))["consumer.land-registry"].links[0]
        assert evidence.verdicts.sum(axis=1).tolist()[:3] == [1, 0, 0]
        page = await scorer.get("/metrics") or ""
        assert "peyvand_measurements_rejected_total 2.0" in page


async def uninterrupted(bus: Bus, folder: Path, as_of: int) -> dict[str, Block]:
    """The blocks of a scorer that took in the whole stream at once and never crashed."""
    from services.register.load import load  # noqa: PLC0415  # the register as the scorer under test has it

    register = load(folder)
    calendar = Calendar.of(register.policy)
    loaded = Loaded(None, Evidence(calendar), ())
    scoring = Scoring(Adopted.of(register), loaded, Position(subjects.MEASUREMENTS, "", 0))
    start = 1
    while messages := await bus.read(subjects.MEASUREMENTS, start):
        for message in messages:
            scoring.take(columns_of(message), stored=message.time, sequence=message.sequence)
        start = messages[-1].sequence + 1
    table = Table(scoring.judge(as_of // SLOT).snapshot)
    none = [()] * len(scoring.members)
    cut = consumer_blocks(table, [*scoring.members.values()], none, none)
    found = {f"consumer.{agency}": block for agency, block in zip(scoring.members, cut, strict=True)}
    found["government"] = government_block(table, ())
    return {key: decode_block(encode_block(block)) for key, block in found.items()}


def comparable(block: Block) -> tuple[object, ...]:
    """A block to the last bit, but for the position of the evidence: an unchanged block keeps an older one."""
    rows = [replace(row, evidence_sequence=0) for row in block.indicators]
    arrays = [
        (one.ids, one.window_days, *(column.tobytes() for column in (one.slots, one.verdicts, one.omega, one.share)))
        for one in block.links
    ]
    return rows, arrays


async def settled_blocks(bus: Bus, sequence: int) -> dict[str, Block]:
    """All blocks, once they are of the same moment and of everything up to this message."""

    async def look() -> dict[str, Block] | None:
        found = await blocks(bus)
        moments = {block.indicators[0].as_of for block in found.values()}
        complete = "government" in found and found["government"].indicators[0].evidence_sequence >= sequence
        return found if complete and len(moments) == 1 else None

    return await eventually(look, "blocks of one moment")


@pytest.mark.slow
async def test_kill_at_random_moments_changes_nothing(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """A scorer killed again and again while batches come in ends with the blocks of one that never was."""
    folder = make_register(tmp_path / "register")
    register = await register_on(nats, folder)
    chance = random.Random(11)
    reasons = [Reason.OK, Reason.OK, Reason.OK, Reason.STATUS, Reason.LATE, Reason.SHED, Reason.CONNECT_REFUSED]
    last = 0

    async def probe() -> None:
        nonlocal last
        async with nats.connect("prober") as prober:
            for _ in range(240):
                slots = [now_slot() - chance.randrange(1, 900) for _ in range(4)]
                rows = [measure(link, slot, chance.choice(reasons)) for slot in slots for link in register.links]
                last = await put(prober, rows, shard=chance.randrange(16))
                await asyncio.sleep(0.05)

    probing = asyncio.create_task(probe())
    kills = 0
    while not probing.done():
        scorer.start()
        await asyncio.wait({probing}, timeout=chance.uniform(0.6, 2.5))
        scorer.kill()
        kills += 1
    await probing
    assert kills >= 5
    scorer.start()
    async with nats.connect("api") as api, nats.connect("dump") as dump:
        found = await settled_blocks(api, last)
        as_of = found["government"].indicators[0].as_of
        expected = await uninterrupted(dump, folder, as_of)
    assert {key: comparable(block) for key, block in found.items()} == {
        key: comparable(block) for key, block in expected.items()
    }
    assert expected["government"].indicators[0].links_known == 8
    assert await scorer.stop() == (0, "")


async def purge(nats: Nats, stream: str) -> None:
    async with nats.connect("admin") as admin:
        await admin.jetstream.purge_stream(stream)


async def recreate(nats: Nats, stream: str) -> None:
    async with nats.connect("admin") as admin:
        await admin.jetstream.delete_stream(stream)
        await initialise(admin)


@pytest.fixture
async def stopped(nats: Nats, scorer: Scorer, tmp_path: Path) -> AsyncIterator[Bus]:
    """A connection as prober; the scorer has taken in message 1 of an hour-old stream of two and is stopped."""
    await register_on(nats, make_register(tmp_path / "register"))
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        sequence = await put(prober, [measure("deed-tax", now_slot() - 100)])
        scorer.start()
        await government(api, sequence)
        assert await scorer.stop() == (0, "")
        yield prober


async def test_lost_messages_are_refused_until_accepted(nats: Nats, scorer: Scorer, stopped: Bus) -> None:
    """Messages that went before they were taken in stop the scorer, with what is missing; accepted, it goes on."""
    for _ in range(3):
        await put(stopped, [measure("deed-tax", now_slot() - 50)])
    await purge(nats, subjects.MEASUREMENTS)
    sequence = await put(stopped, [measure("deed-tax", now_slot() - 10)])
    scorer.start()
    assert await scorer.ended() == (
        1,
        f"peyvand scorer: messages 2 to 4 of stream MEASUREMENTS are gone, not taken in: {REMEDY}\n",
    )
    scorer.start("--accept-gap", "yes")
    async with nats.connect("api") as api:
        await government(api, sequence)
        evidence = (await blocks(api))["consumer.land-registry"].links[0]
    assert evidence.verdicts[1].tolist() == [0, 0, 0, 0, 0, 2]
    assert await scorer.stop() == (0, "")


async def test_stream_made_anew_is_refused(nats: Nats, scorer: Scorer, stopped: Bus) -> None:
    """A stream of the same name, made anew, is not taken for the one that was read before."""
    await recreate(nats, subjects.MEASUREMENTS)
    await put(stopped, [measure("deed-tax", now_slot() - 10)])
    scorer.start()
    code, errors = await scorer.ended()
    assert code == 1
    assert errors.startswith("peyvand scorer: stream MEASUREMENTS was created anew at ")
    assert errors.endswith(f"; what came after them is gone: {REMEDY}\n")


async def test_missing_state_is_refused_once_the_stream_has_lost_its_start(
    nats: Nats, scorer: Scorer, stopped: Bus, tmp_path: Path
) -> None:
    """A scorer without its state does not quietly begin in the middle; with nothing lost it begins at message 1."""
    fresh = Scorer(nats, tmp_path / "fresh")
    async with nats.connect("api") as api:
        fresh.start()
        await fresh.serving()
        assert await fresh.stop() == (0, "")
        await purge(nats, subjects.MEASUREMENTS)
        sequence = await put(stopped, [measure("deed-tax", now_slot() - 10)])
        other = Scorer(nats, tmp_path / "other")
        other.start()
        sentence = f"peyvand scorer: messages 1 to 1 of stream MEASUREMENTS are gone, not taken in: {REMEDY}\n"
        assert await other.ended() == (1, sentence)
        # The one that had taken in message 1 has lost nothing.
        scorer.start()
        await government(api, sequence)
        assert await scorer.stop() == (0, "")


async def test_stream_lost_at_run_time_ends_the_scorer(nats: Nats, scorer: Scorer, stopped: Bus) -> None:
    """A stream that is made anew under a running scorer ends it; its silence is not taken for silence of the probers."""
    scorer.start()
    await scorer.serving()
    await recreate(nats, subjects.MEASUREMENTS)
    code, errors = await scorer.ended()
    assert code == 1
    assert "stream MEASUREMENTS was created anew" in errors


async def test_bus_may_go_and_come_back(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Without the bus the scorer does not serve and does not end; when the bus is back it goes on by itself."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    nats.kill()

    async def not_serving() -> bool:
        return await scorer.get("/health") is None and await scorer.get("/metrics") is not None

    await eventually(not_serving, "NOT_SERVING")
    nats.start()
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        sequence = await put(prober, [measure("deed-tax", now_slot() - 2)])
        await government(api, sequence)
    await scorer.serving()
    assert await scorer.stop() == (0, "")


def without_civil_registry(folder: Path, *links: str, epoch: float) -> Path:
    """A register in which civil-registry answers, but owns neither a service nor an endpoint; ``links`` are added."""
    files = register_files()
    services = "".join(line for line in files["services.csv"].splitlines(keepends=True) if "birth-" not in line)
    kept = "".join(line for line in files["links.csv"].splitlines(keepends=True) if "birth-" not in line)
    return make_register(
        folder,
        epoch=epoch,
        services_csv=services,
        links_csv=kept + "".join(links),
        endpoints_csv=files["endpoints.csv"].replace("bus,civil-", "bus,land-"),
    )


async def test_register_changes_while_running(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """A new register applies at the next refresh: evidence heard of before it counts, and a removed agency's block goes."""
    began = time.time() - 3600
    await register_on(nats, make_register(tmp_path / "register", epoch=began))
    slot = now_slot() - 20
    scorer.start()
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        sequence = await put(prober, [measure("permit-land", slot), measure("permit-tax", slot, Reason.STATUS)])
        await government(api, sequence)
        found = await blocks(api)
        assert [row.id for row in found["consumer.customs"].indicators if row.kind == Kind.LINK][:1] == ["permit-tax"]

        changed = without_civil_registry(
            tmp_path / "changed",
            "permit-land,import-permit,land-registry,titles,,,always,page,http://127.0.0.1:7500/land,,,,,,\n",
            epoch=began,
        )
        register = await register_on(nats, changed)

        async def applied() -> Block | None:
            now = (await blocks(api)).get("consumer.customs")
            return now if now and now.indicators[0].register_version == register.register_version else None

        block = await eventually(applied, "the new register")
        assert only(block, Kind.LINK, "permit-land").point == 1.0
        assert only(block, Kind.LINK, "permit-tax").point == 0.0

        async def removed() -> bool:
            return "consumer.civil-registry" not in await blocks(api)

        await eventually(removed, "no block of civil-registry")
    assert await scorer.stop() == (0, "")


async def test_other_calendar_begins_anew_and_reads_the_stream_again(
    nats: Nats, scorer: Scorer, tmp_path: Path
) -> None:
    """A register with another epoch has evidence of its own, made from the whole stream; the old folder stays.

    Blocks that are there and the new one has not are removed, also those that nobody remembers having put.
    """
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    async with nats.connect("prober") as prober, nats.connect("api") as api, nats.connect("scorer") as other:
        old, new = now_slot() - 1000, now_slot() - 10
        sequence = await put(prober, [measure("deed-tax", old), measure("deed-tax", new)])
        await government(api, sequence)
        some = await api.kv_get(subjects.INDICATOR, "consumer.customs")
        assert some is not None
        await other.kv_put(subjects.INDICATOR, "consumer.forgotten", some)
        epoch = (new - 5) * SLOT
        register = await register_on(nats, without_civil_registry(tmp_path / "changed", epoch=epoch))

        async def applied() -> Block | None:
            now = (await blocks(api)).get("consumer.land-registry")
            return now if now and now.indicators[0].probe_version == register.probe_version else None

        block = await eventually(applied, "the new calendar")
        assert block.links[0].verdicts[1].tolist() == [0, 0, 0, 0, 0, 1]

        async def removed() -> bool:
            return (await blocks(api)).keys().isdisjoint({"consumer.civil-registry", "consumer.forgotten"})

        await eventually(removed, "no block of civil-registry")
    assert await scorer.stop() == (0, "")
    assert len(list(scorer.data.glob("evidence-*/manifest.json"))) == 2


EXCHANGED = now_slot() * SLOT


def summary(**changes: object) -> ExchangeSummary:
    base = ExchangeSummary("tax-office", "customs", "X/G/1/tax", "X/G/2/customs/get", EXCHANGED, 1)
    return replace(base, **{"count": 10, "ok": 9, "bus_failures": 1, **changes})  # type: ignore[arg-type]


async def test_exchange_volumes_are_shown_with_their_consumer(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """Volumes replace one another by revision, survive kill -9, and those of nobody are shown with the government."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    async with nats.connect("collector") as collector, nats.connect("api") as api:

        async def send(*rows: ExchangeSummary) -> None:
            await collector.publish(subjects.exchange("xroad", 2), encode_summaries("xroad", "", rows), message_id="")

        def counted(consumer: str, key: str, *counts: int) -> Callable[[], Awaitable[bool]]:
            async def look() -> bool:
                block = (await blocks(api)).get(key)
                volumes = block.exchanges if block else ()
                return [one.count for one in volumes if one.consumer == consumer] == list(counts)

            return look

        await send(
            summary(),
            summary(consumer="_unmapped", client="X/G/9", count=3),
            summary(service="X/G/2/listMethods", meta=True),
        )
        await eventually(
            counted("tax-office", "consumer.tax-office", 10, 10), "volumes of the pair and its meta services"
        )
        await eventually(counted("_unmapped", "government", 3), "the volume of nobody")
        scorer.kill()
        await send(summary(revision=3, count=12), summary(revision=2, count=99))
        scorer.start()
        await eventually(counted("tax-office", "consumer.tax-office", 12, 10), "the highest revision")
        pair = 'peyvand_exchanges{consumer="tax-office",meta="false",provider="customs",result="ok"} 9.0'

        async def exposed() -> bool:
            return pair in (await scorer.get("/metrics") or "")

        await eventually(exposed, "the gauge")

        async def told() -> bool:
            block = (await blocks(api)).get("government")
            return bool(block and block.traffic) and {
                (one.exchanges, one.undeclared_exchanges, one.buses) for one in block.traffic
            } == {(15, 3, (BusTraffic("xroad", 15),))}

        await eventually(told, "the traffic of every window")
    assert await scorer.stop() == (0, "")

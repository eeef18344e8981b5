"""An auditor who scores a dump gets what the scorer published, to the last bit."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.core.bus import Bus
from services.core.bus.names import measurement_subject
from services.core.codec import indicator_to_json, structure_to_json
from services.core.model.measurement import Measurement
from services.core.model.outcome import Outcome, Reason
from services.core.model.register import Register
from services.indicator.calendar import Calendar
from services.register.directory.load import load_register
from services.scorer.state.store import Store
from tests.integration.scorer.test_offline import peyvand
from tests.support.cases.scorer import SLOT, Scorer, batch, blocks, make_register, measure, put, register_on
from tests.support.nats import Nats
from tests.support.waiting import eventually
from tests.support.zones import Zone, zone

__all__ = ["zone"]  # the fixture

HOUR = 3600
OPEN = 10  # seconds for which the day before still accepts its last slots: enough to put a batch, little to wait for
REASONS = [Reason.OK] * 4 + [Reason.STATUS, Reason.LATE, Reason.STALE, Reason.SHED, Reason.RESOLVE_FAILED]


def midnight_at(now: float) -> int:
    """Return the midnight for which the grace of the day before ends in OPEN seconds, or a slot earlier."""
    return int(now - HOUR + OPEN) // SLOT * SLOT


def amend(folder: Path, links: Path, timezone: str) -> Path:
    """Write the next version: one link is live from tomorrow, one since today, one is gone and one is new."""
    today = datetime.now(ZoneInfo(timezone)).date()
    tomorrow = today + timedelta(days=1)
    text = links.read_text("utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("permit-tax,")]
    permit = next(line for line in text.splitlines() if line.startswith("permit-tax,"))
    text = "\n".join(
        [*kept, permit.replace("permit-tax,", "permit-civil,").replace(",tax-office,", ",civil-registry,")]
    )
    for name, old, new in (
        ("deed-civil", ",always,", f",{tomorrow},"),
        ("transfer-customs", "liens,,,,,,", f"liens,,,{today},page,http://127.0.0.1:7500/customs/liens,"),
        ("clearance-customs", ",,main,", ",,,"),
    ):
        before = next(line for line in text.splitlines() if line.startswith(f"{name},"))
        assert old in before
        text = text.replace(before, before.replace(old, new))
    (folder / "links.csv").write_text(text + "\n", "utf-8")
    return folder


def rows(chance: random.Random, targets: Sequence[str], *, ages: range, count: int = 300) -> Iterator[Measurement]:
    """Yield measurements of slots that ended this many seconds ago."""
    now = int(time.time())
    for _ in range(count):
        slot = (now - chance.randrange(ages.start, ages.stop)) // SLOT - 1
        yield measure(chance.choice(targets), slot, chance.choice(REASONS), at=chance.random())


def forged(chance: random.Random, brought: Sequence[Measurement]) -> list[Measurement]:
    """Return what was brought with other outcomes, at the earliest time of each slot, or at one before it."""
    rows = [replace(row, time=float(row.slot_start), reason=Reason.STATUS, outcome=Outcome.INVALID) for row in brought]
    return rows + [replace(row, time=row.slot_start - 60.0) for row in chance.sample(rows, len(rows) // 10)]


async def settled(bus: Bus, register: Register, sequence: int) -> list[str] | None:
    """Return every published Indicator and Structure as JSON once all are of one moment, this register and this
    message.
    """
    published = await blocks(bus)
    found = [one for block in published.values() for one in block.indicators] if "government" in published else []
    states = {(one.as_of, one.register_version, one.evidence_sequence) for one in found}
    if len(states) != 1 or next(iter(states))[1:] != (register.register_version, sequence):
        return None
    structures = map(structure_to_json, published["government"].structures)
    return [*sorted(indicator_to_json(one) for one in found), *structures]


def scored(folder: Path, file: Path, published: Sequence[str]) -> tuple[list[str], str]:
    """Return the output of `peyvand score` at the same moment and message of the stream, and its stderr."""
    one = json.loads(published[0])
    where = ("--at", one["as_of"], "--sequence", one["evidence_sequence"])
    score = ("score", "--register", folder, "--measurements", file, *where, "--json")
    indicators, structures = peyvand(*score), peyvand(*score, "--structure")
    assert indicators.returncode == structures.returncode == 0, indicators.stderr
    return [*sorted(indicators.stdout.splitlines()), *structures.stdout.splitlines()], indicators.stderr


async def closed(folder: Path) -> bool | None:
    """Return whether a day has been closed, by the files of the scorer."""
    return any(folder.glob("days/*.stages"))


@pytest.mark.parametrize("hour", range(24))
def test_the_day_closes_within_the_test(hour: int, zone: Zone) -> None:
    """At any hour, data that is sent at once counts for the last slots of the day before, and later data does not."""
    now = 1_790_000_000 // HOUR * HOUR + hour * HOUR + 1234.5
    midnight = midnight_at(now)
    calendar = Calendar(zone(midnight), now - 3 * HOUR, SLOT)
    slot = calendar.slot_of(midnight)
    yesterday = calendar.day_of(slot - 1)
    assert calendar.slots_of(yesterday + timedelta(days=1)).start == slot
    assert calendar.day_of(calendar.epoch_slot) == yesterday
    assert calendar.day_of(calendar.slot_of(now)) == calendar.day_of(calendar.slot_of(now + HOUR)) > yesterday
    assert now + OPEN / 2 < midnight + HOUR <= now + OPEN


@pytest.mark.slow
async def test_a_dump_scores_to_the_published_bits(nats: Nats, tmp_path: Path, zone: Zone) -> None:
    """Every Indicator of every kind and window, and every Structure, comes out of a dump as it was published. There is
    late, repeated, grace-expired and early data, a day closes, the register changes, and the scorer is killed. The
    first register gives the indexes before the change, at startup and with the day closed; the second gives the one
    after it.
    """
    chance = random.Random(11)
    links = load_register(make_register(tmp_path / "any")).links
    targets = [*links, "endpoint:portal", "endpoint:bus"]
    scorer = Scorer(nats, tmp_path / "scorer")
    try:
        async with nats.connect("prober") as prober, nats.connect("api") as api:
            # The day before is open for some seconds only: nothing slow may come between now and its data.
            now = time.time()
            midnight = midnight_at(now)
            brought: list[Measurement] = []

            async def bring() -> int:
                """Bring fresh data, some of it twice, the last of the day before, late data within grace and beyond it,
                data of future slots, and forgeries of earlier data; return the last message. It is of few slots,
                because a scorer that saves many at once pauses after it.
                """
                fresh = list(rows(chance, targets, ages=range(60)))
                since = int(time.time()) - midnight
                await put(prober, rows(chance, targets, ages=range(since, since + OPEN), count=100))
                await put(prober, fresh)
                await put(prober, forged(chance, brought or fresh))
                brought.extend(fresh)
                await put(prober, rows(chance, targets, ages=range(1800, 1860)))
                await put(prober, rows(chance, targets, ages=range(HOUR + 60, 3 * HOUR), count=50), shard=3)
                await put(prober, rows(chance, targets, ages=range(-500, -100), count=50))
                await prober.publish(measurement_subject("main", 0), b"\xff garbage", message_id="")
                await put(prober, fresh)
                return await prober.publish(measurement_subject("main", 5), batch(fresh[:9]), message_id="")

            async def published(by: Register, sequence: int) -> list[str]:
                return await eventually(lambda: settled(api, by, sequence), f"the index of message {sequence}")

            sequence = await bring()
            timezone = zone(midnight)
            grace = ("grace_hours: 24", "grace_hours: 1")
            changes: dict[str, Any] = {"epoch": now - 3 * HOUR, "timezone": timezone, "policy_yaml": grace}
            first = make_register(tmp_path / "first", **changes)
            second = amend(make_register(tmp_path / "second", **changes), first / "links.csv", timezone)
            register = load_register(first)
            await register_on(nats, first)
            scorer.start()
            opened = await published(register, sequence)
            days = Store(scorer.data, Calendar.of(register.policy)).folder

            over = midnight + register.policy.grace_seconds + 2 * SLOT

            async def is_over() -> bool:
                return time.time() > over

            await eventually(is_over, "nothing of the day before is admitted any more")
            await bring()
            await eventually(lambda: closed(days), "the day before is closed and saved")
            before = await published(register, await bring())

            await scorer.killed()
            targets.append("permit-civil")
            await bring()
            changed = await register_on(nats, second)
            assert changed.register_version != register.register_version
            scorer.start()
            await published(changed, 4 * sequence)
            after = await published(changed, await bring())
        assert await scorer.stop() == (0, "")
    finally:
        if scorer.process is not None:
            scorer.kill()

    dumped = peyvand("dump", "measurements", "--nats", nats.url, "--credentials", nats.credentials)
    file = tmp_path / "measurements.ndjson"
    file.write_text(dumped.stdout, "utf-8")
    assert dumped.stderr.count("is left out: not a valid MeasurementBatch") == 5
    for folder, index in ((first, opened), (first, before), (second, after)):
        found, said = scored(folder, file, index)
        assert found == index
        late, early, outside = (int(number) for number in re.findall(r"\d+", said))
        left_out = f"{late} measurements too late, {early} early, {outside} outside their slot"
        assert said == f"left out as the scorer does: {left_out}\n"
        assert late > 0
        assert early > 0
        assert outside > 0
    assert len(after) == 3 * (1 + 2 + 4 + 4 + 5 + 8 + 2) + 3
    assert scored(first, file, after)[0] != after

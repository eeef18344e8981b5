"""What an auditor recomputes from a dump is what the scorer published, to the last bit, whatever happened meanwhile."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scorer_case import SLOT, Scorer, batch, blocks, eventually, make_register, measure, put, register_on
from test_scorer_offline import peyvand

from services.core.bus import Bus, subjects
from services.core.codec import indicator_to_json, structure_to_json
from services.core.evidence import Measurement
from services.core.model import Register
from services.core.outcome import Reason
from tests.conftest import Nats

HOUR = 3600
REASONS = [Reason.OK] * 4 + [Reason.STATUS, Reason.LATE, Reason.STALE, Reason.SHED, Reason.RESOLVE_FAILED]


def amend(folder: Path, links: Path) -> Path:
    """The next version: a link that is live from tomorrow, one that is not absent any more, one gone and one new."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    text = links.read_text("utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("permit-tax,")]
    permit = next(line for line in text.splitlines() if line.startswith("permit-tax,"))
    text = "\n".join(
        [*kept, permit.replace("permit-tax,", "permit-civil,").replace(",tax-office,", ",civil-registry,")]
    )
    for name, old, new in (
        ("deed-civil", ",always,", f",{tomorrow},"),
        ("transfer-customs", "liens,,,,,,", "liens,,,always,page,http://127.0.0.1:7500/customs/liens,"),
        ("clearance-customs", ",,main,", ",,,"),
    ):
        before = next(line for line in text.splitlines() if line.startswith(f"{name},"))
        assert old in before
        text = text.replace(before, before.replace(old, new))
    (folder / "links.csv").write_text(text + "\n", "utf-8")
    return folder


def rows(chance: random.Random, targets: Sequence[str], *, ages: range, count: int = 300) -> Iterator[Measurement]:
    """Measurements of slots that ended so many seconds ago."""
    now = int(time.time())
    for _ in range(count):
        slot = (now - chance.randrange(ages.start, ages.stop)) // SLOT - 1
        yield measure(chance.choice(targets), slot, chance.choice(REASONS), at=chance.random())


async def settled(bus: Bus, register: Register, sequence: int) -> list[str] | None:
    """Every published Indicator and Structure as JSON, once all are of one moment, this register and exactly this message."""
    published = await blocks(bus)
    found = [one for block in published.values() for one in block.indicators] if "government" in published else []
    states = {(one.as_of, one.register_version, one.evidence_sequence) for one in found}
    if len(states) != 1 or next(iter(states))[1:] != (register.register_version, sequence):
        return None
    structures = map(structure_to_json, published["government"].structures)
    return [*sorted(indicator_to_json(one) for one in found), *structures]


def scored(folder: Path, file: Path, published: Sequence[str]) -> tuple[list[str], str]:
    """What `peyvand score` says at the same moment and message of the stream, and what it says on stderr."""
    one = json.loads(published[0])
    where = ("--at", one["as_of"], "--sequence", one["evidence_sequence"])
    score = ("score", "--register", folder, "--measurements", file, *where, "--json")
    indicators, structures = peyvand(*score), peyvand(*score, "--structure")
    assert indicators.returncode == structures.returncode == 0, indicators.stderr
    return [*sorted(indicators.stdout.splitlines()), *structures.stdout.splitlines()], indicators.stderr


async def test_a_dump_scores_to_the_published_bits(nats: Nats, tmp_path: Path) -> None:
    """With late, repeated, grace-expired and early data, a changed register and a kill -9, every Indicator of every kind
    and window, and every Structure, comes out of a dump as it was published: before the change by the first register, after it by the second.
    """
    chance = random.Random(11)
    changes = {"epoch": time.time() - 3 * HOUR, "policy_yaml": ("grace_hours: 24", "grace_hours: 1")}
    first = make_register(tmp_path / "first", **changes)
    second = amend(make_register(tmp_path / "second", **changes), first / "links.csv")
    register = await register_on(nats, first)
    targets = [*register.links, "permit-civil", "endpoint:portal", "endpoint:bus"]
    scorer = Scorer(nats, tmp_path / "scorer")
    scorer.start()
    try:
        async with nats.connect("prober") as prober, nats.connect("api") as api:

            async def bring() -> int:
                """Fresh data, late data within grace and beyond it, data of slots to come, and some of it twice."""
                fresh = list(rows(chance, targets, ages=range(600)))
                await put(prober, fresh)
                await put(prober, rows(chance, targets, ages=range(1800, HOUR - 60)))
                await put(prober, rows(chance, targets, ages=range(HOUR + 60, 3 * HOUR), count=50), shard=3)
                await put(prober, rows(chance, targets, ages=range(-500, -100), count=50))
                await prober.publish(subjects.measurement("main", 0), b"\xff garbage", message_id="")
                await put(prober, fresh)
                return await prober.publish(subjects.measurement("main", 5), batch(fresh[:9]), message_id="")

            sequence = await bring()
            before = await eventually(lambda: settled(api, register, sequence), "the first index")
            scorer.kill()
            await bring()
            changed = await register_on(nats, second)
            assert changed.register_version != register.register_version
            scorer.start()
            await eventually(lambda: settled(api, changed, sequence + 7), "an index after the kill")
            sequence = await bring()
            after = await eventually(lambda: settled(api, changed, sequence), "the last index")
        assert await scorer.stop() == (0, "")
    finally:
        scorer.kill()

    dumped = peyvand("dump", "measurements", "--nats", nats.url, "--credentials", nats.credentials)
    file = tmp_path / "measurements.ndjson"
    file.write_text(dumped.stdout, "utf-8")
    assert dumped.stderr.count("is left out: not a MeasurementBatch") == 3
    for folder, published in ((first, before), (second, after)):
        found, said = scored(folder, file, published)
        assert found == published
        assert (
            said == f"left out as the scorer does: {said.split()[6]} measurements too late, {said.split()[10]} early\n"
        )
        assert int(said.split()[6]) > 0
        assert int(said.split()[10]) > 0
    assert len(after) == 3 * (1 + 2 + 4 + 4 + 5 + 8 + 2) + 3
    assert scored(first, file, after)[0] != after

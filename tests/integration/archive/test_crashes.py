"""No crash of the archive, of the bus or of a scorer changes the sealed files."""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest

from services.dataset.days import verify
from tests.support.cases.archive import Archive, publish, sealed, streams_of, undisturbed
from tests.support.nats import Nats

KILLS = int(os.environ.get("PEYVAND_KILLS", "10"))
"""The number of crashes: few in `make test`, many in `make kills` (docs/robustness.md)."""
SEED = int(os.environ.get("PEYVAND_KILLS_SEED", "1"))
VICTIMS = ("archive", "archive", "archive", "scorer", "bus")


@pytest.mark.slow
async def test_no_crash_changes_what_is_sealed(archive: Archive, nats: Nats) -> None:
    """Archive, scorer and bus are killed at random moments while evidence comes in, and the archive while it seals.
    Each time that the day is sealed, the files equal those of an undisturbed run.
    """
    chance = random.Random(SEED)
    components = archive.components
    archive.start()
    components.start("scorer")
    for number in range(KILLS - KILLS // 5):
        await publish(nats, number)
        await asyncio.sleep(chance.uniform(0.0, 1.0))
        match chance.choice(VICTIMS):
            case "archive":
                components.kill("archive")
                archive.start()
            case "scorer":
                components.kill("scorer")
                components.start("scorer")
            case "bus":
                nats.kill()
                nats.start()
    components.kill("scorer")
    streams, created = await streams_of(nats)
    await archive.has(streams)
    components.kill("archive")
    archive.end_of_day()
    before = archive.copy()
    archive.start()
    await archive.sealing()
    began = time.monotonic()
    await archive.sealed()
    seconds = time.monotonic() - began
    expected = undisturbed(archive, streams, created)
    assert sealed(archive.storage) == expected
    for number in range(KILLS // 5):
        components.kill("archive")
        archive.put_back(before)
        archive.start()
        await archive.sealing()
        await asyncio.sleep(chance.uniform(0.0, seconds))
        components.kill("archive")
        archive.start()
        await archive.sealed()
        assert verify(archive.storage, archive.key.public) == []
        assert sealed(archive.storage) == expected, f"seed {SEED}, sealed again for the {number + 1}. time"

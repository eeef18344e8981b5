"""Two scorers: of one folder the second ends, of one bus the second stands by."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.bus import columns_of
from services.core.bus.names import MEASUREMENTS
from services.core.model import IndicatorKind, Reason
from services.indicator.admission import admit
from services.scorer.offline import score_batches
from tests.support.cases.scorer import Scorer, government, make_register, measure, now_slot, only, put, register_on
from tests.support.forked import run
from tests.support.nats import Nats
from tests.support.ports import free_port
from tests.support.waiting import eventually


@pytest.fixture
def other(nats: Nats, tmp_path: Path) -> Iterator[Scorer]:
    """Another scorer of the same bus, with its own folder."""
    other = Scorer(nats, tmp_path / "other")
    yield other
    if other.process is not None and other.process.poll() is None:
        other.kill()


async def test_a_folder_has_one_scorer(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """A second scorer of the same folder ends with a sentence, and the first goes on."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    await scorer.serving()
    where = ("--nats", nats.url, "--credentials", nats.credentials, "--data", scorer.data)
    second = await asyncio.to_thread(run, "services.scorer", *where, "--metrics", f"127.0.0.1:{free_port()}")
    assert second.returncode == 1
    assert second.stderr == (
        f"peyvand scorer: another scorer uses the folder {scorer.data}: end it, or name another folder with --data\n"
    )
    assert await scorer.stop() == (0, "")


async def test_a_bus_has_one_scorer(nats: Nats, scorer: Scorer, other: Scorer, tmp_path: Path) -> None:
    """A second scorer stands by with the same evidence. It publishes the same numbers within two slots of the lease's end
    once the first has stopped, was killed, or stood still; never both, and a first that stood still ends.
    """
    register = await register_on(nats, make_register(tmp_path / "register"))
    async with nats.connect("prober") as prober, nats.connect("api") as api, nats.connect("dump") as dump:
        for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
            scorer.start()
            await scorer.serving()
            other.start()
            await eventually(lambda: "standing_by" in other.events(), "the second stands by")
            await other.serving()
            assert "peyvand_scorer_standing_by 1.0" in (await other.get("/metrics") or "")
            await put(prober, [measure("deed-tax", now_slot() - 3)])
            await eventually(scorer.published, "the first publishes")
            assert "index_published" not in other.events()
            assert scorer.process is not None
            scorer.process.send_signal(end)
            sequence = await put(prober, [measure("deed-civil", now_slot() - 2, Reason.STATUS)])
            block = await government(api, sequence)
            assert "took_over" in other.events()
            messages = await dump.read(MEASUREMENTS, 1)
            batches = [admit(columns_of(one), stored=one.time, policy=register.policy).columns for one in messages]
            (first, *_) = block.indicators
            snapshot = score_batches(register, batches, at=first.as_of, evidence_sequence=first.evidence_sequence)
            rows = {(row.kind, row.id): row for row in snapshot.rows(IndicatorKind.GOVERNMENT, 7)}
            assert rows[first.kind, first.id] == only(block, first.kind, first.id)
            if end is signal.SIGSTOP:
                scorer.process.send_signal(signal.SIGCONT)
                code, errors = await scorer.ended()
                assert code == 1
                assert "another scorer publishes by now" in errors
            await eventually(other.published, "the second logs what it published")
            # By as_of, since a scorer that stood still may log only afterwards what it had put before.
            assert scorer.published()[-1]["as_of"] <= other.published()[0]["as_of"]
            assert await other.stop() == (0, "")
            for one in (scorer, other):
                (one.data / "scorer.log").unlink()

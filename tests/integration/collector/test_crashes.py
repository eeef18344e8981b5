"""The collector counts every record once, although it and its bus are killed and its state is damaged."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import closing
from dataclasses import replace

import pytest

from services.core import checked_rows
from services.core.bus.names import EXCHANGES
from tests.support.cases.collector import collector, in_force, put_in_force
from tests.support.registers import write_register
from tests.support.servers.http_server import answer, serving
from tests.support.servers.security_server import Logbook
from tests.support.values.exchange_records import both_sides
from tests.support.waiting import DEADLINE, eventually

__all__ = ["collector"]  # the fixture

LOGGED = 4000
WINDOW_SECONDS = 1.0
"""How long the bus remembers the messages of the stream to drop duplicates; elsewhere 120 s."""
OUTAGE_SECONDS = 3.0
"""How long the bus is down once."""


async def shorten_window(nats):
    """Shorten the window in which the bus drops duplicates in EXCHANGES."""
    async with nats.connect("admin") as bus:
        config = (await bus.jetstream.stream_info(EXCHANGES)).config
        made = await bus.jetstream.update_stream(replace(config, duplicate_window=WINDOW_SECONDS))
        assert made.config.duplicate_window == WINDOW_SECONDS


def sides():
    """Yield both sides of LOGGED exchanges of the last hour; every hundredth lacks the producer's side."""
    began = int(time.time()) - 3700
    for number in range(LOGGED):
        moment = (began + number * 3600 // LOGGED) * 1000 + number % 1000
        named = {"serviceCode": f"service-{number % 7}", "succeeded": number % 50 != 0, "xRequestId": f"x-{number}"}
        client, producer = both_sides(moment, **named)
        yield client, None if number % 100 == 0 else producer


def counted(summaries):
    return sum(s.count for s in summaries), sum(s.orphans for s in summaries), sum(s.ok for s in summaries)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
async def test_every_record_is_counted_once(nats, collector, tmp_path, seed):
    """Collector and nats-server are killed at random moments while records of two sources come in, some repeated and
    some without their other side. Once the bus is down for longer than its window of duplicates, which is shortened to
    a second. Every record is counted once.
    """
    chance = random.Random(seed)
    await shorten_window(nats)
    await put_in_force(nats, write_register(tmp_path / "register"))
    pairs = list(sides())
    book = Logbook([client for client, _ in pairs], limit=60)
    # The server is slow enough to be interrupted, and fails now and then.
    book.ill = lambda call: answer(503) if call % 17 == 0 else None
    producers = [json.dumps(producer) for _, producer in pairs if producer]
    producers += chance.sample(producers, LOGGED // 100)
    chance.shuffle(producers)
    log = tmp_path / "producers.ndjson"
    log.touch()
    written = 0
    async with serving(book) as server:
        sources = tmp_path / "sources.yaml"
        sources.write_text(f"""\
sources:
  - {{id: ss1, kind: xroad, server: IR/GOV/1/ss1, client: IR/GOV/1, every: 100ms, url: "{server.url()}"}}
  - {{id: logs, kind: files, path: "*.ndjson", every: 50ms}}
""")

        def write(count):
            nonlocal written
            with log.open("a") as out:
                out.write("".join(line + "\n" for line in producers[written : written + count]))
            written += count

        for turn in range(5):
            with collector("--sources", sources) as process:
                await book.reaches(book.calls + 1)
                write(len(producers) // 8)
                await asyncio.sleep(chance.uniform(0.0, 0.4))
                if turn % 2 or turn == 2:
                    nats.kill()
                    write(len(producers) // 16)
                    await asyncio.sleep(OUTAGE_SECONDS if turn == 2 else chance.uniform(0.0, 0.4))
                if turn == 1:
                    nats.start()  # the collector is still running, and its bus is back
                    await asyncio.sleep(chance.uniform(0.0, 0.4))
                process.popen.kill()
                process.popen.wait()
            if nats.process is None:
                nats.start()
        write(len(producers))
        expected = (LOGGED, LOGGED // 100, LOGGED - LOGGED // 50)
        async with nats.connect("scorer") as bus:
            with collector("--sources", sources) as process:

                async def all_there():
                    return counted(await in_force(bus)) == expected

                await eventually(all_there, "every record")
                await eventually(
                    lambda: process.sample("peyvand_exchange_unpublished") == 0, "acknowledgement of everything"
                )
                assert process.sample("peyvand_exchange_orphans") == LOGGED // 100
            assert counted(await in_force(bus)) == expected


async def test_a_damaged_state_is_made_again_from_the_sources(nats, collector, tmp_path):
    """A collector checks its state while it works. It ends with one sentence when a row is damaged, and the next start
    reads the sources again.
    """
    await put_in_force(nats, write_register(tmp_path / "register"))
    log = tmp_path / "log.ndjson"
    moment = int(time.time() * 1000) - 60_000
    log.write_text("".join(f"{json.dumps(side)}\n" for side in both_sides(moment)))
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources:\n  - {id: logs, kind: files, path: log.ndjson, every: 50ms}\n")
    async with nats.connect("scorer") as bus:

        async def published():
            return counted(await in_force(bus)) == (1, 0, 1)

        with collector("--sources", sources) as process:
            await eventually(published, "the exchange")
            await eventually(lambda: process.lines("state_checked"), "the check of an empty state")
        with closing(checked_rows.connect(tmp_path / "state" / "collector.sqlite")) as database:
            [(intact,)] = database.execute("SELECT intact FROM summary").fetchall()
            database.create_function("checksum", -1, lambda *_: intact, deterministic=True)
            database.execute("UPDATE summary SET count = count + 1")
            database.commit()
        with collector("--sources", sources) as process:
            assert process.popen.wait(DEADLINE) == 1
            text = process.log.read_text()
        assert "collector.sqlite was damaged (a row of summary) and lies beside it as collector.sqlite.damaged" in text
        assert "Traceback" not in text
        with collector("--sources", sources) as process:
            await eventually(lambda: process.sample("peyvand_exchange_unpublished") == 0, "everything published")
            await eventually(lambda: process.sample("peyvand_exchange_paired_total") == 1, "the log read again")
            assert process.sample("peyvand_collector_damaged_files") >= 1
        assert await published()

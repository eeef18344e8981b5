"""The collector as a process, against a real nats-server."""

from __future__ import annotations

import json
import shutil
import signal
import time

from services.core.bus import initialise_streams
from services.core.bus.names import EXCHANGES, exchange_subject, shard_of
from services.register.attribution import Attributor
from services.register.directory import load_register
from tests.support.cases.collector import MEMBERS, SAMPLE, collector, in_force, put_in_force, stored, totals
from tests.support.cases.scorer import make_register
from tests.support.registers import write_register
from tests.support.values.exchange_records import both_sides, record
from tests.support.waiting import DEADLINE, eventually

__all__ = ["collector"]  # the fixture
ROUTES = "client,service,link\nDEV/ORG/1234567-8/TEST,DEV/ORG/1234567-8/TEST/RestTest,deed-civil\n"


async def test_the_replayed_sample_goes_through_live(nats, collector, scorer, data_file, tmp_path):
    """The real sample, replayed and aliased, arrives as 2,615 exchanges in current slots, and the scorer counts each
    once: 1,905, and 710 meta. SIGTERM ends the collector with code 0.
    """
    register = make_register(tmp_path / "register", members_csv=MEMBERS, exchange_csv=ROUTES)
    await put_in_force(nats, register)
    scorer.start()
    began = time.time()
    options = ("--replay", data_file(SAMPLE), "--replay-seconds", 2, "--alias", "customs")
    async with nats.connect("scorer") as bus:
        with collector(*options) as process:

            async def all_there():
                return totals(await in_force(bus)) == (2615, 710, 0)

            await eventually(lambda: process.page("/health")[0] == 200, "serving")
            await eventually(all_there, "the whole sample")
            assert process.sample("peyvand_exchange_records_total") == 5230
            assert process.sample("peyvand_exchange_paired_total") == 2615
            assert process.sample("peyvand_exchange_duplicates_total") == 0
            assert process.sample("peyvand_exchange_rejected_total") == 0
            await eventually(
                lambda: process.sample("peyvand_exchange_unpublished") == 0, "acknowledgement of everything"
            )
            assert process.sample("peyvand_exchange_orphans") == 0
            assert began < process.sample("peyvand_exchange_published_timestamp_seconds") <= time.time()
            process.popen.send_signal(signal.SIGTERM)
            assert process.popen.wait(DEADLINE) == 0

        async def counted():
            lines = (await scorer.get("/metrics") or "").splitlines()
            series = [line for line in lines if line.startswith("peyvand_exchanges{")]
            meta, other = (
                sum(float(line.rsplit(" ", 1)[1]) for line in series if f'meta="{of}"' in line)
                for of in ("true", "false")
            )
            return (other, meta) if other + meta >= 2615 else None

        assert await eventually(counted, "the scorer counted the sample") == (1905, 710)
        attributor = Attributor(load_register(register))
        found = [attributor.attribute_summary(s) for s in await in_force(bus) if s.count]
        assert {message.subject for message in await stored(bus)} == {exchange_subject("xroad", shard_of("xroad"))}
    assert {(s.consumer, s.provider, s.meta, s.link) for s in found} == {
        ("land-registry", "customs", False, "deed-civil"),
        ("land-registry", "customs", True, ""),
    }
    assert all(began - 300 <= s.slot_start <= time.time() for s in found)
    # Durations and skew are those of the log, however the replay compresses its days.
    assert sum(s.skew_count for s in found) == 2615
    assert sum(sum(s.duration_buckets) for s in found) == 2615
    assert len(process.lines("replay_finished")) == 1


async def test_kill_9_loses_and_doubles_nothing(nats, collector, data_file, tmp_path):
    """A collector that is killed repeatedly during the replay ends with the totals of a run without a crash."""
    await put_in_force(nats, write_register(tmp_path / "register", members_csv=MEMBERS))
    options = ("--replay", data_file(SAMPLE), "--replay-seconds", 16, "--alias", "customs")
    taken = interrupted = 0
    async with nats.connect("scorer") as bus:
        for kill in range(4):
            last = (await bus.stream_state(EXCHANGES)).last
            with collector(*options) as process:

                async def goes_on(last=last):
                    return (await bus.stream_state(EXCHANGES)).last > last or ended()

                def ended():  # if startup takes so long that the previous run already had everything due
                    return process.lines("replay_finished")

                if kill % 2:
                    await eventually(lambda: process.lines("records_taken") or ended(), "a first batch")
                else:
                    await eventually(goes_on, "a first message")
                process.popen.kill()
                process.popen.wait()
                interrupted += not process.lines("replay_finished")
                taken += sum(entry["records"] for entry in process.lines("records_taken"))
        assert interrupted >= 1, "killed too late to prove anything"
        assert taken > 0
        with collector(*options) as process:

            async def all_there():
                return totals(await in_force(bus)) == (2615, 710, 0)

            await eventually(lambda: process.lines("replay_finished"), "the end of the replay")
            await eventually(all_there, "the whole sample")
            assert process.sample("peyvand_exchange_duplicates_total") == 0
            # A line is logged after its transaction, so a kill between them leaves a batch unlogged, never unread.
            last_run = sum(entry["records"] for entry in process.lines("records_taken"))
            assert last_run <= 5230 - taken
            process.popen.send_signal(signal.SIGTERM)
            assert process.popen.wait(DEADLINE) == 0
        found = await in_force(bus)
    assert totals(found) == (2615, 710, 0)
    assert sum(s.ok for s in found) == 2615


async def test_an_older_copy_of_the_folder_can_be_restored(nats, collector, tmp_path):
    """A collector whose folder was replaced by an older copy reads again what came since. The summaries that it then
    publishes replace those of the lost folder.
    """
    await put_in_force(nats, write_register(tmp_path / "register"))
    sources, log, copy = tmp_path / "sources.yaml", tmp_path / "exchanges.ndjson", tmp_path / "copy"
    sources.write_text('sources:\n  - {id: logs, kind: files, path: "*.ndjson", every: 50ms}\n')
    moment = int(time.time()) // 300 * 300_000
    written = 0

    def write(count):
        nonlocal written
        numbers = range(written, written + count)
        with log.open("a") as out:
            out.write("".join(json.dumps(record(moment, xRequestId=f"x-{number}")) + "\n" for number in numbers))
        written += count

    async with nats.connect("scorer") as bus:

        async def read(parts):
            """Run a collector until it has published each part of the log."""

            async def all_there():
                return sum(summary.count for summary in await in_force(bus)) == written

            with collector("--sources", sources) as process:
                for part in parts:
                    write(part)
                    await eventually(all_there, f"all {written}")
                process.popen.send_signal(signal.SIGTERM)
                assert process.popen.wait(DEADLINE) == 0

        await read([5])
        shutil.copytree(tmp_path / "state", copy)
        await read([1] * 4)  # each part with its own revision
        shutil.rmtree(tmp_path / "state")
        copy.rename(tmp_path / "state")
        await read([3])


async def test_a_stream_made_anew_gets_everything_again(nats, collector, tmp_path):
    """A collector publishes everything again when its stream was created anew: with the next summary, or on SIGUSR1."""
    await put_in_force(nats, write_register(tmp_path / "register"))
    sources, log = tmp_path / "sources.yaml", tmp_path / "exchanges.ndjson"
    sources.write_text('sources:\n  - {id: logs, kind: files, path: "*.ndjson", every: 50ms}\n')
    moment = int(time.time()) // 300 * 300_000

    def write(number):
        with log.open("a") as out:
            out.write(json.dumps(record(moment - 300_000 * number, xRequestId=f"x-{number}")) + "\n")

    async with nats.connect("scorer") as bus, nats.connect("admin") as admin:

        async def there(count):
            async def all_there():
                return sum(summary.count for summary in await in_force(bus)) == count

            await eventually(all_there, f"all {count}")

        async def make_anew():
            await admin.jetstream.delete_stream(EXCHANGES)
            await initialise_streams(admin)
            assert await in_force(bus) == []

        with collector("--sources", sources) as process:
            for number in range(2):
                write(number)
                await there(number + 1)
            await eventually(lambda: process.sample("peyvand_exchange_unpublished") == 0, "both are acknowledged")
            await make_anew()
            write(2)
            await there(3)
            assert len(process.lines("stream_lost_messages")) == 1
            await eventually(lambda: process.sample("peyvand_exchange_unpublished") == 0, "all are acknowledged")
            await make_anew()
            process.popen.send_signal(signal.SIGUSR1)
            await there(3)
            process.popen.send_signal(signal.SIGTERM)
            assert process.popen.wait(DEADLINE) == 0
        assert len(process.lines("stream_lost_messages")) == 1


async def test_a_collector_without_a_bus_remembers_to_publish_again(nats, collector, tmp_path):
    """SIGUSR1 while a collector waits for its bus takes effect once the bus answers."""
    await put_in_force(nats, write_register(tmp_path / "register"))
    nats.kill()
    with collector() as process:
        await eventually(lambda: "waiting for the bus" in process.page("/health")[1], "it does not serve")
        process.popen.send_signal(signal.SIGUSR1)
        nats.start()
        await eventually(lambda: process.lines("publishing_again"), "all is published again")
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(DEADLINE) == 0


async def test_the_pairing_span_is_a_setting(nats, collector, tmp_path):
    """Sides that are two days apart are two exchanges with a span of one day, and one exchange with the default span."""
    await put_in_force(nats, write_register(tmp_path / "register"))
    now = int(time.time() * 1000)
    (client, _), (_, producer) = both_sides(now - 2 * 86_400_000), both_sides(now)
    (tmp_path / "log.ndjson").write_text(json.dumps(client) + "\n" + json.dumps(producer) + "\n")
    sources = tmp_path / "sources.yaml"
    sources.write_text('sources:\n  - {id: logs, kind: files, path: "*.ndjson", every: 50ms}\n')
    async with nats.connect("scorer") as bus:
        for options, expected in ((("--span-days", 1), (2, 0, 2)), ((), (1, 0, 0))):

            async def counted(expected=expected):
                return totals(await in_force(bus)) == expected

            with collector("--sources", sources, *options):
                await eventually(counted, f"{expected}")


async def test_an_outage_of_the_bus_loses_nothing(nats, collector, data_file, tmp_path):
    """Without the bus the collector continues to read and is NOT_SERVING; afterwards everything arrives."""
    await put_in_force(nats, write_register(tmp_path / "register", members_csv=MEMBERS))
    with collector("--replay", data_file(SAMPLE), "--replay-seconds", 3) as process:
        await eventually(lambda: process.lines("records_taken"), "a first batch")
        nats.kill()
        await eventually(lambda: process.lines("replay_finished"), "the end of the replay without a bus")
        await eventually(lambda: process.page("/health")[0] == 503, "admitting that it does not serve")
        nats.start()
        async with nats.connect("scorer") as bus:

            async def all_there():
                return totals(await in_force(bus)) == (2615, 710, 0)

            await eventually(all_there, "the whole sample")
        await eventually(lambda: process.page("/health")[0] == 200, "serving again")
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(DEADLINE) == 0


async def test_without_a_bus_it_does_not_serve_and_still_stops(collector, nats):
    """While the collector waits for its bus it is NOT_SERVING, and SIGTERM ends it with code 0."""
    nats.kill()
    with collector() as process:
        await eventually(lambda: process.page("/health")[0] == 503, "an answer on /health")
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(DEADLINE) == 0

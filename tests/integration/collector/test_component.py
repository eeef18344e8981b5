"""The collector as a process, against a real nats-server."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time

import pytest

from services.core.bus.names import EXCHANGES, exchange_subject, shard_of
from services.core.codec import decode_summaries
from services.register.attribution import Attributor
from services.register.directory import load_register
from tests.support.cases.collector import collector, in_force, put_in_force, stored, totals
from tests.support.cases.scorer import make_register
from tests.support.registers import write_register
from tests.support.servers.http_server import forever, serving
from tests.support.servers.security_server import Logbook
from tests.support.values.exchange_records import both_sides, record
from tests.support.waiting import DEADLINE, eventually

__all__ = ["collector"]  # the fixture

SAMPLE = "opmon_dev_5230.ndjson"
MEMBERS = "member,agency\nDEV/ORG/1234567-8,land-registry\n"
ROUTES = "client,service,link\nDEV/ORG/1234567-8/TEST,DEV/ORG/1234567-8/TEST/RestTest,deed-civil\n"


async def test_the_replayed_sample_goes_through_live(nats, collector, scorer, data_file, tmp_path):
    """The real sample, replayed and aliased, arrives as 2,615 exchanges in slots of now, and the scorer counts each once: 1,905
    and 710 meta. SIGTERM ends the collector with code 0.
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
        for message in await stored(bus):
            _, inside = decode_summaries(message.data)
            assert {exchange_subject("xroad", shard_of(s.client)) for s in inside} == {message.subject}
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
    """Killed again and again in the middle of the replay, the collector ends with the totals of a run without a crash."""
    await put_in_force(nats, write_register(tmp_path / "register", members_csv=MEMBERS))
    options = ("--replay", data_file(SAMPLE), "--replay-seconds", 16, "--alias", "customs")
    taken = interrupted = 0
    async with nats.connect("scorer") as bus:
        for kill in range(4):
            last = (await bus.stream_state(EXCHANGES)).last
            with collector(*options) as process:

                async def goes_on(last=last):
                    return (await bus.stream_state(EXCHANGES)).last > last or ended()

                def ended():  # where starting takes so long that the run before had all that was due
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
    """A collector whose folder was replaced by an older copy reads again what came since.

    What it then publishes of a slot replaces what the lost folder had published.
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
        await read([1] * 4)  # each with a revision of its own
        shutil.rmtree(tmp_path / "state")
        copy.rename(tmp_path / "state")
        await read([3])


async def test_the_pairing_span_is_a_setting(nats, collector, tmp_path):
    """Sides two days apart are two exchanges within a span of one day, and one once the collector has another span."""
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
    """Without the bus the collector reads on and is NOT_SERVING; afterwards everything arrives."""
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


async def test_bad_lines_are_reported_and_the_rest_goes_on(nats, collector, data_file, tmp_path):
    """Lines that cannot be read are counted and logged by position, length and reason, without content, once."""
    await put_in_force(nats, write_register(tmp_path / "register", members_csv=MEMBERS))
    lines = data_file(SAMPLE).read_bytes().splitlines()[:200]
    personal = {"messageUserId": "CANARY", "faultString": "CANARY", "restPath": "/CANARY", "messageIssue": "CANARY"}
    personal |= {"representedPartyCode": "CANARY", "securityServerInternalIp": "CANARY"}
    lines = [json.dumps(json.loads(text) | personal).encode() for text in lines]
    bad = json.dumps(json.loads(lines[0]) | {"succeeded": "CANARY"}).encode()
    log = tmp_path / "log.ndjson"
    log.write_bytes(b"\n".join([*lines[:10], b'{"messageUserId": "CANARY"', bad, *lines[10:], lines[3]]) + b"\n")
    async with nats.connect("scorer") as bus:
        with collector("--replay", log, "--replay-seconds", 1) as process:

            async def all_there():
                return totals(await in_force(bus))[0] == 100

            await eventually(all_there, "the rest")
            await eventually(lambda: process.sample("peyvand_exchange_duplicates_total") == 1, "the repeated line")
            assert process.sample("peyvand_exchange_rejected_total") == 2
            rejects = [reject for entry in process.lines("records_taken") for reject in entry["rejects"]]
            assert rejects == [
                {"number": 11, "column": 27, "length": 26, "reason": "it is not JSON"},
                {"number": 12, "column": 0, "length": len(bad), "reason": "succeeded must be true or false"},
            ]
            process.popen.send_signal(signal.SIGTERM)
            assert process.popen.wait(DEADLINE) == 0
        published = b"".join(message.data for message in await stored(bus))
    for written in (process.log, *(tmp_path / "state").iterdir()):
        assert b"CANARY" not in written.read_bytes()
    assert b"CANARY" not in published


async def test_slots_of_another_length_end_the_collector(nats, collector, data_file, tmp_path):
    """A new register changes nothing while its slots are as long; one with other slots ends the collector with a sentence."""
    await put_in_force(nats, write_register(tmp_path / "register"))
    with collector("--replay", data_file(SAMPLE), "--replay-seconds", 1) as process:
        await eventually(lambda: process.page("/health")[0] == 200, "serving")
        await put_in_force(nats, write_register(tmp_path / "second", members_csv=MEMBERS))
        await eventually(lambda: process.sample("peyvand_exchange_records_total") == 5230, "the whole sample")
        assert process.page("/health")[0] == 200
        slots = ("slot_seconds: 300", "slot_seconds: 60")
        await put_in_force(nats, write_register(tmp_path / "third", policy_yaml=slots))
        assert await asyncio.to_thread(process.popen.wait, DEADLINE) == 1
        assert "counts in slots of 300 s and the register now says 60 s" in process.log.read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--alias", "nobody"), "the alias nobody is not an agency of the register: name one that is with --alias"),
        (("--replay", "missing.ndjson"), "missing.ndjson: No such file or directory"),
        (("--sources", "missing.yaml"), "missing.yaml: the file is missing"),
    ],
)
async def test_what_cannot_work_ends_with_a_sentence(nats, collector, tmp_path, arguments, sentence):
    """A setting that cannot work ends the process with code 1 and one sentence."""
    await put_in_force(nats, write_register(tmp_path / "register"))
    with collector(*arguments) as process:
        assert await asyncio.to_thread(process.popen.wait, DEADLINE) == 1
        assert sentence in process.log.read_text()
        assert "Traceback" not in process.log.read_text()


async def test_sources_go_through_live(nats, collector, tmp_path):
    """Both sides of an exchange, one from a security server and one from a log, arrive as one exchange.

    A server that hangs delays nothing, not even the end.
    """
    await put_in_force(nats, write_register(tmp_path / "register"))
    logged = int(time.time()) - 200
    pairs = [both_sides(logged * 1000, xRequestId=f"x-{number}") for number in range(300)]
    book = Logbook([client for client, _ in pairs], limit=100)
    (tmp_path / "producer.ndjson").write_text("\n".join(json.dumps(producer) for _, producer in pairs))
    async with nats.connect("scorer") as bus, serving(book) as server, serving(forever) as hangs:
        sources = tmp_path / "sources.yaml"
        sources.write_text(f"""\
xroad: {{client: IR/GOV/1, every: 200ms}}
sources:
  - {{id: ss1, kind: xroad, server: IR/GOV/1/ss1, url: "{server.url()}"}}
  - {{id: ss2, kind: xroad, server: IR/GOV/1/ss2, url: "{hangs.url()}"}}
  - {{id: logs, kind: files, path: "*.ndjson", every: 100ms}}
""")
        with collector("--sources", sources) as process:

            async def all_there():
                return totals(await in_force(bus)) == (300, 0, 0)

            await eventually(all_there, "every exchange with both sides")
            assert process.page("/health")[0] == 200
            await hangs.reaches(1)
            process.popen.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.popen.wait, DEADLINE) == 0
    assert not process.lines("source_failed")


async def test_another_log_on_the_same_state_is_refused(nats, collector, data_file, tmp_path):
    """One state replays one log: a second one is refused with what to do."""
    await put_in_force(nats, write_register(tmp_path / "register"))
    with collector("--replay", data_file(SAMPLE), "--replay-seconds", 60) as process:
        await eventually(lambda: process.lines("records_taken"), "a first batch")
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(DEADLINE) == 0
    with collector("--replay", data_file("xroadmetrics_raw_messages_batch_1.json")) as process:
        assert await asyncio.to_thread(process.popen.wait, DEADLINE) == 1
        assert "replays another log" in process.log.read_text()


async def test_without_a_bus_it_does_not_serve_and_still_stops(collector, nats):
    """Waiting for its bus, the collector is NOT_SERVING, and SIGTERM ends it with code 0."""
    nats.kill()
    with collector() as process:
        await eventually(lambda: process.page("/health")[0] == 503, "an answer on /health")
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(DEADLINE) == 0

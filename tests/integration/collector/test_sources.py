"""The collector with configured sources, and with settings that cannot work."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import pytest

from tests.support.cases.collector import MEMBERS, SAMPLE, collector, in_force, put_in_force, stored, totals
from tests.support.registers import write_register
from tests.support.servers.http_server import forever, serving
from tests.support.servers.security_server import Logbook
from tests.support.values.exchange_records import both_sides
from tests.support.waiting import DEADLINE, eventually

__all__ = ["collector"]  # the fixture


async def test_bad_lines_are_reported_and_the_rest_goes_on(nats, collector, data_file, tmp_path):
    """Unreadable lines are counted and logged once, by position, length and reason, without content."""
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
    for written in (process.log, *(tmp_path / "state").rglob("*")):
        assert written.is_dir() or b"CANARY" not in written.read_bytes()
    assert b"CANARY" not in published


async def test_slots_of_another_length_end_the_collector(nats, collector, data_file, tmp_path):
    """A new register with slots of the same length changes nothing; another length ends the collector with a sentence."""
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
        (("--data", "/proc/none"), "/proc/none/collector.sqlite cannot be opened: No such file or directory"),
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
    """Both sides of an exchange, one from a security server and one from a log, arrive as one exchange. A server that
    hangs delays nothing, not even the shutdown.
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
    """A state folder replays one log; a second log is refused, and the error says what to do."""
    await put_in_force(nats, write_register(tmp_path / "register"))
    with collector("--replay", data_file(SAMPLE), "--replay-seconds", 60) as process:
        await eventually(lambda: process.lines("records_taken"), "a first batch")
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(DEADLINE) == 0
    with collector("--replay", data_file("xroadmetrics_raw_messages_batch_1.json")) as process:
        assert await asyncio.to_thread(process.popen.wait, DEADLINE) == 1
        assert "replays another log" in process.log.read_text()

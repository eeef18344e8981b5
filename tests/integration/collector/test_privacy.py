"""No personal data is stored or shown: canaries in every personal field of every source are found nowhere."""

from __future__ import annotations

import gzip
import json
import signal
import time
from typing import Any

from google.protobuf.message import DecodeError

from peyvand.v1.indicator_service_pb2 import GetTrafficResponse, ListLinksResponse
from tests.support.cases.api.answers import api, every_answer
from tests.support.cases.collector import collector, in_force, put_in_force
from tests.support.cases.scorer import Scorer, make_register
from tests.support.servers.http_server import answer, serving
from tests.support.servers.security_server import Logbook, fault
from tests.support.values.exchange_records import PERSONAL
from tests.support.values.exchange_records import record as raw
from tests.support.waiting import DEADLINE, eventually

__all__ = ["collector"]  # the fixture

CANARY = "CANARY-7c2e"


def record(number):
    """A side with a canary in every personal field, and in an unknown one."""
    seen = {"serviceCode": "visible-service", "succeeded": False, "faultCode": "Server.ServerProxy.X"}
    hidden = dict.fromkeys((*PERSONAL, "unheardOf"), CANARY)
    return raw((int(time.time()) - 200) * 1000 + number, xRequestId=f"x-{number}", **seen, **hidden)


def table(records):
    return "\n".join([",".join(records[0]), *(",".join(map(str, one.values())) for one in records)]) + "\n"


def bad(number):
    """Return unreadable records, with the canary where a reason could quote it."""
    whole = record(number)
    return [
        whole | {"succeeded": CANARY},
        whole | {"requestInTs": CANARY, "requestSize": CANARY},
        whole | {"securityServerType": CANARY, CANARY: 1},
        whole | {"clientMemberCode": f"{CANARY}\n"},
    ]


async def test_no_canary_is_anywhere(nats, collector, tmp_path):
    """No canary reaches the disk, the bus, a log, the metrics or any answer over gRPC, but what may be shown does.
    Canaries come through SOAP, NDJSON, an array, CSV, gzip and the generic source, in good records, bad records and
    faults.
    """
    await put_in_force(nats, make_register(tmp_path / "register"))
    logs = tmp_path / "logs"
    logs.mkdir()
    generic = {"time": time.time() - 200, "consumer": "tax-office", "provider": "customs", "ok": True, "duration_ms": 5}
    generic |= {"service": "tax-clearance", "data_item": "imports"}  # of the link clearance-customs
    lines = [record(1), *bad(1), generic | {"note": CANARY, "messageUserId": CANARY}, generic | {"ok": CANARY}]
    text = "\n".join([*map(json.dumps, lines), f'{{"messageUserId": "{CANARY}"', CANARY]) + "\n"
    (logs / "a.log").write_text(text)
    (logs / "b.log").write_bytes(gzip.compress(json.dumps(record(2)).encode()))
    (logs / "c.log").write_text(json.dumps([record(3), *bad(3)]))
    (logs / "d.log").write_text(table([record(4), record(5) | {"succeeded": CANARY}]) + f'"{CANARY}\n{CANARY},1\n')
    (logs / "e.log").write_text(f"<a>{CANARY}</a>")
    (logs / "f.log").write_bytes(gzip.compress(CANARY.encode() * 100)[:-5])
    book = Logbook([record(number) for number in range(10, 20)] + bad(20))
    ills = {
        1: answer(500, fault("Server.ServerProxy.AccessDenied", CANARY)),
        2: answer(500, fault(f"{CANARY} of a person", CANARY)),
        3: answer(500, b"{}", {"X-Road-Error": f"{CANARY} of a person"}),
        4: f"HTTP/1.1 {CANARY}\r\n\r\n".encode(),
        5: answer(200, f"<a>{CANARY}".encode()),
    }
    book.ill = ills.get
    async with nats.connect("scorer") as bus, serving(book) as server:
        sources = tmp_path / "sources.yaml"
        sources.write_text(f"""\
sources:
  - {{id: ss1, kind: xroad, server: IR/GOV/1/ss1, client: IR/GOV/1, every: 10ms, url: "{server.url()}"}}
  - {{id: logs, kind: files, path: "logs/*.log", every: 50ms}}
""")
        with collector("--sources", sources) as process:

            async def all_there():
                return sum(s.count for s in await in_force(bus)) == 15

            await eventually(all_there, "every good record")
            await eventually(lambda: process.sample("peyvand_exchange_rejected_total") == 18, "every reject")
            await eventually(lambda: len(process.lines("source_failed")) >= 7, "every failure")
            metrics = await eventually(lambda: process.page("/metrics")[1], "the metrics")
            process.popen.send_signal(signal.SIGTERM)
            assert process.popen.wait(DEADLINE) == 0
    scorer = Scorer(nats, tmp_path / "scorer")
    with api(nats, tmp_path / "api.log") as address:
        scorer.start()
        try:
            answers = await _answers(address)
        finally:
            scorer.kill()
    assert [name for name, answer in answers if CANARY.encode() in answer] == []
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.parent != logs}
    assert [path for path, content in written.items() if CANARY.encode() in content] == []
    assert CANARY not in metrics
    # The search does find what exists: in the state, in the store of the bus and in the log.
    seen = {path.relative_to(tmp_path).parts[0] for path, content in written.items() if b"visible-service" in content}
    assert {"state", "nats"} <= seen
    assert b"Server.ServerProxy.AccessDenied" in process.log.read_bytes()


async def _answers(address):
    """Return every answer of an api with all 15 exchanges; 14 of them are of parties without an entry in the register."""
    asked: dict[str, Any] = {
        "link": "clearance-customs",
        "service": "tax-clearance",
        "agency": "tax-office",
        "window": 7,
    }

    def counts(answers):
        told = dict(reversed(answers))
        traffic, links = GetTrafficResponse(), ListLinksResponse()
        try:
            traffic.ParseFromString(told["GetTraffic"])
            links.ParseFromString(told["ListLinks"])
        except DecodeError:  # a refusal, in words
            return None
        return traffic.traffic.exchanges, sum(one.reconciliation.exchanges for one in links.links)

    async def complete():
        answers = await every_answer(address, **asked)
        return answers if counts(answers) == (15, 1) else None

    return await eventually(complete, "an api that tells of every exchange")

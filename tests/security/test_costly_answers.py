"""No target delays another, or turns its own failure into UNKNOWN, by an answer that takes long to read."""

from __future__ import annotations

import asyncio
import gzip
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
import structlog
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionResponse

from services.core.model.outcome import Reason
from services.core.model.probe import DnsQuery, Expect, Probe, XmlExpectation
from services.prober.assignments import Assignment
from services.prober.attempt import ProbeRunner
from services.prober.checks import WorkerPool, worker_pool, worker_process
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.cases.hostile_targets import AtOnce, probed_at_once
from tests.support.servers.flooding_server import flooding
from tests.support.servers.frames import grpc_answer
from tests.support.servers.grpc_server import SERVICE, descriptor_set
from tests.support.servers.http_server import LOOPBACK, assignment, says, serving
from tests.support.waiting import DEADLINE, eventually

GZIP = Probe("", "http", timeout=0.9, headers={"Accept-Encoding": "gzip"})
SOAP = Probe("", "soap", timeout=0.9, body="<a/>")
CALL = Probe("", "grpc", timeout=0.9, call=f"{SERVICE}/ListLinks")
NAME = Probe("", "dns", timeout=0.9, query=DnsQuery("www.tax.example", transport="tcp"))
REFLECTED = replace(CALL, call="p.Service/Call")


@dataclass(frozen=True)
class Costly:
    """What makes the answer of a server to probes by this definition, and the expected measurement."""

    definition: Probe
    answer: Callable[[], bytes | Callable[[bytes], bytes]]
    reason: Reason
    word: str


def _packed(body: bytes, codings: str = "gzip") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {codings}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _reflected(*files: bytes) -> bytes:
    answer = ServerReflectionResponse()
    answer.file_descriptor_response.file_descriptor_proto.extend(files)
    return grpc_answer(answer.SerializeToString())


def _long_names() -> bytes:
    """Return a file of 130 KB whose 5,000 types have names of 100 KB each."""
    file = FileDescriptorProto(name="p.proto", package="p" * 100_000, syntax="proto3")
    for number in range(5000):
        file.message_type.add(name=f"m{number}")
    return file.SerializeToString()


def _aliases(query: bytes, *, times: int = 1, other: bytes = b"") -> bytes:
    """Return messages of 64 KB whose 4,000 records have names of 126 labels, with the query's or an ``other`` question."""
    question = other or query[14:]
    first = b"\x01a" * 126 + b"\0" + struct.pack(">HHIH", 5, 1, 60, 3) + b"\x01b\0"
    pointer = struct.pack(">H", 0xC000 | (12 + len(question)))
    records = first + 4000 * (pointer + struct.pack(">HHIH", 5, 1, 60, 2) + pointer)
    message = query[2:4] + b"\x84\0" + struct.pack(">HHHH", 1, 4001, 0, 0) + question + records
    return times * (struct.pack(">H", len(message)) + message)


def _other_aliases(query: bytes) -> bytes:
    return _aliases(query, times=15, other=b"\x02ns\x03tax\x07example\0\0\1\0\1")


def _attributes() -> bytes:
    """Return a document that declares 33,000 attributes of one element."""
    declared = b"".join(b"<!ATTLIST r a%d CDATA 'x'>" % number for number in range(33_000))
    return b"<!DOCTYPE r [" + declared + b"]><r/>"


COSTLY = {
    "gzip-members": Costly(GZIP, lambda: _packed(gzip.compress(b"") * 100_000), Reason.ENCODING, "gzip members"),
    "gzip-codings": Costly(
        GZIP,
        lambda: _packed(gzip.compress(gzip.compress(gzip.compress(b""))), "gzip" + ", gzip" * 9999),
        Reason.ENCODING,
        "codings",
    ),
    "gzip-of-much": Costly(
        replace(GZIP, body_limit=1 << 26), lambda: _packed(gzip.compress(bytes(60 << 20))), Reason.OK, ""
    ),
    "grpc-messages": Costly(CALL, lambda: grpc_answer(*[b""] * 200_000), Reason.PROTOCOL_ERROR, "messages"),
    "grpc-messages-in-one": Costly(
        CALL, lambda: grpc_answer(b"\x0a\x00" * 500_000), Reason.CHECK_ERROR, "judging the answer"
    ),
    "reflected-messages": Costly(REFLECTED, lambda: grpc_answer(*[b""] * 200_000), Reason.PROTOCOL_ERROR, "messages"),
    "reflected-files": Costly(REFLECTED, lambda: _reflected(*[b""] * 300_000), Reason.PROBER_ERROR, "reflection"),
    "reflected-names": Costly(REFLECTED, lambda: _reflected(_long_names()), Reason.PROBER_ERROR, "reflection"),
    "xml-attributes": Costly(SOAP, lambda: _packed(_attributes(), "identity"), Reason.XML, "declaration"),
    "dns-names": Costly(NAME, lambda: _aliases, Reason.CHECK_ERROR, "judging the answer"),
    "dns-names-of-others": Costly(NAME, lambda: _other_aliases, Reason.BODY_TIMEOUT, "deadline"),
}


@pytest.fixture(scope="module")
def _little_processor_time() -> Iterator[None]:
    """Set a limit of processor time that even a busy machine gives a worker before the probe, or the worker, ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_pool, "far_above_usual", lambda _: 0.05)
        patch.setattr(worker_process, "_ALARM_SECONDS", DEADLINE)
        yield


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, _little_processor_time: None) -> AtOnce:
    """The results of probing all servers at once."""
    folder = tmp_path_factory.mktemp("costly")
    descriptors = descriptor_set(folder / "api.binpb")
    targets: dict[str, tuple[Probe, str]] = {}
    with ExitStack() as servers:
        for name, costly in COSTLY.items():
            definition = replace(costly.definition, descriptors=descriptors if costly.definition is CALL else "")
            port = servers.enter_context(flooding(costly.answer()))
            scheme = "http" if definition.kind == "soap" else definition.kind
            targets[name] = definition, f"{scheme}://127.0.0.1:{port}"
        return probed_at_once(targets)


@pytest.mark.parametrize("name", COSTLY)
def test_an_answer_that_takes_long_to_read(outcome: AtOnce, name: str) -> None:
    """It is read outside the loop, or fails by a bound; only what a server says of its interface may make it UNKNOWN."""
    judgement = outcome.results[name].judgement
    assert judgement.reason is COSTLY[name].reason, judgement.detail
    assert COSTLY[name].word in judgement.detail


def test_another_target_beside_costly_answers(outcome: AtOnce) -> None:
    """A healthy target is probed again and again meanwhile and always OK."""
    outcome.assert_healthy()


MANY = b"<r>%s</r>" % b"".join(b'<a b="%d"/>' % number for number in range(30_000))
ENDLESS = Expect(xml=(XmlExpectation("//a[not(@b = preceding::a/@b)]"),))
LARGE = b"<r>%s<last>1403</last></r>" % (b"<a>1</a>" * 10_000)


async def test_four_slow_answers_of_one_provider() -> None:
    """While a provider's answers would each take a judge for longer than their probes last, a large answer of another
    provider is judged.
    """
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    runner = ProbeRunner(environment, structlog.get_logger())

    def item(url: str, provider: str, expect: Expect) -> Assignment:
        return replace(assignment(url, Probe("slow", "http", timeout=60.0, expect=expect)), provider=provider)

    async with serving(says(body=MANY)) as hostile, serving(says(body=LARGE)) as honest:
        slow = [asyncio.create_task(runner.probe(item(hostile.url(), "hostile", ENDLESS))) for _ in range(4)]
        await hostile.reaches(4)
        await eventually(lambda: len(_waiting(environment.workers, "hostile")) == 3, "one answer is judged, three wait")
        last = Expect(xml=(XmlExpectation("//last", "1403"),))
        result = await runner.probe(item(honest.url(), "honest", last))
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    await environment.close()
    assert result.judgement.reason is Reason.OK


def _waiting(workers: WorkerPool, provider: str) -> Sequence[object]:
    """Return the calls that wait for the one worker that a provider may have."""
    turn = workers._turns.get(provider)
    return () if turn is None or turn._waiters is None else turn._waiters

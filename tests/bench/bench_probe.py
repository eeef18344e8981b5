"""CPU per probe of kind http, plain and over TLS, against a server in another process.

Run it by ``python -m tests.bench probe``.
What is counted is the user and system time of this process alone, over everything a probe costs it: connecting,
sending, parsing, verifying, judging, and writing down the measurement. The schedule and the bus are not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import multiprocessing
import multiprocessing.connection
import ssl
import tempfile
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

import structlog
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.core.codec import encode_measurements
from services.core.definition import Expect, JsonExpectation, Probe, Tls
from services.core.evidence import Target
from services.core.model import Egress
from services.core.outcome import Reason
from services.prober.assignment import Assignment
from services.prober.attempt import Attempts
from services.prober.egress import EgressRules
from services.prober.measure import Origin, measurement
from services.prober.network import Network
from services.prober.schedule import Entry

_BODY = b'{"national_id": "0000000000", "clear": true, "updated": "2026-01-01T00:00:00Z"}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        self._transport.write(_ANSWER)  # type: ignore[attr-defined]


def _serve(pem: str, ready: multiprocessing.connection.Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        plain = await loop.create_server(_Answering, "127.0.0.1", 0, backlog=4096)
        secure = await loop.create_server(_Answering, "127.0.0.1", 0, backlog=4096, ssl=context)
        ready.send([server.sockets[0].getsockname()[1] for server in (plain, secure)])
        await asyncio.Event().wait()

    uvloop.run(serve())


def _certificate(folder: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "bench.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    return path


async def _run(url: str, pem: Path, probes: int, at_once: int) -> tuple[float, float]:
    """Return microseconds of CPU per probe and probes per second."""
    network = Network(egress=EgressRules(Egress(("127.0.0.0/8",), allow_loopback=True)))
    attempts = Attempts(network, structlog.get_logger())
    expect = Expect(status=(200,), json=(JsonExpectation("$.clear", type="boolean"),))
    definition = Probe(
        "bench", "http", tls=Tls(ca=f"file:{pem}"), expect=expect, headers={"Accept": "application/json"}
    )
    origin = Origin("main", "bench", "r" * 64, "p" * 64)

    async def work(number: int, count: int) -> None:
        entry = Entry(Target(f"link-{number}"), definition.timeout)
        assignment = Assignment(entry, definition, "consumer", "provider", url, {}, 2.0, None)
        rows = []
        for _ in range(count):
            result = await attempts.probe(assignment, definition.timeout)
            assert result.judgement.reason is Reason.OK, result
            rows.append(measurement(entry.target, 0, result.observation, result.judgement, origin))
        encode_measurements(rows)

    async def all_of(count: int) -> None:
        await asyncio.gather(*(work(number, count // at_once) for number in range(at_once)))

    await all_of(at_once * 5)
    before, start = getrusage(RUSAGE_SELF), perf_counter()
    await all_of(probes)
    after, took = getrusage(RUSAGE_SELF), perf_counter() - start
    await network.close()
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu / probes * 1e6, probes / took


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m tests.bench probe", description=__doc__)
    parser.add_argument("--probes", type=int, default=5000)
    parser.add_argument("--at-once", type=int, default=50)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        pem = _certificate(Path(folder))
        ready, theirs = multiprocessing.Pipe()
        server = multiprocessing.Process(target=_serve, args=(str(pem), theirs), daemon=True)
        server.start()
        plain, secure = ready.recv()
        for kind, url, probes in (
            ("http", f"http://127.0.0.1:{plain}/", arguments.probes),
            ("tls", f"https://127.0.0.1:{secure}/", arguments.probes // 4),
        ):
            cpu, rate = uvloop.run(_run(url, pem, probes, arguments.at_once))
            print(f"{kind:<5} {cpu:7.1f} us CPU per probe   {rate:8.0f} probes/s")  # noqa: T201 - a person reads this
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()

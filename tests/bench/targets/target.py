"""The server that benchmarks probe, in its own process: one fixed answer, plain and over TLS, on several ports."""

from __future__ import annotations

import asyncio
import datetime as dt
import multiprocessing
import multiprocessing.connection
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

__all__ = ["BODY", "Ports", "Targets", "certificate", "serving"]

BODY = b'{"national_id": "0000000000", "clear": true, "updated": "2026-01-01T00:00:00Z"}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one prober's targets: plain HTTP and fresh TLS."""

    plain: int
    secure: int


@dataclass(frozen=True, slots=True)
class Targets:
    """A running server: ports for each prober that is compared, and the number of requests that each port answered."""

    ports: tuple[Ports, ...]
    authority: Path
    pid: int
    pipe: multiprocessing.connection.Connection

    def answered(self) -> dict[int, int]:
        """Return the number of requests answered so far, by port."""
        self.pipe.send("answered")
        counts: dict[int, int] = self.pipe.recv()
        return counts


class _Answering(asyncio.Protocol):
    def __init__(self, counts: list[int], number: int) -> None:
        self._counts = counts
        self._number = number

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        self._counts[self._number] += 1
        self._transport.write(_ANSWER)  # type: ignore[attr-defined]


def _serve(pem: str, pairs: int, pipe: multiprocessing.connection.Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        counts = [0] * (2 * pairs)
        servers = [
            await loop.create_server(
                lambda number=number: _Answering(counts, number),
                "127.0.0.1",
                0,
                backlog=4096,
                ssl=context if number % 2 else None,
            )
            for number in range(2 * pairs)
        ]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        ended = asyncio.Event()

        def asked() -> None:
            try:
                pipe.recv()
            except EOFError:
                loop.remove_reader(pipe.fileno())
                ended.set()
            else:
                pipe.send(dict(zip(ports, counts, strict=True)))

        loop.add_reader(pipe.fileno(), asked)
        pipe.send(ports)
        await ended.wait()

    uvloop.run(serve())


@contextmanager
def serving(folder: Path, pairs: int = 1) -> Iterator[Targets]:
    """Run the server, with so many pairs of ports."""
    pem = certificate(folder)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(str(pem), pairs, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        ports = ours.recv()
        assert process.pid is not None
        yield Targets(tuple(Ports(*ports[at : at + 2]) for at in range(0, 2 * pairs, 2)), pem, process.pid, ours)
    finally:
        ours.close()
        process.terminate()
        process.join()


def certificate(folder: Path) -> Path:
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

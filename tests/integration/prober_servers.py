"""Real servers on loopback for the prober's tests: plain, TLS with an authority of our own, DNS, and misbehaving ones."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from time import monotonic

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.core.definition import Expect, Probe
from services.core.evidence import Target
from services.core.model import Egress
from services.prober.assignment import Assignment
from services.prober.attempt import Attempts, Result
from services.prober.egress import EgressRules
from services.prober.network import Network
from services.prober.resolve import Resolver
from services.prober.schedule import Entry

LOOPBACK = Egress(allow=("127.0.0.0/8", "::1/128"), allow_loopback=True)

Handler = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass
class Request:
    """One request as it arrived."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        """The first value of a header, None when it did not come."""
        return next((value for given, value in self.headers if given.lower() == name), None)


@dataclass
class Server:
    """A server that is up: its port, the requests it got and the connections it took."""

    port: int
    secure: bool
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    taken: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def reaches(self, connections: int) -> None:
        """Wait until it has taken so many connections."""
        async with asyncio.timeout(10), self.taken:
            await self.taken.wait_for(lambda: self.connections >= connections)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{path}"


def answer(
    status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, *, length: bool = True
) -> bytes:
    """An HTTP answer as bytes."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> Handler:
    """A handler that always gives one answer."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, body, headers))

    return handle


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in head[1:] if line]
    request = Request(head[0], headers, b"")  # type: ignore[arg-type]
    if (request.header("transfer-encoding") or "").lower() == "chunked":
        request.body = await _read_chunks(reader)
    else:
        request.body = await reader.readexactly(int(request.header("content-length") or 0))
    return request


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


@asynccontextmanager
async def serving(
    handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Server]:
    """A server that reads one request a connection and hands it to ``handler``."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        async with server.taken:
            server.connections += 1
            server.taken.notify_all()
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            request = await _read(reader)
            server.requests.append(request)
            await handler(request, writer)
            await writer.drain()
        writer.transport.abort() if tls is None and writer.transport.is_closing() else writer.close()
        tasks.discard(task)

    listener = await asyncio.start_server(connected, host, port, ssl=tls)
    server = Server(listener.sockets[0].getsockname()[1], tls is not None)
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def forever(_: Request, __: asyncio.StreamWriter) -> None:
    """A handler that never answers."""
    await asyncio.Event().wait()


@contextmanager
def silent() -> Iterator[int]:
    """A port where connections are taken by the kernel and nobody ever says anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


@contextmanager
def unaccepting() -> Iterator[int]:
    """A port whose queue is full, so that connecting never ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(8)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                with suppress(BlockingIOError):
                    filler.connect(("127.0.0.1", port))
            yield port
        finally:
            for filler in fillers:
                filler.close()


@dataclass
class Authority:
    """A certificate authority of our own."""

    certificate: x509.Certificate
    key: Key
    folder: Path

    @classmethod
    def make(cls, folder: Path, name: str = "Test Authority") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_certificate(name, key, None, ca=True, days=(-10, 3650)), key, folder)

    @property
    def reference(self) -> str:
        """``file:PATH`` of the authority's certificate."""
        path = self.folder / f"ca-{self.certificate.serial_number}.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return f"file:{path}"

    def below(
        self,
        name: str,
        days: tuple[float, float] = (-1, 365),
        *,
        key: Key | None = None,
        purposes: tuple[x509.ObjectIdentifier, ...] = (),
    ) -> Authority:
        """An intermediate authority, by a key of its own unless given one, limited to ``purposes`` if there are any."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        return Authority(_certificate(name, key, self, ca=True, days=days, purposes=purposes), key, self.folder)

    def server(
        self,
        *names: str,
        days: tuple[float, float] = (-1, 30),
        chain: tuple[Authority, ...] = (),
        self_signed: bool = False,
    ) -> Path:
        """The file of a server's key and its certificate for ``names``, valid between two days from now, and ``chain``."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate("server", key, None if self_signed else self, names=names, days=days)
        path = self.folder / f"{leaf.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + b"".join(c.public_bytes(Encoding.PEM) for c in (leaf, *(link.certificate for link in chain)))
        )
        return path

    def again(self, days: tuple[float, float], issuer: Authority | None = None) -> Authority:
        """The same authority, name and key, in another certificate of its own or of an issuer's."""
        name = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return Authority(_certificate(str(name), self.key, issuer, ca=True, days=days), self.key, self.folder)

    def context(
        self,
        *names: str,
        days: tuple[float, float] = (-1, 30),
        chain: tuple[Authority, ...] = (),
        self_signed: bool = False,
    ) -> ssl.SSLContext:
        """A server's TLS with a certificate for ``names``, valid between two days from now, with ``chain`` presented."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server(*names, days=days, chain=chain, self_signed=self_signed))
        return context

    def client(
        self, days: tuple[float, float] = (-1, 30), chain: tuple[Authority, ...] = (), name: str = "client"
    ) -> tuple[Path, Path]:
        """The files of a client's certificate and key, valid between two days from now, with ``chain`` presented."""
        key = ec.generate_private_key(ec.SECP256R1())
        own = _certificate(name, key, self, days=days)
        paths = self.folder / f"{name}-{own.serial_number}.pem", self.folder / f"{name}-{own.serial_number}.key"
        paths[0].write_bytes(
            b"".join(c.public_bytes(Encoding.PEM) for c in (own, *(link.certificate for link in chain)))
        )
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths


def _certificate(
    name: str,
    key: Key,
    issuer: Authority | None,
    *,
    ca: bool = False,
    names: tuple[str, ...] = (),
    days: tuple[float, float],
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if names:
        alternatives = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


class NameServer(asyncio.DatagramProtocol):
    """A name server that answers from a table of addresses (IPv4 and IPv6) and aliases, or never; NXDOMAIN for the rest.

    Counts questions by name and type. With ``changing`` a name has its first address the first time it is asked for, its
    second the next time, and its last one from then on.
    """

    def __init__(
        self, names: dict[str, list[str]], *, mute: bool = False, ttl: int = 60, changing: bool = False
    ) -> None:
        self.names = names
        self.mute = mute
        self.ttl = ttl
        self.changing = changing
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        asked = question.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        self.asked.append(f"{name}/{int(asked.rdtype)}")
        if self.mute:
            return
        reply = dns.message.make_response(question, recursion_available=True)
        if name not in self.names:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self._answer(reply, name, asked.rdtype)
        self.transport.sendto(reply.to_wire(), addr)  # type: ignore[attr-defined]

    def _answer(self, reply: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        entries = self.names.get(name, [])
        if self.changing:
            entries = entries[min(self.asked.count(f"{name}/{int(kind)}"), len(entries)) - 1 :][:1]
        for entry in entries:
            try:
                its_kind = "AAAA" if ip_address(entry).version == 6 else "A"
            except ValueError:
                reply.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "CNAME", f"{entry}."))
                self._answer(reply, entry, kind)
            else:
                if its_kind == kind.name:
                    reply.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", its_kind, entry))


@asynccontextmanager
async def name_server(
    names: dict[str, list[str]],
    *,
    mute: bool = False,
    ttl: int = 60,
    changing: bool = False,
    clock: Callable[[], float] = monotonic,
) -> AsyncIterator[tuple[NameServer, Resolver]]:
    """A name server and a resolver that asks it."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(names, mute=mute, ttl=ttl, changing=changing), ("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    resolver = Resolver([f"127.0.0.1:{port}"], clock)
    try:
        yield server, resolver
    finally:
        await resolver.close()
        transport.close()


def assignment(
    url: str,
    definition: Probe,
    *,
    name: str = "link",
    params: dict[str, object] | None = None,
    latency: float = 2.0,
    max_age: float | None = None,
) -> Assignment:
    """An assignment of one link, of consumer `a` to provider `b`."""
    return Assignment(
        Entry(Target(name), definition.timeout), definition, "a", "b", url, params or {}, latency, max_age
    )


async def ask(
    url: str,
    expect: Expect | None = None,
    *,
    kind: str = "http",
    network: Network | None = None,
    egress: Egress = LOOPBACK,
    params: dict[str, object] | None = None,
    latency: float = 2.0,
    max_age: float | None = None,
    **definition: object,
) -> Result:
    """Probe one target once by a definition of this kind."""
    made = Probe("test", kind, expect=expect or Expect(), **{"timeout": 5.0, **definition})  # type: ignore[arg-type]
    way_out = network or Network(egress=EgressRules(egress))
    try:
        attempts = Attempts(way_out, structlog.get_logger())
        item = assignment(url, made, params=params, latency=latency, max_age=max_age)
        return await attempts.probe(item, made.timeout)
    finally:
        if network is None:
            await way_out.close()

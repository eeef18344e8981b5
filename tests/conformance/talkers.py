"""Servers of conformance cases that do not speak HTTP: mail, PostgreSQL, names, gRPC health. Not a test itself."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from threading import Thread

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import grpc
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tests.conformance.case import Place, Stage
from tests.conformance.servers import Context, Scene
from tests.support.servers.authority import Authority, _certificate

__all__ = ["Peer", "Talk", "grpc_server", "imap", "names", "postgres", "smtp", "talker"]

Talk = Callable[["Peer"], None]

_PATIENCE = 10.0


class Peer:
    """The server's end of a connection, with blocking calls; it can switch to TLS in the middle."""

    def __init__(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        connection.settimeout(_PATIENCE)
        self._connection = connection
        self._tls = tls

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes. EOFError if the client closes before."""
        data = b""
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def line(self) -> bytes:
        """Return one line, read byte by byte so that it consumes nothing of a handshake that follows."""
        line = b""
        while not line.endswith(b"\n"):
            line += self.read(1)
        return line

    def say(self, data: bytes) -> None:
        self._connection.sendall(data)

    def secure(self) -> None:
        """Switch to TLS."""
        assert self._tls is not None
        self._connection = self._tls.wrap_socket(self._connection, server_side=True)

    def leave(self) -> None:
        """Wait until the client closes the connection."""
        while self._connection.recv(1024):
            pass

    def close(self) -> None:
        self._connection.close()


class _Talks(socketserver.ThreadingTCPServer):
    def __init__(self, talk: Talk, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self._talk = talk
        self._tls = tls

    def finish_request(self, request: object, _address: object) -> None:
        assert isinstance(request, socket.socket)
        peer = Peer(request, self._tls)
        with suppress(OSError, EOFError):
            self._talk(peer)
        peer.close()

    def end(self) -> None:
        self.shutdown()
        self.server_close()


def talker(talk: Talk, tls: Context | None = None, *, scheme: str = "tls") -> Scene:
    """A server that runs ``talk`` with each connection."""

    @asynccontextmanager
    async def scene(place: Place) -> AsyncIterator[Stage]:
        server = _Talks(talk, tls and tls(place))
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        port = server.server_address[1]
        try:
            yield Stage(f"{scheme}://127.0.0.1:{port}", f"127.0.0.1:{port}")
        finally:
            # In a thread, because the clients on this loop have to close their connections first.
            await asyncio.to_thread(server.end)
            await asyncio.to_thread(thread.join)

    return scene


def smtp(*, offers: bool = True, agrees: bool = True) -> Talk:
    """A mail server that offers STARTTLS or not, and agrees to it or hangs up."""

    def talk(peer: Peer) -> None:
        peer.say(b"220 mail.example ESMTP\r\n")
        while True:
            command = peer.line().strip().upper()
            if command.startswith(b"EHLO"):
                peer.say(b"250-mail.example\r\n" + (b"250-STARTTLS\r\n" if offers else b"") + b"250 8BITMIME\r\n")
            elif command == b"STARTTLS" and agrees:
                peer.say(b"220 go ahead\r\n")
                peer.secure()
            else:
                peer.say(b"221 bye\r\n" if command == b"QUIT" else b"454 not now\r\n")
                return

    return talk


def imap(peer: Peer) -> None:
    """A mailbox server that offers STARTTLS."""
    peer.say(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n")
    while True:
        tag, command = peer.line().split()
        peer.say(tag + b" OK done\r\n")
        if command.upper() == b"STARTTLS":
            peer.secure()


def postgres(peer: Peer) -> None:
    """A PostgreSQL server that knows no more than SSLRequest."""
    if peer.read(8) == bytes.fromhex("0000000804d2162f"):
        peer.say(b"S")
        peer.secure()
        peer.leave()


class _Names(asyncio.DatagramProtocol):
    def __init__(self, reply: Callable[[bytes], bytes]) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._reply(data), addr)  # type: ignore[attr-defined]


def names(
    rcode: str = "NOERROR",
    answers: tuple[str, ...] = (),
    authority: tuple[str, ...] = (),
    additional: tuple[str, ...] = (),
    *,
    iterative: bool = False,
    tls: Context | None = None,
) -> Scene:
    """A name server with one answer, over UDP and TCP, or UDP and TLS if a context is given. ``iterative`` refuses
    recursion.
    """

    def reply(question: bytes) -> bytes:
        asked = dns.message.from_wire(question)
        told = dns.message.make_response(asked)
        if iterative and asked.flags & dns.flags.RD:
            told.set_rcode(dns.rcode.REFUSED)
            return told.to_wire()
        told.set_rcode(dns.rcode.from_text(rcode))
        told.answer = [_records(text) for text in answers]
        told.authority = [_records(text) for text in authority]
        told.additional = [_records(text) for text in additional]
        return told.to_wire()

    def over_tcp(peer: Peer) -> None:
        if tls is not None:
            peer.secure()
        told = reply(peer.read(int.from_bytes(peer.read(2), "big")))
        peer.say(len(told).to_bytes(2, "big") + told)
        peer.leave()

    @asynccontextmanager
    async def scene(place: Place) -> AsyncIterator[Stage]:
        async with talker(over_tcp, tls, scheme="dns")(place) as stage:
            port = int(stage.target.rpartition(":")[2])
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Names(reply), ("127.0.0.1", port)
            )
            try:
                yield stage
            finally:
                transport.close()

    return scene


def _records(text: str) -> dns.rrset.RRset:
    name, ttl, kind, kind_of_data, data = text.split(" ", 4)
    return dns.rrset.from_text(name, int(ttl), kind, kind_of_data, data)


def grpc_server(known: Mapping[str, str] | None, *, secure: bool = False, scheme: str = "") -> Scene:
    """A gRPC server whose health check reports these services with their status; None: it has no health check.

    ``scheme`` of its target, if that does not follow from ``secure``.
    """

    @asynccontextmanager
    async def scene(place: Place) -> AsyncIterator[Stage]:
        server = grpc.aio.server()
        if known is not None:
            servicer = health.aio.HealthServicer()
            for service, status in known.items():
                await servicer.set(service, HealthCheckResponse.ServingStatus.Value(status))
            health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        credentials = grpc.ssl_server_credentials([_pair(place.authority)])
        port = server.add_secure_port("127.0.0.1:0", credentials) if secure else server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield Stage(f"{scheme or ('grpcs' if secure else 'grpc')}://127.0.0.1:{port}", f"127.0.0.1:{port}")
        finally:
            await server.stop(None)

    return scene


def _pair(authority: Authority) -> tuple[bytes, bytes]:
    """A key and a certificate of the authority for the loopback address, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("server", key, authority, names=("127.0.0.1",), days=(-1, 30))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret, certificate.public_bytes(Encoding.PEM)

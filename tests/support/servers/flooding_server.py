"""A server on loopback that sends much, or without end, from its own threads, so the prober's loop is not slowed."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["flooding"]

_SENT_AT_ONCE = 64 * 1024

Opening = bytes | Callable[[bytes], bytes]


class _Flood(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Read the request, send the opening, then the flood, if there is one, until the client leaves."""
        tls = self.server.tls
        with (
            suppress(OSError),
            self.request if tls is None else tls.wrap_socket(self.request, server_side=True) as client,
        ):
            request = client.recv(_SENT_AT_ONCE)
            opening = self.server.opening
            client.sendall(opening if isinstance(opening, bytes) else opening(request))
            while self.server.flood:
                client.sendall(self.server.flood)
            while client.recv(_SENT_AT_ONCE):
                pass


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, opening: Opening, flood: bytes, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Flood)
        self.opening, self.flood, self.tls = opening, flood, tls


@contextmanager
def flooding(opening: Opening, flood: bytes = b"", *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server that sends ``opening``, or what it returns for the request, and then ``flood`` again and again. Yields its port.

    Many floods are sent at once, except over TLS, where each is sent in its own record.
    """
    sent = flood if tls else flood * max(1, _SENT_AT_ONCE // max(1, len(flood)))
    with _Server(opening, sent, tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()

"""Load on blackbox_exporter by probe requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.bench.loads.probe_requests import ask


@contextmanager
def exporter(*chunks: bytes) -> Iterator[int]:
    """Answer every request with these chunks; yield the port."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in (*chunks, b""):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def test_a_probe_succeeds_however_its_answer_is_cut() -> None:
    """The line that reports success may be split over two chunks."""
    with exporter(b"# HELP\nprobe_succ", b"ess 1\nprobe_tls 0\n") as port:
        found = ask(port, "bench", ["http://127.0.0.1/"], rate=20, seconds=0.5, timeout=60)
    assert 0 < found.due == len(found.latencies)


def test_a_failed_probe_does_not_count() -> None:
    """An answer that reports a failed probe is not a success."""
    with exporter(b"probe_duration_seconds 1\nprobe_success 0\n") as port:
        found = ask(port, "bench", ["http://127.0.0.1/"], rate=20, seconds=0.5, timeout=1)
    assert found.due > 0
    assert found.share == 0

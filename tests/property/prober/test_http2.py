"""Any bytes from an HTTP/2 server end as an answer or as its failure, never as ours."""

from __future__ import annotations

import asyncio

from h2.config import H2Configuration
from h2.connection import H2Connection
from hypothesis import given
from hypothesis import strategies as st

from services.prober.http import Http2Connection, Http2Request, WireRequest
from tests.support.servers.deaf_transport import fed

_REQUEST = Http2Request(((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"tax"), (b":path", b"/")))


def _answer(headers: list[tuple[str, str]], body: bytes, *, trailers: bool) -> bytes:
    """Return a server's bytes for one request, from its SETTINGS on."""
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(fed(_connection)[1])
    server.send_headers(1, [(":status", "103"), ("link", "x")])
    server.send_headers(1, [(":status", "200"), *headers])
    server.send_data(1, body, end_stream=not trailers)
    if trailers:
        server.send_headers(1, [("grpc-status", "0")], end_stream=True)
    server.ping(b"12345678")
    return server.data_to_send()


def _connection(done: asyncio.Future[None]) -> Http2Connection:
    return Http2Connection(done, WireRequest(lambda: _REQUEST, "tax", 80, None, 10_000, head=False))


_SAID = st.builds(
    _answer,
    st.lists(st.tuples(st.sampled_from(["x-a", "content-length", "content-type"]), st.sampled_from(["1", "12", "a"]))),
    st.binary(max_size=12_000),
    trailers=st.booleans(),
)


@st.composite
def _mangled(draw: st.DrawFn) -> list[bytes]:
    """Draw an answer with some bytes changed, cut into pieces."""
    said = bytearray(draw(_SAID))
    for _ in range(draw(st.integers(0, 6))):
        said[draw(st.integers(0, min(len(said), 200) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(1, 400))
    return [bytes(said[at : at + cut]) for at in range(0, len(said), cut)]


@given(_mangled(), st.booleans())
def test_no_bytes_of_a_server_are_our_crash(pieces: list[bytes], closes: bool) -> None:
    """Mangled frames, in any pieces, leave an answer, a failure with its reason, or a connection that still waits."""
    connection, _ = fed(_connection, pieces, closes=closes)
    assert connection.ended or not closes
    assert not (connection.done.done() and connection.done.exception())
    if connection.ended and connection.failure is None:
        assert connection.status >= 200
    assert sum(map(len, connection.body)) <= 10_000


@given(_SAID, st.integers(1, 50))
def test_an_answer_is_the_same_in_any_pieces(said: bytes, cut: int) -> None:
    """The pieces in which an answer arrives do not change it."""
    whole, _ = fed(_connection, [said])
    cut_up, _ = fed(_connection, [said[at : at + cut] for at in range(0, len(said), cut)])
    for connection in (whole, cut_up):
        assert connection.ended
    assert (whole.status, whole.headers, whole.trailers) == (cut_up.status, cut_up.headers, cut_up.trailers)
    assert whole.failure == cut_up.failure
    if whole.failure is None:
        assert b"".join(whole.body) == b"".join(cut_up.body)

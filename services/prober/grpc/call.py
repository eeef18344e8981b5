"""Makes one gRPC call over one fresh HTTP/2 connection: sends the whole request at once, then reads the whole answer.

Source: gRPC over HTTP2 (grpc/doc/PROTOCOL-HTTP2.md) and HTTP to gRPC Status Code Mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from time import monotonic
from typing import Final

from google.rpc.code_pb2 import Code

from services.core.model import Tls
from services.prober.http import USER_AGENT, Http2Connection, Http2Request, WireRequest, send_request
from services.prober.observation import Cause, Failure, Phase
from services.prober.secrets import UnusableError
from services.prober.transport import Outbound, ProbeFailedError, ProbeTrace
from services.register.reading import unfit_for_grpc

_MARGIN_SECONDS: Final = 0.1
_CODES: Final[Mapping[int, str]] = {number: name for name, number in Code.items()}
# The codes for an HTTP status, where the answer itself does not state how the call ended.
_HTTP_CODES: Final = {
    400: "INTERNAL",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    429: "UNAVAILABLE",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}
_PREFIX_LENGTH: Final = 5
# A unary call is answered by one message, reflection by one for each file.
_MAX_MESSAGES: Final = 1000

Metadata = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class GrpcServer:
    """A server, and the metadata of each call to it, with names in lower case. ``tls`` is None over plain TCP."""

    host: str
    port: int
    tls: Tls | None
    authority: bytes
    metadata: Metadata = field(repr=False, default=())


@dataclass(frozen=True, slots=True)
class CallResult:
    """How a call ended: the name of its status code, and the messages of the answer, which are none unless it is OK."""

    code: str
    messages: tuple[bytes, ...] = field(repr=False, default=())


def call_metadata(headers: Mapping[str, str], credential: tuple[str, str]) -> tuple[bytes, Metadata]:
    """Return the authority, and the headers and the credential as metadata.

    The authority is empty unless a header Host gives it. Values of names that end in ``-bin`` are in base64, as they
    are sent. Several values of one name have commas between them and are sent one by one, because servers decode each
    by itself. Raises UnusableError.
    """
    given = {name.lower(): value for name, value in (*headers.items(), credential) if value}
    metadata = {"user-agent": USER_AGENT, **given}
    for name, value in metadata.items():
        if unfit := unfit_for_grpc(name, value):
            raise UnusableError(f"the header {name} {unfit}")
    authority = metadata.pop("host", "")
    return authority.encode(), tuple(
        (name.encode(), part.strip().encode())
        for name, value in metadata.items()
        for part in (value.split(",") if name.endswith("-bin") else (value,))
    )


async def call_unary(
    server: GrpcServer, path: str, messages: Iterable[bytes], *, limit: int, outbound: Outbound, trace: ProbeTrace
) -> CallResult:
    """Call a method and wait for the end of the call. The answer's messages may take ``limit`` bytes together.

    Raises ProbeFailedError when the answer is not complete, or not gRPC.
    """
    body = b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)

    def make_request() -> Http2Request:
        return Http2Request(_headers(server, path, trace.deadline - monotonic()), body)

    request = WireRequest(make_request, server.host, server.port, server.tls, limit + _PREFIX_LENGTH, head=False)
    connection = await send_request(request, outbound, trace)
    assert isinstance(connection, Http2Connection)
    code = _code(connection)
    return CallResult(code, tuple(_messages(b"".join(connection.body))) if code == "OK" else ())


def _headers(server: GrpcServer, path: str, left: float) -> Metadata:
    """Return the headers of a call that has ``left`` seconds.

    The timeout for the server is longer, so that our own deadline comes first. Otherwise chance would decide which of
    the two ends a call, and with it the reason.
    """
    return (
        (b":method", b"POST"),
        (b":scheme", b"http" if server.tls is None else b"https"),
        (b":authority", server.authority),
        (b":path", path.encode()),
        (b"te", b"trailers"),
        (b"grpc-timeout", b"%dm" % ceil((max(0.0, left) + _MARGIN_SECONDS) * 1000)),
        (b"content-type", b"application/grpc"),
        (b"grpc-accept-encoding", b"identity"),
        *server.metadata,
    )


def _code(connection: Http2Connection) -> str:
    """Return the name of the call's status code, from the trailers or, without body and trailers, from the headers."""
    last = connection.trailers or ([] if connection.body else connection.headers)
    status = next((value for name, value in last if name == b"grpc-status"), None)
    if status is not None:
        if not status.isdigit():
            raise _broken("the answer's grpc-status is not a number")
        return _CODES.get(int(status), "UNKNOWN") if len(status) <= 2 else "UNKNOWN"
    if connection.status != 200:
        return _HTTP_CODES.get(connection.status, "UNKNOWN")
    if not any(name == b"content-type" and value.startswith(b"application/grpc") for name, value in connection.headers):
        raise _broken("the answer is HTTP/2, but not gRPC")
    raise _broken("the answer ends without grpc-status")


def _messages(body: bytes) -> Iterator[bytes]:
    end = number = 0
    while end < len(body):
        if number == _MAX_MESSAGES:
            raise _broken(f"the answer holds more than {_MAX_MESSAGES} messages")
        number += 1
        start = end + _PREFIX_LENGTH
        compressed, length = body[end], int.from_bytes(body[end + 1 : start], "big")
        end = start + length
        if start > len(body) or end > len(body):
            raise _broken("the answer ends within a message")
        if compressed:
            detail = "the answer is compressed, which was not requested"
            raise ProbeFailedError(Failure(Phase.TRANSFER, Cause.ENCODING, detail))
        yield body[start:end]


def _broken(detail: str) -> ProbeFailedError:
    return ProbeFailedError(Failure(Phase.TRANSFER, Cause.PROTOCOL, detail))

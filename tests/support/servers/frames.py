"""The frames that HTTP/2 servers send, as bytes."""

from __future__ import annotations

from hpack import Encoder

__all__ = ["SETTINGS", "frame", "grpc_answer"]

_LARGEST = 16_384


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


SETTINGS = frame(4, 0, 0)


def grpc_answer(*messages: bytes) -> bytes:
    """Return a whole OK answer to any gRPC call. It must fit into the client's initial window."""
    body = b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)
    encoder = Encoder()
    headers = encoder.encode([(":status", "200"), ("content-type", "application/grpc")])
    trailers = encoder.encode([("grpc-status", "0")])
    data = [frame(0, 0, 1, body[at : at + _LARGEST]) for at in range(0, len(body), _LARGEST)]
    return b"".join([SETTINGS, frame(1, 4, 1, headers), *data, frame(1, 5, 1, trailers)])

"""Reads headers and X-Road identifiers of requests. Pure.

Headers are HTTP headers (RFC 9110, 5.1 and 5.5) and gRPC metadata (PROTOCOL-HTTP2.md). Values of HTTP headers are
sent as UTF-8, as data buses and most clients do. X-Road identifiers, INSTANCE/CLASS/CODE/… (docs/exchange.md), are kept
as written, since they must equal those in the logs.
"""

from __future__ import annotations

import re
from typing import Final

from services.core.model import placeholders
from services.core.texts import fold

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Characters that end a line or that XML excludes. All unprintable ones would be too many: Persian words use some.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
# Headers of one connection, and headers that delimit messages (RFC 9110, 7.6.1, and RFC 9112, 6). Values set by hand
# would make servers read a request other than the one that is sent.
_FRAMING: Final = frozenset(
    {
        *("content-length", "transfer-encoding", "trailer", "te"),
        *("connection", "proxy-connection", "keep-alive", "upgrade"),
    }
)
_METADATA: Final = re.compile(r"[0-9a-z_.-]+")
# Set by gRPC itself, or absent from HTTP/2.
_RESERVED: Final = _FRAMING | {"content-type"}


def is_header_name(text: str) -> bool:
    """Return whether a text can be the name of a header."""
    return bool(_NAME.fullmatch(text))


def read_header_name(text: str) -> str:
    """Read the name of a header that a request may be given."""
    if not is_header_name(text):
        raise ValueError(f"`{text}` is not a header name")
    if text.lower() in _FRAMING:
        raise ValueError(f"`{text}` cannot be set: it belongs to the connection, not to the request")
    return text


def holds_control(text: str) -> bool:
    """Return whether a text holds a line break or another control character except tab. No header may hold one."""
    return bool(_CONTROL.search(text))


def unfit_for_grpc(name: str, value: str) -> str:
    """Return why a header cannot be sent with a gRPC call; empty when it can. The reason does not show the value."""
    name = name.lower()
    if not _METADATA.fullmatch(name) or name.startswith("grpc-") or name in _RESERVED:
        return "cannot go with a gRPC call"
    if not all(" " <= character <= "~" for character in value):
        return "holds what gRPC cannot send: only printable ASCII can go"
    return ""


def read_header(text: str) -> str:
    """Read the value of a header, which may hold placeholders."""
    placeholders(text)
    if holds_control(text):
        raise ValueError("holds a control character")
    return text.strip()


def read_party(text: str) -> str:
    """Read the identifier of a member or subsystem."""
    if not _has_parts(text, 3, 4):
        raise ValueError(f"`{text}` is not INSTANCE/CLASS/CODE or INSTANCE/CLASS/CODE/SUBSYSTEM")
    return text


def read_client(text: str) -> str:
    """Read the member or subsystem that a probe calls as; ``${name}`` may be one part or stand within one."""
    return read_party(read_header(text))


def read_service(text: str) -> str:
    """Read the service that a probe calls; ``${name}`` may be one part or stand within one."""
    text = read_header(text)
    if not _has_parts(text, 4, 5, 6):
        form = "INSTANCE/CLASS/CODE/SUBSYSTEM/service"
        raise ValueError(f"`{text}` is not {form}, with /version after it or without SUBSYSTEM")
    return text


def _has_parts(text: str, *numbers: int) -> bool:
    parts = text.split("/")
    return len(parts) in numbers and all(fold(part) for part in parts)

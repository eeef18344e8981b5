"""What requests carry: headers and X-Road identifiers. Pure.

Headers are those of HTTP (RFC 9110, 5.1 and 5.5), whose values are sent as UTF-8, as data buses and most clients do, and gRPC
metadata (PROTOCOL-HTTP2.md). X-Road identifiers, INSTANCE/CLASS/CODE/… (docs/exchange.md), are kept as written, since they must
equal those in the logs.
"""

from __future__ import annotations

import re
from typing import Final

from services.core.model import placeholders
from services.register.reading.values import fold

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Some harmless characters of Persian words are not printable. Refused are those that end a line or that XML excludes.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
# What is for one connection and what delimits messages (RFC 9110, 7.6.1, and RFC 9112, 6). A value by hand makes servers read
# another request than the one that is sent.
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
    """Whether a text can be the name of a header."""
    return bool(_NAME.fullmatch(text))


def read_header_name(text: str) -> str:
    """Read the name of a header that a request may be given."""
    if not is_header_name(text):
        raise ValueError(f"`{text}` is not a header name")
    if text.lower() in _FRAMING:
        raise ValueError(f"`{text}` cannot be set: it belongs to the connection, not to the request")
    return text


def holds_control(text: str) -> bool:
    """Whether a text holds a line break or another control character except tab, which no header may."""
    return bool(_CONTROL.search(text))


def unfit_for_grpc(name: str, value: str) -> str:
    """Return why a header cannot be sent with a gRPC call, without its value; empty when it can."""
    name = name.lower()
    if not _METADATA.fullmatch(name) or name.startswith("grpc-") or name in _RESERVED:
        return "cannot go with a gRPC call"
    if not all(" " <= character <= "~" for character in value):
        return "holds what gRPC cannot send: only printable ASCII can go"
    return ""


def read_party(text: str) -> str:
    """Read the identifier of a member or subsystem."""
    if not _has_parts(text, 3, 4):
        raise ValueError(f"`{text}` is not INSTANCE/CLASS/CODE or INSTANCE/CLASS/CODE/SUBSYSTEM")
    return text


def read_client(text: str) -> str:
    """Read the member or subsystem that a probe calls as; a ``${name}`` stands for one part or within one."""
    _check(text)
    return read_party(text.strip())


def read_service(text: str) -> str:
    """Read the service that a probe calls; a ``${name}`` stands for one part or within one."""
    _check(text)
    if not _has_parts(text, 4, 5, 6):
        form = "INSTANCE/CLASS/CODE/SUBSYSTEM/service"
        raise ValueError(f"`{text}` is not {form}, with /version after it or without SUBSYSTEM")
    return text.strip()


def _check(text: str) -> None:
    placeholders(text)
    if holds_control(text):
        raise ValueError("holds a control character")


def _has_parts(text: str, *numbers: int) -> bool:
    parts = text.split("/")
    return len(parts) in numbers and all(fold(part) for part in parts)

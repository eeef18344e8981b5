"""What headers may hold: those of HTTP (RFC 9110, 5.1 and 5.5), and gRPC metadata (PROTOCOL-HTTP2.md). Pure.

Values of HTTP headers are sent as UTF-8, as data buses and most clients do.
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Some harmless characters of Persian words are not printable. Refused are those that end a line or that XML excludes.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_METADATA: Final = re.compile(r"[0-9a-z_.-]+")
# Set by gRPC itself, or absent from HTTP/2.
_RESERVED: Final = frozenset(
    {"te", "content-type", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)


def is_header_name(text: str) -> bool:
    """Whether a text can be the name of a header."""
    return bool(_NAME.fullmatch(text))


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

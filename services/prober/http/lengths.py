"""An answer that says its one length several times, which the parser refuses (RFC 9110, 8.6). Pure."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ends", "said_once"]

_END: Final = re.compile(rb"\n\r?\n")
_LENGTHS: Final = re.compile(rb"\ncontent-length[ \t]*:([0-9, \t]*)\r?(?=\n)", re.IGNORECASE)


def ends(heard: bytes) -> bool:
    """Whether the first head in these bytes of an HTTP/1.1 connection is there to its end."""
    return _END.search(heard) is not None


def said_once(heard: bytes) -> bytes | None:
    """Return the bytes with the length in their first head said once; None where it is not said several times alike."""
    end = _END.search(heard)
    if end is None:
        return None
    head, rest = heard[: end.start() + 1], heard[end.start() + 1 :]
    said = [length.strip() for line in _LENGTHS.findall(head) for length in line.split(b",")]
    if len(said) < 2 or len(set(said)) > 1 or not said[0].isdigit():
        return None
    status, _, others = _LENGTHS.sub(b"", head).partition(b"\n")
    return b"%b\nContent-Length: %b\r\n%b%b" % (status, said[0], others, rest)

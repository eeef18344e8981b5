"""Defines how smtp, imap and postgres switch to TLS, each as a dialogue apart from any connection. Pure.

Sources: RFC 3207 and RFC 5321 §4.2 (smtp), RFC 9051 §6.2.1 (imap), PostgreSQL's protocol, "SSL Session Encryption".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from struct import pack
from typing import Final

from services.prober.observation import Cause

Dialogue = Generator[bytes, bytes, None]
"""Yields the bytes to send, possibly none, and receives one answer each time. It returns where TLS starts.

Raises StartTlsError.
"""

_Reply = Generator[bytes, bytes, tuple[str, list[bytes]]]


class StartTlsError(Exception):
    """The server refuses or does not offer TLS (STARTTLS_REFUSED), or does not speak the protocol (PROTOCOL)."""

    def __init__(self, message: str, cause: Cause = Cause.STARTTLS_REFUSED) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class StartTlsProtocol:
    """How one protocol switches to TLS. Its answers are lines, or else single bytes."""

    dialogue: Callable[[], Dialogue]
    lines: bool = True


_SMTP_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
# A reserved name (RFC 2606), because a prober has no name of its own.
_SMTP_HELLO: Final = b"EHLO prober.invalid\r\n"


def _smtp() -> Dialogue:
    code, _ = yield from _smtp_reply(b"")
    _check_code("the greeting", code, "220")
    code, texts = yield from _smtp_reply(_SMTP_HELLO)
    _check_code("EHLO", code, "250")
    if not any(text.upper().split()[:1] == [b"STARTTLS"] for text in texts):
        raise StartTlsError("the server does not offer STARTTLS")
    code, _ = yield from _smtp_reply(b"STARTTLS\r\n")
    _check_code("STARTTLS", code, "220")


def _smtp_reply(command: bytes) -> _Reply:
    """Return code and texts of the reply to a command; a reply may have several lines."""
    texts: list[bytes] = []
    while True:
        match = _SMTP_LINE.fullmatch((yield command))
        if match is None:
            raise StartTlsError("the server does not speak SMTP", Cause.PROTOCOL)
        command = b""
        texts.append(match[3] or b"")
        if match[2] != b"-":
            return match[1].decode(), texts


def _check_code(command: str, code: str, expected: str) -> None:
    if code != expected:
        raise StartTlsError(f"the server's code for {command} is {code}, not {expected}")


_IMAP_TAG: Final = b"a001"


def _imap() -> Dialogue:
    tag, condition = _imap_words((yield b""))
    if tag != b"*" or condition not in {b"OK", b"BYE", b"PREAUTH"}:
        raise StartTlsError("the server does not speak IMAP", Cause.PROTOCOL)
    if condition != b"OK":
        raise StartTlsError(f"the server greeted with {condition.decode()}, after which TLS cannot start")
    tag, condition = _imap_words((yield _IMAP_TAG + b" STARTTLS\r\n"))
    while tag == b"*" and condition != b"BYE":
        tag, condition = _imap_words((yield b""))
    if (tag, condition) in {(b"*", b"BYE"), (_IMAP_TAG, b"NO"), (_IMAP_TAG, b"BAD")}:
        raise StartTlsError(f"the server answered STARTTLS with {condition.decode()}")
    if (tag, condition) != (_IMAP_TAG, b"OK"):
        raise StartTlsError("the server does not speak IMAP", Cause.PROTOCOL)


def _imap_words(line: bytes) -> tuple[bytes, bytes]:
    """Return tag and condition of an answer."""
    words = [*line.split(b" ", 2), b"", b""]
    return words[0], words[1].upper()


_SSL_REQUEST: Final = pack("!II", 8, 80877103)


def _postgres() -> Dialogue:
    answer = yield _SSL_REQUEST
    if answer == b"N":
        raise StartTlsError("the server does not offer TLS")
    if answer == b"E":
        raise StartTlsError("the server answered the request for TLS with an error")
    if answer != b"S":
        raise StartTlsError("the server does not speak PostgreSQL's protocol", Cause.PROTOCOL)


STARTTLS_PROTOCOLS: Mapping[str, StartTlsProtocol] = {
    "smtp": StartTlsProtocol(_smtp),
    "imap": StartTlsProtocol(_imap),
    "postgres": StartTlsProtocol(_postgres, lines=False),
}
"""Every protocol that can switch to TLS, by its name in probe definitions."""

"""How smtp, imap and postgres go over to TLS, each as a talk apart from any connection. Pure.

Sources: RFC 3207 and RFC 5321 §4.2 (smtp), RFC 9051 §6.2.1 (imap), PostgreSQL's protocol, "SSL Session Encryption".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from struct import pack
from typing import Final

__all__ = ["STARTTLS_PROTOCOLS", "Dialogue", "StartTlsProtocol", "StartTlsRefusedError", "StartTlsSyntaxError"]

Dialogue = Generator[bytes, bytes, None]
"""Yields what to say, perhaps nothing, and is sent one answer each time. It returns where TLS begins.

Raises StartTlsRefusedError and StartTlsSyntaxError.
"""

_Reply = Generator[bytes, bytes, tuple[str, list[bytes]]]


class StartTlsRefusedError(Exception):
    """The server does not go over to TLS: it will not, or it does not offer to."""


class StartTlsSyntaxError(Exception):
    """What the server said is not its protocol."""


@dataclass(frozen=True, slots=True)
class StartTlsProtocol:
    """How one protocol goes over to TLS; its answers are lines, or else single bytes."""

    talk: Callable[[], Dialogue]
    lines: bool = True


_SMTP_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
# A name that is nobody's (RFC 2606): we have none of our own to give.
_SMTP_HELLO: Final = b"EHLO prober.invalid\r\n"


def _smtp() -> Dialogue:
    code, _ = yield from _smtp_reply(b"")
    _agreed("the greeting", code, "220")
    code, texts = yield from _smtp_reply(_SMTP_HELLO)
    _agreed("EHLO", code, "250")
    if not any(text.upper().split()[:1] == [b"STARTTLS"] for text in texts):
        raise StartTlsRefusedError("the server does not offer STARTTLS")
    code, _ = yield from _smtp_reply(b"STARTTLS\r\n")
    _agreed("STARTTLS", code, "220")


def _smtp_reply(said: bytes) -> _Reply:
    """Return code and texts of a reply, which may be of several lines."""
    texts: list[bytes] = []
    while True:
        match = _SMTP_LINE.fullmatch((yield said))
        if match is None:
            raise StartTlsSyntaxError("the server does not speak SMTP")
        said = b""
        texts.append(match[3] or b"")
        if match[2] != b"-":
            return match[1].decode(), texts


def _agreed(what: str, code: str, expected: str) -> None:
    if code != expected:
        raise StartTlsRefusedError(f"the server's code for {what} is {code}, not {expected}")


_IMAP_TAG: Final = b"a001"


def _imap() -> Dialogue:
    tag, word = _imap_words((yield b""))
    if tag != b"*" or word not in {b"OK", b"BYE", b"PREAUTH"}:
        raise StartTlsSyntaxError("the server does not speak IMAP")
    if word != b"OK":
        raise StartTlsRefusedError(f"the server greeted with {word.decode()}, after which it does not go over to TLS")
    tag, word = _imap_words((yield _IMAP_TAG + b" STARTTLS\r\n"))
    while tag == b"*" and word != b"BYE":
        tag, word = _imap_words((yield b""))
    if (tag, word) in {(b"*", b"BYE"), (_IMAP_TAG, b"NO"), (_IMAP_TAG, b"BAD")}:
        raise StartTlsRefusedError(f"the server answered STARTTLS with {word.decode()}")
    if (tag, word) != (_IMAP_TAG, b"OK"):
        raise StartTlsSyntaxError("the server does not speak IMAP")


def _imap_words(line: bytes) -> tuple[bytes, bytes]:
    """Return tag and condition of an answer."""
    words = [*line.split(b" ", 2), b"", b""]
    return words[0], words[1].upper()


_SSL_REQUEST: Final = pack("!II", 8, 80877103)


def _postgres() -> Dialogue:
    answer = yield _SSL_REQUEST
    if answer == b"N":
        raise StartTlsRefusedError("the server does not offer TLS")
    if answer == b"E":
        raise StartTlsRefusedError("the server answered the request for TLS with an error")
    if answer != b"S":
        raise StartTlsSyntaxError("the server does not speak PostgreSQL's protocol")


STARTTLS_PROTOCOLS: Mapping[str, StartTlsProtocol] = {
    "smtp": StartTlsProtocol(_smtp),
    "imap": StartTlsProtocol(_imap),
    "postgres": StartTlsProtocol(_postgres, lines=False),
}
"""Every protocol that can go over to TLS, by its name in probe definitions."""

"""The TLS side of one connection, in memory, so that connecting and shaking hands are timed apart."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from services.prober.observation import Cause, Failure

__all__ = ["Handshake", "presented_chain", "refused_certificate"]

_DER: Final = 2
# Alerts a server sends only about our certificate (RFC 8446, 6.2), in OpenSSL's words.
_REFUSED: Final = frozenset(
    {
        "BAD_CERTIFICATE",
        "UNSUPPORTED_CERTIFICATE",
        "CERTIFICATE_REVOKED",
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_UNKNOWN",
        "CERTIFICATE_REQUIRED",
        "UNKNOWN_CA",
        "ACCESS_DENIED",
    }
)


def presented_chain(tls: ssl.SSLObject) -> list[bytes]:
    """Return the certificates the server presented, DER, leaf first, whether or not they verify."""
    if hasattr(tls, "get_unverified_chain"):  # Python 3.13
        return cast("list[bytes]", tls.get_unverified_chain())
    chain = cast("Any", tls)._sslobj.get_unverified_chain()  # noqa: SLF001 - not public before 3.13
    return [certificate.public_bytes(_DER) for certificate in chain or ()]


def refused_certificate(error: ssl.SSLError) -> tuple[Cause, str] | None:
    """Return the cause, and its detail, when the server says that it does not take our certificate, or that it wants one.

    Before TLS 1.3 it says so within the handshake, since then after it. An expired one is our own fault.
    """
    alert = (error.reason or "").partition("ALERT_")[2]
    if alert not in _REFUSED:
        return None
    said = alert.lower().replace("_", " ")
    cause = Cause.CREDENTIAL if alert == "CERTIFICATE_EXPIRED" else Cause.CERTIFICATE_REFUSED
    return cause, f"the server does not take our client certificate: {said}"


class Handshake:
    """The TLS side of one connection. ``accept`` judges the presented chain before anything is sent."""

    __slots__ = ("accept", "incoming", "outgoing", "tls")

    def __init__(self, context: ssl.SSLContext, name: str, accept: Callable[[list[bytes]], Failure | None]) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.accept = accept

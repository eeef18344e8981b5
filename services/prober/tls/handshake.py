"""Handles the TLS side of one connection in memory, so that connecting and the handshake are timed separately."""

from __future__ import annotations

import ssl
from time import time
from typing import Any, Final, cast

from services.prober.observation import Cause, CertificateFacts, Failure, Phase
from services.prober.tls.contexts import OfferedContext
from services.prober.tls.verification import ChainVerifier

_DER: Final = 2
# Alerts that a server sends only about our certificate (RFC 8446, 6.2), in OpenSSL's words. One says that it is absent.
_REQUIRED: Final = "CERTIFICATE_REQUIRED"
_REFUSED: Final = frozenset(
    {
        "BAD_CERTIFICATE",
        "UNSUPPORTED_CERTIFICATE",
        "CERTIFICATE_REVOKED",
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_UNKNOWN",
        _REQUIRED,
        "UNKNOWN_CA",
        "ACCESS_DENIED",
    }
)
# OpenSSL's text when the server shares no protocol with us; not every Python has a reason code for it.
_NO_PROTOCOL: Final = "no application protocol"
# OpenSSL's reasons when an answer is not TLS at all.
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"})


class Handshake:
    """The TLS side of one connection to the server called ``name``.

    ``certificate`` holds the facts of the presented chain once ``verify`` has seen it, whether it is trusted or not.
    ``own_expiry`` is when our client certificate expires (epoch seconds), None if there is none.
    """

    __slots__ = ("_name", "_verifier", "certificate", "incoming", "outgoing", "own_expiry", "tls")

    def __init__(self, offered: OfferedContext, name: str, verifier: ChainVerifier) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = offered.context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.own_expiry = offered.own_expiry
        self.certificate: CertificateFacts | None = None
        self._name = name
        self._verifier = verifier

    def verify(self) -> Failure | None:
        """Verify the presented chain before anything is sent. Return None when it is trusted."""
        result = self._verifier.verify(presented_chain(self.tls), self._name, time())
        self.certificate = result.facts
        return result.cause and Failure(Phase.TLS, result.cause, result.detail)


def presented_chain(tls: ssl.SSLObject) -> list[bytes]:
    """Return the certificates the server presented, DER, leaf first, whether or not they verify."""
    if hasattr(tls, "get_unverified_chain"):  # Python 3.13
        return cast("list[bytes]", tls.get_unverified_chain())
    chain = cast("Any", tls)._sslobj.get_unverified_chain()  # noqa: SLF001 - not public before 3.13
    return [certificate.public_bytes(_DER) for certificate in chain or ()]


def refused_certificate(error: ssl.SSLError, own_expiry: float | None) -> tuple[Cause, str] | None:
    """Return cause and detail when the server refuses our certificate or requires one; None for any other error.

    Before TLS 1.3, a server refuses a certificate within the handshake; since then, after it. An expired certificate is
    our own fault, but only our own clock decides that it has expired. If we have no certificate, none can be refused.
    """
    alert = (error.reason or "").partition("ALERT_")[2]
    if alert not in _REFUSED or (own_expiry is None and alert != _REQUIRED):
        return None
    expired = alert == "CERTIFICATE_EXPIRED" and own_expiry is not None and time() > own_expiry
    cause = Cause.CREDENTIAL if expired else Cause.CERTIFICATE_REFUSED
    return cause, f"the server does not accept our client certificate: {alert.lower().replace('_', ' ')}"


def handshake_failure(error: ssl.SSLError, handshake: Handshake) -> tuple[Cause, str]:
    """Return cause and detail of a handshake that failed."""
    refused = refused_certificate(error, handshake.own_expiry)
    if refused is not None:
        # Our trust in the server comes first. Its certificates are known either way.
        distrust = handshake.verify() if presented_chain(handshake.tls) else None
        return (distrust.cause, distrust.detail) if distrust else refused
    if error.reason in _NOT_TLS:
        return Cause.TLS_NOT_SPOKEN, "the server answered the TLS handshake with something other than TLS"
    if _NO_PROTOCOL in str(error):
        return Cause.PROTOCOL, "the server does not agree to the protocol that was requested"
    return Cause.FAILED, f"the TLS handshake failed: {_reason(error)}"


def read_failure(error: ssl.SSLError, handshake: Handshake) -> tuple[Cause, str]:
    """Return cause and detail of a connection that failed after its handshake."""
    refused = refused_certificate(error, handshake.own_expiry)
    return refused or (Cause.PROTOCOL, f"the TLS connection failed: {_reason(error)}")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "unknown").lower().replace("_", " ")

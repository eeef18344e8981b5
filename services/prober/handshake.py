"""The TLS side of one connection, in memory, so that connecting and shaking hands are timed apart."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from services.prober.observation import Failure

__all__ = ["Handshake", "presented_chain"]

_DER: Final = 2


def presented_chain(tls: ssl.SSLObject) -> list[bytes]:
    """Return the certificates the server presented, DER, leaf first, whether or not they verify."""
    if hasattr(tls, "get_unverified_chain"):  # Python 3.13
        return cast("list[bytes]", tls.get_unverified_chain())
    chain = cast("Any", tls)._sslobj.get_unverified_chain()  # noqa: SLF001 - not public before 3.13
    return [certificate.public_bytes(_DER) for certificate in chain or ()]


class Handshake:
    """The TLS side of one connection. ``accept`` judges the presented chain before anything is sent."""

    __slots__ = ("accept", "incoming", "outgoing", "tls")

    def __init__(self, context: ssl.SSLContext, name: str, accept: Callable[[list[bytes]], Failure | None]) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.accept = accept

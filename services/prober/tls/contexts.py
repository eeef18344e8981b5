"""TLS contexts, with our own certificate towards servers that ask for one (mTLS)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time

from services.core.watched_files import WatchedFiles
from services.prober.secrets import MissingSecretError
from services.prober.tls.certificates import read_certificates

__all__ = ["TlsContexts"]

# A replaced certificate or key is noticed within this many seconds.
_RECHECKED = 10.0


@dataclass(frozen=True, slots=True)
class _Own:
    """A context that holds our certificate, and the dates it is good between (epoch seconds)."""

    context: ssl.SSLContext
    before: float
    after: float


class TlsContexts:
    """TLS contexts, one for each client certificate and choice of protocols: making one takes 4 ms.

    They shake hands with anyone: certificates of servers are judged afterwards (services.prober.tls.verification).
    ``clock`` is monotonic seconds, ``wall`` epoch seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, wall: Callable[[], float] = time) -> None:
        self._clock = clock
        self._wall = wall
        self._plain: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._own: dict[tuple[tuple[str, ...], str, str], WatchedFiles[_Own]] = {}

    def get(self, alpn: tuple[str, ...] = (), certificate: str = "", key: str = "") -> ssl.SSLContext:
        """Return the context that offers these protocols and, given as ``file:PATH``, this client certificate.

        Raises MissingSecretError when ours cannot be used: missing, unreadable, not of that key, or out of its dates.
        """
        if certificate:
            return self._with(alpn, certificate, key)
        context = self._plain.get(alpn)
        if context is None:
            context = self._plain[alpn] = _context(alpn)
        return context

    def _with(self, alpn: tuple[str, ...], certificate: str, key: str) -> ssl.SSLContext:
        wanted = (alpn, certificate, key)
        watched = self._own.get(wanted)
        if watched is None:
            paths = Path(certificate.removeprefix("file:")), Path(key.removeprefix("file:"))
            watched = self._own[wanted] = WatchedFiles(
                paths, lambda: _load(_context(alpn), *paths), interval=_RECHECKED, clock=self._clock
            )
        try:
            own = watched.get()
        except OSError as error:
            name = Path(str(error.filename)).name
            raise MissingSecretError(f"our file {name} for TLS is missing or cannot be read") from error
        self._check_dates(own, watched.paths[0].name)
        return own.context

    def _check_dates(self, own: _Own, name: str) -> None:
        moment = self._wall()
        if moment > own.after:
            raise MissingSecretError(f"our client certificate {name} expired on {_day(own.after)}")
        if moment < own.before:
            raise MissingSecretError(f"our client certificate {name} is valid from {_day(own.before)}")


def _context(alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> _Own:
    try:
        leaf = read_certificates(certificate.read_bytes())[0]
        # Without a passphrase of its own OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise MissingSecretError(
                f"{key.name} is not the key of our client certificate {certificate.name}"
            ) from error
        raise MissingSecretError(f"our client certificate {certificate.name} or its key cannot be used") from error
    except OSError as error:
        raise MissingSecretError(f"our client certificate {certificate.name} or its key cannot be read") from error
    except ValueError as error:
        raise MissingSecretError(f"our client certificate {certificate.name} is none: {error}") from error
    before, after = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    return _Own(context, before, after)


def _no_passphrase() -> str:
    return ""


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"

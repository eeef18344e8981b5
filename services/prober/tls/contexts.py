"""Makes TLS contexts and trust anchors, from files that are read again when they change."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import Final

import certifi

from services.core.watched_files import WatchedFiles
from services.prober.secrets import ANYTHING, RECHECK_SECONDS, MissingSecretError, References
from services.prober.tls.certificates import not_after, not_before, read_certificates
from services.prober.tls.verification import ChainVerifier

_Offer = tuple[tuple[str, ...], tuple[str, str]]
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# A system's bundle of authorities takes 220 KiB.
_PEM_LIMIT: Final = 2 << 20


@dataclass(frozen=True, slots=True)
class OfferedContext:
    """A context, and the first expiry of the certificates that it shows (epoch seconds), None if it shows none."""

    context: ssl.SSLContext
    own_expiry: float | None = None


@dataclass(frozen=True, slots=True)
class _ClientContext:
    """A context with a client certificate, and the dates between which the certificate is valid (epoch seconds)."""

    offered: OfferedContext
    not_before: float
    not_after: float


class TlsContexts:
    """TLS contexts, one for each client certificate and choice of protocols, because making one takes 4 ms.

    They accept any server: its certificates are verified afterwards (services.prober.tls.verification). ``clock`` is
    monotonic seconds, ``wall`` epoch seconds.
    """

    def __init__(
        self,
        references: References = ANYTHING,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._references = references
        self._clock = clock
        self._wall = wall
        self._plain: dict[_Offer, OfferedContext] = {}
        self._client: dict[tuple[_Offer, str, str], WatchedFiles[_ClientContext]] = {}

    def get(
        self, alpn: tuple[str, ...] = (), certificate: str = "", key: str = "", versions: tuple[str, str] = ("", "")
    ) -> OfferedContext:
        """Return the context that offers these protocols and this client certificate, given as ``file:PATH``.

        ``versions`` are the lowest and the highest version of TLS, 1.2 or 1.3, each empty for OpenSSL's own choice.
        Raises MissingSecretError when the certificate is missing, unreadable, not valid now, or of another key.
        """
        offer = alpn, versions
        if certificate:
            return self._client_context(offer, certificate, key)
        context = self._plain.get(offer)
        if context is None:
            context = self._plain[offer] = OfferedContext(_context(offer))
        return context

    def _client_context(self, offer: _Offer, certificate: str, key: str) -> OfferedContext:
        watched = self._client.get((offer, certificate, key))
        if watched is None:
            paths = Path(certificate.removeprefix("file:")), Path(key.removeprefix("file:"))
            watched = self._client[offer, certificate, key] = WatchedFiles(
                paths,
                lambda: _load(_context(offer), *paths, self._references),
                interval=RECHECK_SECONDS,
                clock=self._clock,
            )
        try:
            client = watched.get()
        except OSError as error:
            name = Path(str(error.filename)).name
            raise MissingSecretError(f"our file {name} for TLS cannot be read: {error.strerror}") from error
        now, name = self._wall(), watched.paths[0].name
        if now > client.not_after:
            raise MissingSecretError(f"our client certificate {name} expired on {_date(client.not_after)}")
        if now < client.not_before:
            raise MissingSecretError(f"our client certificate {name} is valid from {_date(client.not_before)}")
        return client.offered


def _context(offer: _Offer) -> ssl.SSLContext:
    alpn, (least, greatest) = offer
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if least:
        context.minimum_version = _VERSIONS[least]
    if greatest:
        context.maximum_version = _VERSIONS[greatest]
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path, references: References) -> _ClientContext:
    chain_pem, _ = (references.read(path, _PEM_LIMIT) for path in (certificate, key))
    try:
        chain = read_certificates(chain_pem)
        # Without a password OpenSSL would prompt for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            detail = f"{key.name} is not the key of our client certificate {certificate.name}"
            raise MissingSecretError(detail) from error
        raise MissingSecretError(f"our client certificate {certificate.name} or its key cannot be used") from error
    except OSError as error:
        raise MissingSecretError(f"our client certificate {certificate.name} or its key cannot be read") from error
    except ValueError as error:
        raise MissingSecretError(f"our client certificate {certificate.name} cannot be used: {error}") from error
    offered = OfferedContext(context, own_expiry=min(map(not_after, chain)))
    return _ClientContext(offered, not_before(chain[0]), not_after(chain[0]))


def _date(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"


class TrustStore:
    """The verifiers of all TLS profiles."""

    def __init__(self, references: References = ANYTHING) -> None:
        self._references = references
        self._files: dict[str, WatchedFiles[ChainVerifier]] = {}
        self._facts_only = ChainVerifier(())

    def get(self, ca: str, *, verify: bool) -> ChainVerifier:
        """Return a profile's verifier.

        ``ca`` is ``file:PATH``, empty for the system's authorities. Raises MissingSecretError.
        """
        if not verify:
            return self._facts_only
        watched = self._files.get(ca)
        if watched is None:
            system = Path(ssl.get_default_verify_paths().cafile or certifi.where())
            path, references = (Path(ca.removeprefix("file:")), self._references) if ca else (system, ANYTHING)
            watched = self._files[ca] = WatchedFiles(
                (path,),
                lambda: ChainVerifier(read_certificates(references.read(path, _PEM_LIMIT))),
                interval=RECHECK_SECONDS,
            )
        try:
            return watched.get()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise MissingSecretError(f"the authorities in {watched.paths[0].name} cannot be read: {why}") from error

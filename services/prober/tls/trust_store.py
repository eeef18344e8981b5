"""Trust anchors by TLS profile, read from files and read again when those change."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import certifi

from services.prober.secrets import MissingSecretError
from services.prober.tls.verification import ChainVerifier, read_certificates

__all__ = ["TrustStore"]

# A replaced CA file is noticed within this many seconds.
_RECHECKED = 10.0


class TrustStore:
    """The trust of each TLS profile, read once and again when its file changes."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, int, ChainVerifier]] = {}
        self._facts_only = ChainVerifier(())

    def get(self, ca: str, *, verify: bool) -> ChainVerifier:
        """Return what a profile believes: ``ca`` is ``file:PATH``, empty for the system's. Raises MissingSecretError."""
        if not verify:
            return self._facts_only
        known = self._known.get(ca)
        now = self._clock()
        if known is not None and known[0] > now:
            return known[2]
        path = Path(ca.removeprefix("file:") if ca else _system_bundle())
        try:
            changed = path.stat().st_mtime_ns
            trust = (
                known[2]
                if known is not None and known[1] == changed
                else ChainVerifier(read_certificates(path.read_bytes()))
            )
        except (OSError, ValueError) as error:
            raise MissingSecretError(f"the authorities in {path.name} cannot be read: {error}") from error
        self._known[ca] = (now + _RECHECKED, changed, trust)
        return trust


def _system_bundle() -> str:
    return ssl.get_default_verify_paths().cafile or certifi.where()

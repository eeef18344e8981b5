"""Trust anchors by TLS profile, read from files and read again when those change."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import certifi

from services.core.watched_files import WatchedFiles
from services.prober.secrets import MissingSecretError
from services.prober.tls.certificates import read_certificates
from services.prober.tls.verification import ChainVerifier

__all__ = ["TrustStore"]

# A replaced CA file is noticed within this many seconds.
_RECHECKED = 10.0


class TrustStore:
    """The trust of each TLS profile, read once and again when its file changes."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._files: dict[str, WatchedFiles[ChainVerifier]] = {}
        self._facts_only = ChainVerifier(())

    def get(self, ca: str, *, verify: bool) -> ChainVerifier:
        """Return what a profile believes: ``ca`` is ``file:PATH``, empty for the system's. Raises MissingSecretError."""
        if not verify:
            return self._facts_only
        watched = self._files.get(ca)
        if watched is None:
            path = Path(ca.removeprefix("file:") if ca else _system_bundle())
            watched = self._files[ca] = WatchedFiles(
                (path,),
                lambda: ChainVerifier(read_certificates(path.read_bytes())),
                interval=_RECHECKED,
                clock=self._clock,
            )
        try:
            return watched.get()
        except (OSError, ValueError) as error:
            name = watched.paths[0].name
            raise MissingSecretError(f"the authorities in {name} cannot be read: {error}") from error


def _system_bundle() -> str:
    return ssl.get_default_verify_paths().cafile or certifi.where()

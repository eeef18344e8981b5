"""Trust anchors by TLS profile, read from files and read again when those change."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import certifi

from services.core.watched_files import WatchedFiles
from services.prober.secrets import RECHECK_SECONDS, MissingSecretError
from services.prober.tls.certificates import read_certificates
from services.prober.tls.verification import ChainVerifier


class TrustStore:
    """The verifier of each TLS profile."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._files: dict[str, WatchedFiles[ChainVerifier]] = {}
        self._facts_only = ChainVerifier(())

    def get(self, ca: str, *, verify: bool) -> ChainVerifier:
        """Return a profile's verifier; ``ca`` is ``file:PATH``, empty for the system's. Raises MissingSecretError."""
        if not verify:
            return self._facts_only
        watched = self._files.get(ca)
        if watched is None:
            system = ssl.get_default_verify_paths().cafile or certifi.where()
            path = Path(ca.removeprefix("file:") if ca else system)
            watched = self._files[ca] = WatchedFiles(
                (path,),
                lambda: ChainVerifier(read_certificates(path.read_bytes())),
                interval=RECHECK_SECONDS,
                clock=self._clock,
            )
        try:
            return watched.get()
        except (OSError, ValueError) as error:
            name = watched.paths[0].name
            raise MissingSecretError(f"the authorities in {name} cannot be read: {error}") from error

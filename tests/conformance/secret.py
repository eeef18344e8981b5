"""The secret that conformance cases use, and how to find it in a text. Not a test itself."""

from __future__ import annotations

from base64 import b64encode

__all__ = ["SECRET", "VARIABLE", "leaks"]

SECRET = "s3cr3t-of-the-suite"
VARIABLE = "CONFORMANCE_SECRET"
"""An environment variable that holds SECRET while the suite runs, as does ``secret.txt`` beside the register."""

_FORMS = (SECRET, b64encode(f"me:{SECRET}".encode()).decode())


def leaks(text: str) -> bool:
    """Return whether a text contains the secret, as it is or as Basic authentication encodes it."""
    return any(form in text for form in _FORMS)

"""The one secret that cases know, and where it must not be seen. Not a test itself."""

from __future__ import annotations

from base64 import b64encode

__all__ = ["SECRET", "VARIABLE", "leaks"]

SECRET = "s3cr3t-of-the-suite"
VARIABLE = "CONFORMANCE_SECRET"
"""Holds SECRET while the suite runs; so does ``secret.txt`` beside the register."""

_FORMS = (SECRET, b64encode(f"me:{SECRET}".encode()).decode())


def leaks(text: str) -> bool:
    """Whether the secret can be read in a text, as it is or as Basic sends it."""
    return any(form in text for form in _FORMS)

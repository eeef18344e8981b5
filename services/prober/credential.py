"""The header by which a probe proves who it is (docs/probing.md §4)."""

from __future__ import annotations

from base64 import b64encode

from services.core.model import Auth
from services.prober.secrets import MissingSecretError, Secrets

__all__ = ["credential"]


def credential(auth: Auth, secrets: Secrets) -> tuple[str, str]:
    """Return the name and the value of the header; no name without auth.

    The value is empty with oauth2, whose token is asked for when it is needed. Raises MissingSecretError.
    """
    if auth.kind == "none":
        return "", ""
    if auth.kind == "api_key":
        return auth.header, _sendable(auth.key, secrets)
    if auth.kind == "basic":
        given = f"{auth.username}:{secrets.get(auth.password)}"
        return "Authorization", f"Basic {b64encode(given.encode()).decode()}"
    if auth.kind == "bearer":
        return "Authorization", f"Bearer {_sendable(auth.token, secrets)}"
    if auth.kind == "oauth2":
        return "Authorization", ""
    raise ValueError(f"auth kind {auth.kind} is unknown")


def _sendable(reference: str, secrets: Secrets) -> str:
    """Return a secret that stands in a header as it is, as all do that issuers give."""
    secret = secrets.get(reference)
    if not all(" " <= character <= "~" for character in secret):
        raise MissingSecretError(f"the credential {reference} cannot be sent: it holds more than printable ASCII")
    return secret

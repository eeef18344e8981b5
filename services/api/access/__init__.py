"""Who may call what: roles by certificate, rules by method, and TLS of the server."""

from services.api.access.clients import identifier_from_settings
from services.api.access.roles import PUBLIC_KINDS, UNRESTRICTED, Caller
from services.api.access.rules import AccessControl, current_caller, not_visible
from services.api.access.tls import credentials_from_settings

__all__ = [
    "PUBLIC_KINDS",
    "UNRESTRICTED",
    "AccessControl",
    "Caller",
    "credentials_from_settings",
    "current_caller",
    "identifier_from_settings",
    "not_visible",
]

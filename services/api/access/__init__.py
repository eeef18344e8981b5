"""Decides who may call what: roles by certificate, revoked certificates, rules by method, and TLS of the server."""

from services.api.access.callers import identifier_from_settings
from services.api.access.certificates import credentials_from_settings
from services.api.access.revocation import revocations_from_settings
from services.api.access.roles import (
    PUBLIC_KINDS,
    SUBJECTS,
    UNRESTRICTED,
    AccessControl,
    Caller,
    Role,
    current_caller,
    not_visible,
)

__all__ = [
    "PUBLIC_KINDS",
    "SUBJECTS",
    "UNRESTRICTED",
    "AccessControl",
    "Caller",
    "Role",
    "credentials_from_settings",
    "current_caller",
    "identifier_from_settings",
    "not_visible",
    "revocations_from_settings",
]

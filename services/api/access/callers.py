"""Identifies callers by the names in their certificates, with roles from clients.yaml, and refuses revoked ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_interface
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.oid import NameOID
from pydantic import (
    BaseModel,
    ConfigDict,
    IPvAnyAddress,
    PlainValidator,
    StringConstraints,
    ValidationError,
    model_validator,
)

from services.api.access.revocation import Revocations
from services.api.access.roles import PUBLIC, UNRESTRICTED, Caller, Role, parse_role
from services.api.errors import UnauthenticatedError
from services.core.errors import SettingsError
from services.core.settings import Settings, read_yaml

Name = tuple[str, str]
"""One name in a certificate: its type, as clients.yaml calls it, and the name."""

_ALTERNATIVES: Mapping[type, str] = {
    x509.DNSName: "dns",
    x509.UniformResourceIdentifier: "uri",
    x509.RFC822Name: "email",
    x509.IPAddress: "ip",
}
"""Types of subject alternative names that can have a role. Others, such as directory names, have none."""

_TYPES = (*_ALTERNATIVES.values(), "common_name")

_CALLERS_KEPT = 1024
"""How many callers are cached by certificate or address, since reading a certificate takes as long as answering a call."""

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Client(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    dns: _Text | None = None
    uri: _Text | None = None
    email: _Text | None = None
    ip: IPvAnyAddress | None = None
    common_name: _Text | None = None
    role: Role
    agency: str = ""
    most: Annotated[Caller, PlainValidator(parse_role)] = PUBLIC

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if len(self.names) != 1:
            raise ValueError(f"a client has one name, as one of {', '.join(_TYPES)}")
        if (self.role is Role.AGENCY) != bool(self.agency):
            raise ValueError("role agency, and no other, names an agency")
        if "most" in self.model_fields_set and self.role is not Role.CONSOLE:
            raise ValueError("role console, and no other, names the most that it makes calls for")
        return self

    @property
    def caller(self) -> Caller:
        return Caller(self.role, self.agency, self.most if self.role is Role.CONSOLE else None)

    @property
    def names(self) -> list[Name]:
        given = [(kind, getattr(self, kind)) for kind in _TYPES]
        return [_comparable(kind, str(name)) for kind, name in given if name is not None]


class _Clients(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: list[_Client]


def _comparable(kind: str, name: str) -> Name:
    return kind, name.lower() if kind == "dns" else name


def read_clients(path: Path) -> Mapping[Name, Caller]:
    """Return callers by the name in their certificate. Raises SettingsError that names every fault."""
    try:
        parsed = _Clients.model_validate(read_yaml(path, "--clients"))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsError(f"--clients {path} cannot be used: {faults}") from error
    counts = Counter(name for client in parsed.clients for name in client.names)
    repeated = sorted(f"{kind} {name}" for (kind, name), count in counts.items() if count > 1)
    if repeated:
        raise SettingsError(f"--clients {path} cannot be used: {', '.join(repeated)} is listed more than once")
    return {name: client.caller for client in parsed.clients for name in client.names}


def identifier_from_settings(settings: Settings, revocations: Revocations | None = None) -> Callable[[Any], Caller]:
    """Return a function from a call's context to its caller; without encryption every caller is unrestricted.

    The function raises RequestError for a certificate that was revoked. Raises SettingsError.
    """
    if settings.clients and not settings.client_ca:
        raise SettingsError("--clients needs --client-ca: without it callers show no certificate")
    if not settings.client_ca:
        caller = PUBLIC if settings.certificate else UNRESTRICTED
        by_peer = lru_cache(_CALLERS_KEPT)(lambda peer: replace(caller, peer=_host(peer)))
        return lambda context: by_peer(context.peer())
    return _identifier(read_clients(Path(settings.clients)) if settings.clients else {}, revocations)


def _identifier(clients: Mapping[Name, Caller], revocations: Revocations | None) -> Callable[[Any], Caller]:
    """Return a function that finds the caller by the first listed name of its certificate, else the public."""

    @lru_cache(_CALLERS_KEPT)
    def caller_of(pem: bytes) -> Caller:
        certificate = x509.load_pem_x509_certificate(pem)
        caller = next((clients[name] for name in _names(certificate) if name in clients), PUBLIC)
        return replace(caller, peer=f"{certificate.issuer.rfc4514_string()} {certificate.serial_number}")

    def identify(context: Any) -> Caller:
        (pem,) = context.auth_context()["x509_pem_cert"]
        if revocations is not None and revocations.revoked(pem):
            raise UnauthenticatedError(
                "CERTIFICATE_REVOKED", "the certificate was revoked by its authority: get a new one from it"
            )
        return caller_of(pem)

    return identify


def _names(certificate: x509.Certificate) -> tuple[Name, ...]:
    """Return the alternative names of a certificate, or the common names of one that has no alternative names at all.

    An extension that cannot be read gives no names, and so no role.
    """
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(("common_name", str(name.value)) for name in common)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
    return tuple(
        _comparable(_ALTERNATIVES[type(name)], str(name.value)) for name in alternatives if type(name) in _ALTERNATIVES
    )


def _host(peer: str) -> str:
    """Return the address in gRPC's ``ipv4:ADDRESS:PORT``; for IPv6 its /64 network, since one host has all of it."""
    family, _, address = unquote(peer).rpartition(":")[0].partition(":")
    if family != "ipv6":
        return address
    return str(ip_interface(f"{address.strip('[]').partition('%')[0]}/64").network)

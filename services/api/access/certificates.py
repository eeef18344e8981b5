"""The certificates of the api and of its callers: TLS of the server, and roles by certificate (clients.yaml).

Files of TLS are read again when they change, so that a renewed certificate needs no restart.
"""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import grpc
import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from services.api.access.roles import PUBLIC, UNRESTRICTED, Caller, Role
from services.core.errors import SettingsError
from services.core.settings import Settings
from services.core.watched_files import WatchedFiles


def credentials_from_settings(
    settings: Settings, failed: Callable[[SettingsError], None]
) -> grpc.ServerCredentials | None:
    """Return the credentials of a server, None where nothing is to be encrypted. Raises SettingsError.

    ``failed`` is called when changed files are unusable; the ones before then stay in use.
    """
    if bool(settings.certificate) != bool(settings.key):
        raise SettingsError("the api's certificate needs its key: give both --certificate and --key")
    if not settings.certificate:
        if settings.client_ca or settings.clients:
            raise SettingsError("--client-ca and --clients need --certificate and --key: roles come by certificate")
        return None
    files = [Path(name) for name in (settings.certificate, settings.key, settings.client_ca) if name]
    watched = WatchedFiles(files, lambda: _read(*files))

    def read() -> grpc.ServerCertificateConfiguration:
        try:
            return watched.get()
        except OSError as error:
            raise SettingsError(f"the api's certificates cannot be read: {error}") from error

    current = read()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal current
        try:
            before, current = current, read()
        except SettingsError as error:
            failed(error)
            return None
        return None if current is before else current

    return grpc.dynamic_ssl_server_credentials(
        current,
        changed,  # type: ignore[arg-type]  # None for no change is missing in its types
        require_client_authentication=bool(settings.client_ca),
    )


def _read(certificate: Path, key: Path, client_ca: Path | None = None) -> grpc.ServerCertificateConfiguration:
    # gRPC takes any text for a certificate and fails at the first handshake; Python's reader reports what is wrong.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--certificate {certificate} with --key {key} cannot be used: {error}") from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as error:
            raise SettingsError(f"--client-ca {client_ca} cannot be used: {error}") from error
    authority = None if client_ca is None else client_ca.read_bytes()
    return grpc.ssl_server_certificate_configuration([(key.read_bytes(), certificate.read_bytes())], authority)


_NAME_PROPERTIES = ("x509_subject_alternative_name", "x509_common_name")


class _Client(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
    role: Role
    agency: str = ""

    @model_validator(mode="after")
    def _agency_fits(self) -> Self:
        if (self.role is Role.AGENCY) != bool(self.agency):
            raise ValueError("role agency, and no other, names an agency")
        return self


class _Clients(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: list[_Client]


def read_clients(path: Path) -> Mapping[str, Caller]:
    """Return callers by the name in their certificate. Raises SettingsError that names every fault."""
    try:
        parsed = _Clients.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"--clients {path} cannot be read: {error}") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in error.errors()
        )
        raise SettingsError(f"--clients {path} cannot be used: {faults}") from error
    counts = Counter(client.name for client in parsed.clients)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise SettingsError(f"--clients {path} cannot be used: {', '.join(repeated)} is listed more than once")
    return {client.name: Caller(client.role, client.agency) for client in parsed.clients}


def identifier_from_settings(settings: Settings) -> Callable[[Any], Caller]:
    """Return a function from a call's context to its caller; without encryption every caller is unrestricted.

    Raises SettingsError.
    """
    if not settings.certificate:
        return lambda _: UNRESTRICTED
    if settings.clients and not settings.client_ca:
        raise SettingsError("--clients needs --client-ca: without it callers show no certificate")
    return identifier(read_clients(Path(settings.clients)) if settings.clients else {})


def identifier(clients: Mapping[str, Caller]) -> Callable[[Any], Caller]:
    """Return a function from a call's context to its caller: by the first listed name of a verified certificate.

    A caller without such a name is the public.
    """

    def identify(context: Any) -> Caller:
        properties: Mapping[str, Iterable[bytes]] = context.auth_context()
        for kind in _NAME_PROPERTIES:
            for name in properties.get(kind, ()):
                caller = clients.get(name.decode("utf-8", "replace"))
                if caller is not None:
                    return caller
        return PUBLIC

    return identify

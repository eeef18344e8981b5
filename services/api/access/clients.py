"""Roles by certificate: clients.yaml, and the caller behind a gRPC call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from services.api.access.roles import PUBLIC, UNRESTRICTED, Caller, Role
from services.core.errors import SettingsError
from services.core.settings import Settings

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

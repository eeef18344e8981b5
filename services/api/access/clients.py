"""Which certificate has which role: clients.yaml, and who stands behind a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from services.api.access.roles import EVERYTHING, PUBLIC, Caller, Role
from services.core.errors import SettingsError
from services.core.settings import Settings

__all__ = ["identify", "identify_by", "read_clients"]

_NAMES = ("x509_subject_alternative_name", "x509_common_name")


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
    """Return who has a role, by the name in their certificate. Raises SettingsError that names every fault."""
    try:
        found = _Clients.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"--clients {path} cannot be read: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
        raise SettingsError(f"--clients {path} cannot be used: {faults}") from error
    names = [one.name for one in found.clients]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"--clients {path} cannot be used: {', '.join(twice)} stands there more than once")
    return {one.name: Caller(one.role, one.agency) for one in found.clients}


def identify_by(settings: Settings) -> Callable[[Any], Caller]:
    """Return what says who makes a call by these settings; where nothing is encrypted everybody sees everything.

    Raises SettingsError.
    """
    if not settings.certificate:
        return lambda _: EVERYTHING
    if settings.clients and not settings.client_ca:
        raise SettingsError("--clients needs --client-ca: without it callers show no certificate")
    return identify(read_clients(Path(settings.clients)) if settings.clients else {})


def identify(clients: Mapping[str, Caller]) -> Callable[[Any], Caller]:
    """Return what says who makes a call: a verified certificate's first name that is listed; otherwise the public."""

    def who(context: Any) -> Caller:
        shown: Mapping[str, Iterable[bytes]] = context.auth_context()
        for kind in _NAMES:
            for name in shown.get(kind, ()):
                found = clients.get(name.decode("utf-8", "replace"))
                if found is not None:
                    return found
        return PUBLIC

    return who

"""An api over TLS that gives roles to certificates made by the test. Not a test."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509

from services.api.access.callers import identifier_from_settings
from services.api.access.certificates import credentials_from_settings
from services.api.access.revocation import revocations_from_settings
from services.core.settings import Settings
from services.register.directory.load import load_register
from tests.support.cases.api.server import served
from tests.support.registers import ANNOUNCEMENTS, OBJECTIONS, write_register
from tests.support.servers.authority import Authority

__all__ = ["OF_TAX", "Secured", "noted_and_secured", "renew", "secured", "serving", "settings_with", "with_clients"]

CLIENTS = """\
clients:
  - {common_name: audit.example, role: auditor}
  - {common_name: tax.example, role: agency, agency: tax-office}
  - {common_name: nowhere.example, role: agency, agency: closed-long-ago}
  - {common_name: pages.example, role: console}
  - {common_name: tax-pages.example, role: console, most: "agency:tax-office"}
  - {common_name: all-pages.example, role: console, most: auditor}
"""
OF_TAX = {"birth-tax", "deed-tax", "permit-tax", "clearance-land", "clearance-customs"}
"""Links of the test register whose consumer or provider is the tax office."""


class Secured:
    """The address of a server with TLS, and callers' channels to it."""

    def __init__(self, folder: Path, settings: Settings, authority: Authority) -> None:
        self.folder, self.settings, self.authority = folder, settings, authority
        self.port = 0
        self.failed: list[Exception] = []

    def channel(
        self,
        name: str = "",
        issuer: Authority | None = None,
        alternatives: Sequence[x509.GeneralName] = (),
        files: tuple[Path, Path] | None = None,
    ) -> grpc.aio.Channel:
        """Return a channel of a caller with a certificate for these names, or from these files, or without one."""
        shown: tuple[bytes | None, bytes | None] = (None, None)
        if name or alternatives:
            files = (issuer or self.authority).client(name=name or "client", alternatives=alternatives)
        if files:
            certificate, key = files
            shown = (key.read_bytes(), certificate.read_bytes())
        trusted = Path(self.authority.reference.removeprefix("file:")).read_bytes()
        return grpc.aio.secure_channel(f"127.0.0.1:{self.port}", grpc.ssl_channel_credentials(trusted, *shown))


def renew(authority: Authority, folder: Path, days: float = 30) -> None:
    """Write a new server certificate and its key to the files that the settings name."""
    both = authority.server("127.0.0.1", days=(-1, days)).read_text()
    key, line, certificate = both.partition("-----BEGIN CERTIFICATE-----")
    (folder / "server.key").write_text(key)
    (folder / "server.pem").write_text(line + certificate)


def settings_with(folder: Path, authority: Authority, **more: Any) -> Settings:
    renew(authority, folder)
    return Settings(certificate=str(folder / "server.pem"), key=str(folder / "server.key"), **more)


@asynccontextmanager
async def serving(api, secured: Secured):
    credentials = credentials_from_settings(secured.settings, secured.failed.append)
    revocations = revocations_from_settings(secured.settings, secured.failed.append)
    who = identifier_from_settings(secured.settings, revocations)
    async with served(api.state, credentials=credentials, identify=who) as port:
        secured.port = port
        yield secured


@asynccontextmanager
async def with_clients(api, tmp_path, clients=CLIENTS, **more):
    authority = Authority.make(tmp_path)
    (tmp_path / "clients.yaml").write_text(clients)
    files = {"client_ca": authority.reference.removeprefix("file:"), "clients": str(tmp_path / "clients.yaml")}
    if "client_crl" in more:
        Path(more["client_crl"]).write_bytes(authority.revoking())
    async with serving(api, Secured(tmp_path, settings_with(tmp_path, authority, **files, **more), authority)) as one:
        yield one


@pytest.fixture
async def secured(api, tmp_path):
    """An api that requires certificates of callers and gives roles to some."""
    async with with_clients(api, tmp_path) as one:
        yield one


@pytest.fixture
def noted_and_secured(api, secured, tmp_path):
    """The same with a register that has announcements, objections and maintenance."""
    files = {"announcements_yaml": ANNOUNCEMENTS, "objections_csv": OBJECTIONS}
    maintenance = "subject,from,to,note\ncustoms,2026-03-01,2026-03-02,\ndeed-civil,2026-03-01,2026-03-02,\n"
    api.take_register(load_register(write_register(tmp_path / "noted", maintenance_csv=maintenance, **files)))
    return secured

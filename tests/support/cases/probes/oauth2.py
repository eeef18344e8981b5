"""An issuer of tokens, and probes that need one. Not a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.core.model.probe import Auth
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from tests.support.servers.http_server import LOOPBACK, Handler, Request, Server, answer, serving

__all__ = ["SECRET", "environment", "issuing", "oauth2", "pair", "secret"]

SECRET = "s3cr3t: valüe"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put our client's secret into the variable that its reference names."""
    monkeypatch.setenv("TEST_CLIENT_SECRET", SECRET)


@pytest.fixture
async def environment() -> AsyncIterator[ProbeEnvironment]:
    """An environment that allows loopback."""
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
    yield environment
    await environment.close()


def oauth2(server: Server, **changed: str) -> Auth:
    """Return auth with tokens from the issuer on this server."""
    given = {"token_url": server.url("/token"), "client_id": "mon itor", "client_secret": "env:TEST_CLIENT_SECRET"}
    return Auth("oauth2", **(given | changed))


def issuing(expires_in: object = 3600) -> Handler:
    """Return a handler that issues numbered tokens, `token-1` first."""
    given: list[int] = []

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        given.append(0)
        said = {"access_token": f"token-{len(given)}", "token_type": "Bearer"}
        said |= {} if expires_in is None else {"expires_in": expires_in}  # type: ignore[dict-item]
        writer.write(answer(200, json.dumps(said).encode()))

    return handle


@asynccontextmanager
async def pair(issuer: Handler, target: Handler) -> AsyncIterator[tuple[Server, Server]]:
    """Serve an issuer and a target."""
    async with serving(issuer) as one, serving(target) as other:
        yield one, other

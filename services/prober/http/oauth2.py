"""Asking an OAuth2 issuer for an access token, by client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from codecs import BOM_UTF8
from dataclasses import replace
from time import monotonic
from typing import Final
from urllib.parse import quote_plus, urlencode

import httpx
import orjson

from services.core.model import Probe
from services.prober.http.exchange import Answer, send_request, wire_request
from services.prober.http.token_cache import AccessToken, TokenCache, TokenError, TokenIssuer
from services.prober.observation import Cause, Failure, Phase
from services.prober.secrets import MissingSecretError, Secrets
from services.prober.transport import Outbound, ProbeFailedError, ProbeTrace

__all__ = ["access_token", "token_issuer"]

# However long probes would wait, a request ends by then.
_ASKING_SECONDS: Final = 10.0
_ANSWER_LIMIT: Final = 1 << 16
# An issuer may keep to itself how long its token lasts; then it is asked for again soon.
_UNSAID_SECONDS: Final = 300.0
_LONGEST_SECONDS: Final = 86_400.0
# Section 5.2: only these are repeated, anything else an issuer says might hold what it should not.
_ERRORS: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


def token_issuer(definition: Probe, target: str) -> TokenIssuer | None:
    """Return who gives the tokens that a definition needs for ``target`` (a URL), None when it needs none.

    The issuer is reached by the target's TLS profile; name override and client certificate are the target's own.
    """
    auth, tls = definition.auth, definition.tls
    if auth.kind != "oauth2":
        return None
    url, home = httpx.URL(auth.token_url), httpx.URL(target)
    if (url.scheme, url.host, url.port) != (home.scheme, home.host, home.port):
        tls = replace(tls, server_name="", certificate="", key="")
    return TokenIssuer(auth.token_url, auth.client_id, auth.client_secret, auth.scope, tls, definition.ip)


async def access_token(
    issuer: TokenIssuer, outbound: Outbound, tokens: TokenCache, secrets: Secrets, deadline: float
) -> str:
    """Return a token by ``deadline`` (monotonic seconds). Raises ProbeFailedError: that there is none is our own fault."""
    try:
        async with asyncio.timeout(deadline - monotonic()):
            return await tokens.get(issuer, lambda: _ask(issuer, outbound, secrets))
    except TimeoutError as error:
        detail = f"no token from {httpx.URL(issuer.url).host} within the deadline"
        raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CREDENTIAL, detail)) from error
    except TokenError as error:
        raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CREDENTIAL, str(error))) from error


async def _ask(issuer: TokenIssuer, outbound: Outbound, secrets: Secrets) -> AccessToken:
    """Ask over the way out of all probes, so by its egress rules and trust; redirects are not followed. Raises TokenError."""
    host = httpx.URL(issuer.url).host
    trace = ProbeTrace(monotonic() + _ASKING_SECONDS, issuer.ip)
    try:
        request = _request(issuer, secrets.get(issuer.client_secret))
        call = wire_request(request, issuer.tls, _ANSWER_LIMIT, compressed=False)
        async with asyncio.timeout(_ASKING_SECONDS):
            answer = await send_request(call, outbound, trace, Answer())
    except MissingSecretError as error:
        raise TokenError(str(error)) from error
    except TimeoutError as error:
        raise TokenError(f"no token from {host}: no end in phase {trace.phase.name.lower()}") from error
    except ProbeFailedError as stopped:
        raise TokenError(f"no token from {host}: {stopped.failure.detail}") from stopped
    return _token(host, answer.status, b"".join(answer.body))


def _request(issuer: TokenIssuer, secret: str) -> httpx.Request:
    """Write the request; section 2.3.1 wants every issuer to take the client's credentials this way."""
    credentials = b64encode(f"{quote_plus(issuer.client_id)}:{quote_plus(secret)}".encode()).decode()
    asked = {"grant_type": "client_credentials"} | ({"scope": issuer.scope} if issuer.scope else {})
    headers = {
        "User-Agent": "peyvand-prober/1",
        "Accept": "application/json",
        "Connection": "close",
        "Authorization": f"Basic {credentials}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return httpx.Request("POST", issuer.url, headers=headers, content=urlencode(asked).encode())


def _token(host: str, status: int, body: bytes) -> AccessToken:
    """Read an answer (sections 5.1 and 5.2). Raises TokenError."""
    try:
        said = orjson.loads(body.removeprefix(BOM_UTF8))  # RFC 8259, 8.1: it may be ignored
    except orjson.JSONDecodeError:
        said = None
    if status != 200:
        error = said.get("error") if isinstance(said, dict) else None
        if isinstance(error, str) and error in _ERRORS:
            raise TokenError(f"the issuer {host} refused our client: {error}")
        raise TokenError(f"no token from {host}: it answered status {status}")
    if not isinstance(said, dict):
        raise TokenError(f"no token from {host}: its answer is not a JSON object")
    value, kind = said.get("access_token"), said.get("token_type", "bearer")
    if not isinstance(value, str) or not value or not all("!" <= character <= "~" for character in value):
        raise TokenError(f"no token from {host}: its answer holds none that can be sent")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError(f"no token from {host}: it gives another kind than bearer tokens")
    return AccessToken(value, _seconds(said.get("expires_in")))


def _seconds(expires_in: object) -> float:
    """Return for how long a token lasts; some issuers write the number as text."""
    if isinstance(expires_in, str) and expires_in.isdecimal():
        expires_in = float(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return _UNSAID_SECONDS
    return min(_LONGEST_SECONDS, max(0.0, float(expires_in)))

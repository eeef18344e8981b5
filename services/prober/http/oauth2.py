"""Requests OAuth2 access tokens from issuers, by client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import asyncio
from codecs import BOM_UTF8
from dataclasses import replace
from time import monotonic
from typing import Final
from urllib.parse import quote_plus, urlencode

import httpx
import orjson

from services.core.model import Probe
from services.prober.http.exchange import USER_AGENT, send_request, wire_request
from services.prober.http.token_cache import AccessToken, TokenCache, TokenError, TokenIssuer
from services.prober.observation import Cause, Failure, Phase
from services.prober.secrets import MissingSecretError, Secrets, basic_credentials
from services.prober.transport import Outbound, ProbeFailedError, ProbeTrace, ProxyRoute

# A request ends by then, even if the probes that wait for it would wait longer.
_REQUEST_SECONDS: Final = 10.0
_ANSWER_LIMIT: Final = 1 << 16
# An issuer need not state how long its token is valid. Such a token is requested again soon.
_DEFAULT_SECONDS: Final = 300.0
_MAX_SECONDS: Final = 86_400.0
# Section 5.2: only these are repeated in messages. Any other text of an issuer might hold what it should not.
_ERRORS: Final = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "invalid_scope"),
        *("unauthorized_client", "unsupported_grant_type"),
    }
)


def token_issuer(definition: Probe, target: str, proxy: ProxyRoute | None = None) -> TokenIssuer | None:
    """Return the issuer of the tokens that a definition needs for ``target`` (a URL), None when it needs none.

    The target's TLS profile applies to the issuer. Its name override and client certificate apply only if both share an
    origin.
    """
    auth, tls = definition.auth, definition.tls
    if auth.kind != "oauth2":
        return None
    url, target_url = httpx.URL(auth.token_url), httpx.URL(target)
    if (url.scheme, url.host, url.port) != (target_url.scheme, target_url.host, target_url.port):
        tls = replace(tls, server_name="", certificate="", key="")
    return TokenIssuer(auth.token_url, auth.client_id, auth.client_secret, auth.scope, tls, definition.ip, proxy)


async def access_token(
    issuer: TokenIssuer, outbound: Outbound, tokens: TokenCache, secrets: Secrets, deadline: float
) -> str:
    """Return a token by ``deadline`` (monotonic seconds). Raises ProbeFailedError: a missing token is our own fault."""
    try:
        async with asyncio.timeout(deadline - monotonic()):
            return await tokens.get(issuer, lambda: _request_token(issuer, outbound, secrets))
    except TimeoutError as error:
        detail = f"no token from {httpx.URL(issuer.url).host} within the deadline"
        raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CREDENTIAL, detail)) from error
    except TokenError as error:
        raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CREDENTIAL, str(error))) from error


async def _request_token(issuer: TokenIssuer, outbound: Outbound, secrets: Secrets) -> AccessToken:
    """Request a token under the egress rules and the trust of all probes; follow no redirect. Raises TokenError."""
    host = httpx.URL(issuer.url).host
    trace = ProbeTrace(monotonic() + _REQUEST_SECONDS, issuer.ip)
    try:
        request = _token_request(issuer, secrets.get(issuer.client_secret))
        wire = wire_request(request, issuer.tls, _ANSWER_LIMIT, compressed=False, proxy=issuer.proxy)
        async with asyncio.timeout(_REQUEST_SECONDS):
            answer = await send_request(wire, outbound, trace)
    except MissingSecretError as error:
        raise TokenError(str(error)) from error
    except TimeoutError as error:
        raise TokenError(f"no token from {host}: {trace.timeout().detail}") from error
    except ProbeFailedError as failed:
        raise TokenError(f"no token from {host}: {failed.failure.detail}") from failed
    return _parse_token(host, answer.status, b"".join(answer.body))


def _token_request(issuer: TokenIssuer, secret: str) -> httpx.Request:
    """Return the token request. Section 2.3.1 requires every issuer to accept the client's credentials this way."""
    form = {"grant_type": "client_credentials"} | ({"scope": issuer.scope} if issuer.scope else {})
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Connection": "close",
        "Authorization": basic_credentials(quote_plus(issuer.client_id), quote_plus(secret)),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return httpx.Request("POST", issuer.url, headers=headers, content=urlencode(form).encode())


def _parse_token(host: str, status: int, body: bytes) -> AccessToken:
    """Parse an answer (sections 5.1 and 5.2). Raises TokenError."""
    try:
        answer = orjson.loads(body.removeprefix(BOM_UTF8))  # parsers may ignore it (RFC 8259, 8.1)
    except orjson.JSONDecodeError:
        answer = None
    if status != 200:
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, str) and error in _ERRORS:
            raise TokenError(f"the issuer {host} refused our client: {error}")
        raise TokenError(f"no token from {host}: it answered with status {status}")
    if not isinstance(answer, dict):
        raise TokenError(f"no token from {host}: its answer is not a JSON object")
    value, kind = answer.get("access_token"), answer.get("token_type", "bearer")
    if not isinstance(value, str) or not value or not all("!" <= character <= "~" for character in value):
        raise TokenError(f"no token from {host}: its answer holds none that can be sent")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError(f"no token from {host}: its token is of another kind than bearer")
    return AccessToken(value, _valid_seconds(answer.get("expires_in")))


def _valid_seconds(expires_in: object) -> float:
    """Return how many seconds a token is valid. Some issuers write the number as text."""
    if isinstance(expires_in, str) and expires_in.isdecimal():
        expires_in = float(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return _DEFAULT_SECONDS
    return min(_MAX_SECONDS, max(0.0, float(expires_in)))

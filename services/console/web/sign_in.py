"""Signs readers in by OpenID Connect: the code flow with PKCE, a claim that names the role, and a signed cookie."""

from __future__ import annotations

import re
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from httpx import HTTPError
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.core.log import Logger

with warnings.catch_warnings(record=True):
    # authlib warns whenever it is imported that it wants a later httpx, which nothing else here needs.
    from authlib.integrations.base_client import OAuthError
    from authlib.integrations.starlette_client import OAuth

SESSION_SECONDS = 8 * 3600
"""How long a sign-in lasts: a working day."""

_REFUSALS = (HTTPError, OAuthError, JoseError, RuntimeError, ValueError)
"""What authlib raises when a provider does not answer, refuses, sends a wrong token, or describes itself badly."""

_ROLE = re.compile(r"public|auditor|agency:[a-z0-9][a-z0-9-]{0,62}")
_LONGEST_FORM = 1000
_BACK = re.compile(r"/(?:en|fa)/[^\\\x00-\x1f]*")
"""Where a sign-in may lead back to: a page of ours."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider of identities: its issuer, our client there, and the claim that names a role."""

    issuer: str
    client: str
    secret: str
    claim: str


def sign_in_routes(
    provider: Provider, base: str, log: Logger, refuse: Callable[[Request], Response], now: Callable[[], float]
) -> list[Route]:
    """Return the routes of signing in and out. ``refuse`` answers those not admitted; ``now`` is in epoch seconds."""
    oauth = OAuth()
    oauth.register(
        "provider",
        client_id=provider.client,
        client_secret=provider.secret,
        server_metadata_url=f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid", "code_challenge_method": "S256", "timeout": 10},
    )

    async def start(request: Request) -> Response:
        back = request.query_params.get("back", "")
        request.session.clear()
        request.session["back"] = back if _BACK.fullmatch(back) else "/"
        try:
            answer: Response = await oauth.provider.authorize_redirect(request, f"{base}/sign-in/done")
        except _REFUSALS as error:
            log.warning("sign_in_unavailable", reason=str(error))
            return refuse(request)
        answer.headers["cache-control"] = "no-store"
        return answer

    async def done(request: Request) -> Response:
        back = str(request.session.get("back", "/"))
        # authlib keeps the provider's keys for ever, and so would trust one that was withdrawn and refuse its successor.
        oauth.provider.server_metadata.pop("jwks", None)
        try:
            token = await oauth.provider.authorize_access_token(request)
        except _REFUSALS as error:
            # The reason names no person: it is the provider's code of the error.
            log.warning("sign_in_refused", reason=getattr(error, "error", type(error).__name__))
            request.session.clear()
            return refuse(request)
        claims: Mapping[str, Any] = token.get("userinfo") or {}
        request.session.clear()
        request.session.update(
            role=role_of(claims.get(provider.claim)),
            subject=str(claims.get("sub", "")),
            token=secrets.token_urlsafe(16),
            until=int(now()) + SESSION_SECONDS,
        )
        return RedirectResponse(back, 303, {"cache-control": "no-store"})

    async def leave(request: Request) -> Response:
        body = (await request.body()).decode("utf-8", "replace")
        given = parse_qs(body).get("token", [""])[0]
        if not secrets.compare_digest(given.encode(), str(request.session.get("token", "")).encode()):
            return refuse(request)
        request.session.clear()
        return RedirectResponse("/", 303, {"cache-control": "no-store"})

    return [
        Route("/sign-in/start", start),
        Route("/sign-in/done", done),
        Route("/sign-out", leave, methods=["POST"], max_body_size=_LONGEST_FORM),
    ]


def role_of(claim: Any) -> str:
    """Return the role that a claim names: a text, or the first text in a list that is a role; else the public's."""
    for one in claim if isinstance(claim, list) else [claim]:
        if isinstance(one, str) and _ROLE.fullmatch(one):
            return one
    return "public"

"""An OpenID Connect provider as a process: `python -m tests.support.servers.openid_provider PORT SECRET`.

It has no form: `/as?sub=…&role=…` says who signs in from then on. It checks what a provider must: the client and its
secret, PKCE, and that a code is used once. Other parameters of `/as` replace the provider's own claims in the token.
`/another-key` replaces its key by another one of the same name.
Below `/bare` is a provider that publishes nothing about itself but its name.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

__all__ = ["CLIENT"]

CLIENT = "peyvand"


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig", "alg": "RS256"})


def _described(description: Mapping[str, object]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return JSONResponse(description)

    return answer


def _app(issuer: str, secret: str) -> Starlette:
    key = _new_key()
    next_person: dict[str, object] = {"sub": "somebody", "role": "auditor"}
    codes: dict[str, dict[str, object]] = {}

    description = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/keys",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
    }

    async def keys(_: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False)]})

    async def another_key(_: Request) -> Response:
        nonlocal key
        key = _new_key()
        return PlainTextResponse("ok")

    async def sign_in_as(request: Request) -> Response:
        next_person.clear()
        next_person.update(request.query_params)
        return PlainTextResponse("ok")

    async def authorize(request: Request) -> Response:
        asked = request.query_params
        if asked.get("client_id") != CLIENT or asked.get("code_challenge_method") != "S256":
            return PlainTextResponse("unknown client, or no PKCE", 400)
        if next_person.get("error"):
            return RedirectResponse(
                f"{asked['redirect_uri']}?{urlencode({'error': next_person['error'], 'state': asked['state']})}"
            )
        code = secrets.token_urlsafe()
        codes[code] = {**asked, "person": dict(next_person)}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(request: Request) -> Response:
        given = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        kind, _, credentials = request.headers.get("authorization", "").partition(" ")
        asked = codes.pop(given.get("code", ""), None)
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        client = kind == "Basic" and base64.b64decode(credentials).decode() == f"{CLIENT}:{secret}"
        if asked is None or not client or asked["code_challenge"] != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        person = asked["person"]
        assert isinstance(person, dict)
        identity = jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, **person}, key)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": identity})

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", _described(description)),
            Route("/bare/.well-known/openid-configuration", _described({"issuer": f"{issuer}/bare"})),
            Route("/keys", keys),
            Route("/another-key", another_key),
            Route("/as", sign_in_as),
            Route("/authorize", authorize),
            Route("/token", token, methods=["POST"]),
        ]
    )


if __name__ == "__main__":
    port, client_secret = int(sys.argv[1]), sys.argv[2]
    uvicorn.run(_app(f"http://127.0.0.1:{port}", client_secret), host="127.0.0.1", port=port, log_level="warning")

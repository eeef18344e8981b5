"""Caches OAuth2 access tokens, which all targets of one issuer share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic

from services.core.model import Tls
from services.prober.transport import ProxyRoute, SharedTasks

# A token must still be valid when the request that carries it arrives.
_MARGIN_SECONDS = 30.0
_MARGIN_SHARE = 0.1
# After a failure, probes do not all repeat the request: some issuers lock out clients that insist.
_FAILURE_SECONDS = 1.0


class TokenError(Exception):
    """No token is available. The message holds the reason, and no secret."""


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """An issuer of tokens for one client and scope, and how to reach it. ``client_secret`` is a reference."""

    url: str
    client_id: str
    client_secret: str
    scope: str = ""
    tls: Tls = field(default_factory=Tls)
    ip: str = "prefer-ipv4"
    proxy: ProxyRoute | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token, valid for ``seconds`` from the time of its request."""

    value: str = field(repr=False)
    seconds: float


class TokenCache:
    """The tokens in use, cached until shortly before they expire.

    Probes that need the same token at the same time share one request.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._cache: dict[TokenIssuer, tuple[float, str | TokenError]] = {}
        self._requests: SharedTasks[TokenIssuer, str | TokenError] = SharedTasks()

    async def get(self, issuer: TokenIssuer, request: Callable[[], Awaitable[AccessToken]]) -> str:
        """Return the issuer's token, from ``request`` when none is cached or it expires soon.

        Raises TokenError, as ``request`` does.
        """
        cached = self._cache.get(issuer)
        if cached is not None and self._clock() < cached[0]:
            answer = cached[1]
        else:
            answer = await self._requests.run(issuer, lambda: self._request(issuer, request))
        if isinstance(answer, TokenError):
            raise TokenError(str(answer))
        return answer

    async def _request(self, issuer: TokenIssuer, request: Callable[[], Awaitable[AccessToken]]) -> str | TokenError:
        requested = self._clock()
        answer: str | TokenError
        try:
            token = await request()
        except TokenError as error:
            answer, until = error, self._clock() + _FAILURE_SECONDS
        else:
            answer = token.value
            until = requested + token.seconds - min(_MARGIN_SECONDS, _MARGIN_SHARE * token.seconds)
        now = self._clock()
        self._cache = {other: cached for other, cached in self._cache.items() if now < cached[0]}
        self._cache[issuer] = (until, answer)
        return answer

    def drop(self, issuer: TokenIssuer, value: str) -> None:
        """Forget a token that a target refused, unless another has replaced it. The next probe requests a new one."""
        cached = self._cache.get(issuer)
        if cached is not None and cached[1] == value:
            del self._cache[issuer]

    async def close(self) -> None:
        """Cancel the requests under way."""
        await self._requests.close()

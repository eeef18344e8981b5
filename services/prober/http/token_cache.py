"""OAuth2 access tokens: remembered until shortly before they expire, and shared by all targets of one issuer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from services.core.model import Tls

__all__ = ["AccessToken", "TokenCache", "TokenError", "TokenIssuer"]

# A token must still be good when the request that bears it arrives.
_MARGIN_SECONDS = 30.0
_MARGIN_SHARE = 0.1
# An issuer that fails is not asked by every probe that is due: some lock clients out that insist.
_FAILURE_SECONDS = 1.0


class TokenError(Exception):
    """There is no token; the message says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Who gives tokens, to which client, for what, and how it is reached. ``client_secret`` is a reference."""

    url: str
    client_id: str
    client_secret: str
    scope: str = ""
    tls: Tls = field(default_factory=Tls)
    ip: str = "prefer-ipv4"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token, good for ``seconds`` from when it was asked for."""

    value: str = field(repr=False)
    seconds: float


class TokenCache:
    """The tokens in use. Probes that need the same one at the same time share one request."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._known: dict[TokenIssuer, tuple[float, str | TokenError]] = {}
        self._asked: dict[TokenIssuer, asyncio.Task[str | TokenError]] = {}

    def __repr__(self) -> str:
        return f"<TokenCache of {len(self._known)} issuers>"

    async def get(self, issuer: TokenIssuer, ask: Callable[[], Awaitable[AccessToken]]) -> str:
        """Return the issuer's token, from ``ask`` when there is none or it ends soon. Raises TokenError, as ``ask`` does."""
        known = self._known.get(issuer)
        if known is not None and self._clock() < known[0]:
            answer = known[1]
        else:
            task = self._asked.get(issuer)
            if task is None:
                task = asyncio.create_task(self._ask(issuer, ask))
                self._asked[issuer] = task
                task.add_done_callback(lambda _: self._asked.pop(issuer, None))
            # Shielded: one probe's deadline must not end the request for the others.
            answer = await asyncio.shield(task)
        if isinstance(answer, TokenError):
            raise TokenError(str(answer))
        return answer

    async def _ask(self, issuer: TokenIssuer, ask: Callable[[], Awaitable[AccessToken]]) -> str | TokenError:
        asked = self._clock()
        answer: str | TokenError
        try:
            token = await ask()
        except TokenError as error:
            answer, until = error, self._clock() + _FAILURE_SECONDS
        else:
            answer = token.value
            until = asked + token.seconds - min(_MARGIN_SECONDS, _MARGIN_SHARE * token.seconds)
        now = self._clock()
        self._known = {other: known for other, known in self._known.items() if now < known[0]}
        self._known[issuer] = (until, answer)
        return answer

    def drop(self, issuer: TokenIssuer, value: str) -> None:
        """Forget a token that was refused, unless another has taken its place: the next probe asks anew."""
        known = self._known.get(issuer)
        if known is not None and known[1] == value:
            del self._known[issuer]

    async def close(self) -> None:
        """Stop asking."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

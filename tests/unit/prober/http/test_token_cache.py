"""Tokens are cached for a limited time, and probes of one issuer share them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.prober.http.token_cache import AccessToken, TokenCache, TokenError, TokenIssuer

ISSUER = TokenIssuer("https://sso.example/token", "monitor", "env:SECRET")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def giving(asked: list[int], seconds: float) -> Callable[[], Awaitable[AccessToken]]:
    """Return a request that gives numbered tokens and counts its calls."""

    async def ask() -> AccessToken:
        asked.append(len(asked) + 1)
        return AccessToken(f"token-{len(asked)}", seconds)

    return ask


@pytest.mark.parametrize(("seconds", "kept"), [(3600.0, 3570.0), (300.0, 270.0), (100.0, 90.0), (5.0, 4.5)])
async def test_a_token_is_kept_until_shortly_before_it_expires(seconds: float, kept: float) -> None:
    """A token serves until a tenth of its life, at most half a minute, is left. Then another is requested."""
    clock, asked = Clock(), list[int]()
    tokens = TokenCache(clock)
    assert await tokens.get(ISSUER, giving(asked, seconds)) == "token-1"
    clock.now = kept - 0.01
    assert await tokens.get(ISSUER, giving(asked, seconds)) == "token-1"
    clock.now = kept + 0.01
    assert await tokens.get(ISSUER, giving(asked, seconds)) == "token-2"


async def test_a_token_without_a_life_serves_those_who_wait_for_it() -> None:
    """A token that expires at once serves the probes that wait for it, and the next probe requests another."""
    asked: list[int] = []
    tokens = TokenCache(Clock())
    assert await tokens.get(ISSUER, giving(asked, 0.0)) == "token-1"
    assert await tokens.get(ISSUER, giving(asked, 0.0)) == "token-2"


async def test_only_the_token_refused_is_dropped() -> None:
    """Dropping a refused token that has been replaced drops nothing."""
    asked: list[int] = []
    tokens = TokenCache(Clock())
    await tokens.get(ISSUER, giving(asked, 3600.0))
    tokens.drop(ISSUER, "token-1")
    assert await tokens.get(ISSUER, giving(asked, 3600.0)) == "token-2"
    tokens.drop(ISSUER, "token-1")
    assert await tokens.get(ISSUER, giving(asked, 3600.0)) == "token-2"


async def test_a_failing_issuer_is_asked_once_a_second() -> None:
    """For a second after a failure no request is made, and every probe gets the reason."""
    clock, asked = Clock(), list[int]()
    tokens = TokenCache(clock)

    async def fail() -> AccessToken:
        asked.append(0)
        raise TokenError("the issuer is down")

    for moment in (0.0, 0.9, 1.1):
        clock.now = moment
        with pytest.raises(TokenError, match="the issuer is down"):
            await tokens.get(ISSUER, fail)
    assert len(asked) == 2


async def test_who_gives_up_does_not_end_the_request() -> None:
    """One request serves all waiting probes. A probe whose time is up does not end it for the others."""
    gate, asked = asyncio.Event(), list[int]()
    tokens = TokenCache()

    async def ask() -> AccessToken:
        asked.append(0)
        await gate.wait()
        return AccessToken("shared", 3600.0)

    waiting = [asyncio.create_task(tokens.get(ISSUER, ask)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait({waiting[0]})
    gate.set()
    assert await asyncio.gather(*waiting[1:]) == ["shared"] * 9
    assert len(asked) == 1


async def test_closing_ends_requests_under_way() -> None:
    """After close no request is made, and everything that waits is cancelled."""
    tokens = TokenCache()

    async def ask() -> AccessToken:
        await asyncio.Event().wait()
        raise AssertionError

    waiting = asyncio.create_task(tokens.get(ISSUER, ask))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_30_tokens_do_not_show() -> None:
    """Neither a token nor the token cache shows its value."""
    assert "s3cr3t" not in repr(AccessToken("s3cr3t", 1.0))
    assert "s3cr3t" not in repr(TokenCache())

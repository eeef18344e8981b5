"""Tables that are sent as they are made, over HTTP."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from services.client import Client
from services.core.errors import ApiUnavailableError
from tests.support.console.browser import serving
from tests.support.console.case import Console
from tests.support.waiting import DEADLINE

_FIRST, _ALL = 700, 1200


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Let the api list many links, and await what a function returns after the first 700 of them."""
    listed = Client.links

    def use(wait: Callable[[], Any]) -> None:
        async def many(self: Client, **options: Any) -> AsyncIterator[Any]:
            known = [one async for one in listed(self, **options)]
            for number in range(_ALL):
                if number == _FIRST:
                    await wait()
                yield known[number % len(known)]

        monkeypatch.setattr(Client, "links", many)

    return use


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("kind", ["csv", "json"])
async def test_a_long_table_begins_before_it_is_read(
    console: Console, listing: Callable[[Callable[[], Any]], None], kind: str, encoding: str
) -> None:
    """The first rows are sent while the api still lists others, so that no number of links takes too long."""
    sent = asyncio.Event()
    listing(sent.wait)
    headers = {"accept-encoding": encoding}
    async with (
        serving(console) as base,
        httpx.AsyncClient(trust_env=False, timeout=DEADLINE, headers=headers) as client,
    ):
        async with client.stream("GET", f"{base}/data/links.{kind}") as answer:
            assert answer.status_code == 200
            assert answer.headers.get("content-encoding", "identity") == encoding
            sent.set()
            text = (await answer.aread()).decode()
        rows = list(csv.DictReader(text.splitlines())) if kind == "csv" else json.loads(text)["rows"]
        assert len(rows) == _ALL
        assert rows[0] == rows[8] != rows[1]
        again = await client.get(f"{base}/data/links.{kind}", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
        head = await client.head(f"{base}/data/links.{kind}")
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])


async def test_a_part_of_a_table_is_not_taken_for_the_whole(
    console: Console, listing: Callable[[Callable[[], Any]], None]
) -> None:
    """If the api ceases to answer, the download fails. If it does not answer at all, a page says so."""

    async def lost() -> None:
        raise ApiUnavailableError("api at there does not answer: start it, or ask another")

    listing(lost)
    async with serving(console) as base, httpx.AsyncClient(trust_env=False, timeout=DEADLINE) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{base}/data/links.csv")
        console.feed._lost_since = console.clock[0] - 1
        assert (await client.get(f"{base}/data/links.csv")).status_code == 503

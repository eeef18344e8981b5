"""Pages over an api of a newer version, whose values of enums this console cannot name."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from services.client.calls import Calls
from services.console.texts import LANGUAGES
from services.core.blocks.target_blocks import encode_slot_blocks
from services.core.bus import group_of, slot_key
from services.core.model import Outcome, Reason
from tests.support.cases.api.blocks import AS_OF, slot_block_of
from tests.support.console.case import NAMED_PAGES
from tests.support.console.words import text_of

_NEW = 99


def _renew(message: Message) -> None:
    """Give every value of an enum a number that no version of the contract has, except the kind that was asked for."""
    for field, value in message.ListFields():
        if field.enum_type is not None:
            if field.enum_type.name != "IndicatorKind" or type(message).__name__ == "SearchResult":
                setattr(message, field.name, _NEW)
        elif field.message_type is not None:
            for one in [value] if isinstance(value, Message) else value:
                _renew(one)


@pytest.fixture
def newer_api(api: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An api that answers with unknown values wherever the contract has an enum."""
    place = AS_OF // 300 // 64
    cells = {
        ("deed-tax", slot, vantage): (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)
        for slot in range(64 * place, 64 * place + 64)
        for vantage in ("north", "south")
    }
    block = slot_block_of(api.register, "land-registry", place, cells)
    api.bucket.values[slot_key(group_of("land-registry"), place)] = encode_slot_blocks([block])[0]
    asked = Calls.unary

    async def unary(self: Calls, *request: Any) -> Any:
        answer = await asked(self, *request)
        _renew(answer)
        return answer

    monkeypatch.setattr(Calls, "unary", unary)
    return api


@pytest.mark.parametrize("code", LANGUAGES)
async def test_every_page_and_feed_is_there(newer_api: Any, make_console: Any, code: str) -> None:
    """During an upgrade the api is newer than the console, and no reader meets an error."""
    console = await make_console()
    feeds = [f"/feeds/{code}.{suffix}" for suffix in ("atom", "json", "ics")]
    for path in (*(f"/{code}{page}" for page in NAMED_PAGES), *feeds):
        answer = await console.get(path)
        assert answer.status_code == 200, (path, answer.text)


async def test_no_page_says_what_it_cannot_know(newer_api: Any, make_console: Any) -> None:
    """An unknown state is not called open, an unknown kind no incident, and an unknown reason by no other one's words."""
    console = await make_console()
    civil = await text_of(console, "/en/link/deed-civil")
    assert "A state that only a newer version can name ·" in civil
    assert "It is replaced in the next register." in civil
    for path in ("/en/link/deed-tax", "/en/service/title-deed"):
        text = await text_of(console, path)
        assert "a reason that only a newer version can name" in text, path
        assert "the connection was refused" not in text, path
    news = await text_of(console, "/en/news")
    assert "Announcement ·" in news
    assert "Incident ·" not in news
    assert "a reason that only a newer version can name: 16" in await text_of(console, "/en/monitor")
    assert "tax-office" not in (await console.get("/en/search?q=tax")).text.partition("<main")[2]

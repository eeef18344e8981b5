"""The commands of the pages that query the api, against a real gRPC server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.core.model.indicator import IndicatorKind
from tests.support.cases.api.blocks import blocks_of
from tests.support.commands import answered, asks_the_api, command_lines
from tests.support.paths import ROOT
from tests.support.values.reconciliations import traffic

DOCS = ROOT / "docs"
NAMES = {"LINK": "deed-tax", "PROVIDER": "tax-office", "CONSUMER": "land-registry", "ENDPOINT": "bus"}
"""Entities of the small register in place of the placeholders of the pages."""


@pytest.mark.parametrize(("page", "many"), [("alerts", 6), ("operating", 2)])
async def test_commands_of_a_page_are_answered(api, page, many):
    """Every command of the page that queries the api is answered: none is one that the api always refuses."""
    blocks = blocks_of(api.register)
    for key, block in blocks.items():
        api.take(key, replace(block, traffic=(traffic(),) if key == "government" else ()))
    ours = blocks["consumer.civil-registry"]
    service = next(one for one in ours.indicators if one.kind is IndicatorKind.SERVICE and one.window_days == 28)
    bus = replace(
        service, kind=IndicatorKind.ENDPOINT, id="bus", strict=None, level=None, links_required=0, links_known=0
    )
    api.take("consumer.civil-registry", replace(ours, indicators=(*ours.indicators, bus)))
    asked = [
        [NAMES.get(word, word) for word in words[1:]]
        for words in command_lines((DOCS / f"{page}.md").read_text("utf-8"))
        if words[0] == "peyvand" and asks_the_api(words[1:])
    ]
    assert len(asked) >= many
    for words in asked:
        assert await asyncio.to_thread(answered, words, api.address) == "", words


async def test_a_command_that_is_refused_is_found(api):
    """A history of a link is always refused, and the check reports it."""
    said = await asyncio.to_thread(answered, ["history", "link", "deed-tax"], api.address)
    assert "no history is kept of link `deed-tax`" in said

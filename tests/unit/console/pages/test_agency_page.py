"""The page of an agency, from one answer of the api."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from peyvand.v1 import indicator_service_pb2, register_service_pb2
from services.console.pages import agency
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.cases.api.server import Api
from tests.support.console.case import Console
from tests.support.console.words import text_of
from tests.support.registers import write_register


async def test_an_agency_page_lists_announced_work(make_console, api, tmp_path) -> None:
    """The page shows everybody the current work announced for the agency, but not that of others or of its links."""
    day = "2026-09-2"  # AS_OF is on the 21st
    rows = f"subject,from,to,note\ntax-office,{day}0,{day}9,new switches\ntax-office,2026-01-01,2026-01-02,long over\n"
    rows += f"customs,{day}0,{day}9,of the customs\ndeed-tax,{day}0,{day}9,of one link\n"
    api.take_register(load_register(write_register(tmp_path / "worked", maintenance_csv=rows)))
    console = await make_console(audience="public")
    page = (await console.get("/en/agency/tax-office")).text
    assert "new switches" in page
    assert [note for note in ("long over", "of the customs", "of one link") if note in page] == []


async def test_an_agency_page_lists_its_certificates_that_expire(console: Console, api: Api, make_console: Any) -> None:
    """Readers who see links get a row for each expiring certificate of the agency that answers."""
    taken = replace(blocks_of(api.register)["consumer.land-registry"], certificates=(("deed-tax", AS_OF + 86400),))
    api.take("consumer.land-registry", taken)
    text = await text_of(console, "/en/agency/tax-office")
    assert (
        "Its certificates that expire within three weeks Certificate valid until Inquiries For example 22 September"
        in text
    )
    assert "expire within" not in await text_of(console, "/en/agency/land-registry")
    assert "expire within" not in await text_of(await make_console(audience="public"), "/en/agency/tax-office")


async def test_an_agency_page_takes_one_call_of_the_api(console: Console, api: Api) -> None:
    """However much the page shows, the console makes one call, and none for a second reader."""
    methods = [one.name for one in indicator_service_pb2.DESCRIPTOR.services_by_name["IndicatorService"].methods]
    methods += [one.name for one in register_service_pb2.DESCRIPTOR.services_by_name["RegisterService"].methods]
    before = {method: api.counted(method, "OK") for method in methods}
    for _ in range(2):
        assert (await console.get("/en/agency/land-registry")).status_code == 200
    made = {method: api.counted(method, "OK") - before[method] for method in methods}
    assert {method: calls for method, calls in made.items() if calls} == {"GetAgency": 1}


async def test_the_public_gets_an_agency_page_that_asks_for_all_inquiries(make_console: Any, api: Api) -> None:
    """The address of a page that a reader with a role passed on shows the public only what the public may see."""
    assert api
    console = await make_console(audience="public")
    page = await console.get("/en/agency/land-registry?links=all")
    assert page.status_code == 200
    assert "/en/link/" not in page.text


async def test_an_agency_page_lists_the_worst_inquiries_first(console: Console, monkeypatch: Any) -> None:
    """The page lists a few and counts the rest, unless the address asks for all. A switch of language keeps that."""
    monkeypatch.setattr(agency, "_FIRST_LINKS", 1)
    page = (await console.get("/en/agency/land-registry")).text
    assert "3</data> more inquiries with a higher index are not listed here." in page
    assert "/en/link/transfer-customs" in page
    assert 'href="/en/agency/land-registry?links=all"' in page
    every = (await console.get("/en/agency/land-registry?links=all")).text
    assert "not listed here" not in every
    assert all(f"/en/link/{link}" in every for link in ("deed-civil", "deed-tax", "transfer-civil", "transfer-customs"))
    assert 'href="/language/fa/agency/land-registry?links=all"' in every

"""The page of findings, and the findings of an agency's and a link's page."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from services.client import connect
from services.console.queries import named_links
from services.core.model import FindingKind, FindingScope, Review
from tests.support.cases.api.blocks import blocks_of
from tests.support.values.findings import SINCE, finding

SILENT = finding()
FAILING = finding(
    FindingKind.PROVIDER_FAILURES,
    FindingScope.PROVIDER,
    "tax-office",
    flows=("bus land-registry tax-office/title-deed/tax-clearance",),
)
OVER = finding(since=SINCE - 86_400, ended_at=SINCE - 3_600, review=Review.DISMISSED, note="a move of offices")


@pytest.fixture
def found(api):
    """Give the api findings of a flow and of a provider, and one that has ended."""
    api.take("government", replace(blocks_of(api.register)["government"], findings=(SILENT, FAILING, OVER)))


async def test_any_number_of_inquiries_is_named(api) -> None:
    """Names of thousands of inquiries with ids of maximum length are requested in calls that the api accepts."""
    links = [f"link-{number:058}" for number in range(3000)]
    async with connect(api.address) as client:
        assert list(await named_links(client, ["deed-tax", *links])) == ["deed-tax"]
    assert api.counted("ListLinks", "OK") == 4


@pytest.mark.usefixtures("found")
async def test_the_page_lists_what_goes_on_and_what_is_over(make_console) -> None:
    """Sentences are in the reader's language, with agencies, inquiries, reviews and the budget of false findings."""
    console = await make_console()
    english = (await console.get("/en/findings")).text
    assert english.index("Calls to the services of Tax Office have failed at the provider more often") < english.index(
        "Over, in the last four weeks"
    )
    assert "Calls by Land Registry to service civil-status of Civil Registry stopped" in english
    assert "a move of offices" in english
    assert "/en/link/deed-civil" in english
    assert (
        'Findings of mere chance in the whole government: <data value="1.0" dir="ltr">1</data> a week at most.'
        in english
    )
    persian = (await console.get("/fa/findings")).text
    assert "فراخوانی سرویس‌های سازمان امور مالیاتی" in persian
    assert "ردشده" in persian


async def test_inquiries_are_named_and_what_is_not_listed_is_said(api, make_console) -> None:
    """An inquiry is named by service, agencies and data item. A finding with more flows than are listed says so."""
    wide = finding(FindingKind.FALL, FindingScope.BUS, "bus", seen=20.0, flow_count=60)
    api.take("government", replace(blocks_of(api.register)["government"], findings=(SILENT, wide)))
    page = (await (await make_console()).get("/en/findings")).text
    assert (
        "Land Registry</bdi> asks <bdi>Civil Registry</bdi> · <bdi>Civil status</bdi> · <code>deed-civil</code>" in page
    )
    assert "affected and others</summary>" in page[page.index("over the data bus") :]
    assert (
        "affected and others</summary>" not in page[page.index("Calls by Land Registry") :].split("</li>\n<li id=")[0]
    )


@pytest.mark.usefixtures("found")
async def test_agency_and_link_show_their_own(make_console) -> None:
    """An agency's page has the findings that touch it, and a link's page its ongoing findings."""
    console = await make_console()
    agency = (await console.get("/en/agency/tax-office")).text
    assert "Calls to the services of Tax Office have failed at the provider more often" in agency
    assert "civil-status of Civil Registry stopped" not in agency
    assert "civil-status of Civil Registry stopped" in (await console.get("/en/link/deed-civil")).text
    assert "What its exchanges show" not in (await console.get("/en/agency/customs")).text


@pytest.mark.usefixtures("found")
async def test_findings_are_rows_as_their_readers_see_them(make_console) -> None:
    """A finding has a row with what was seen and expected. The public gets the rows of agencies alone, without links."""
    rows = json.loads((await (await make_console()).get("/data/findings.json")).text)["rows"]
    assert [row["id"] for row in rows] == [FAILING.id, SILENT.id, OVER.id]
    stopped = rows[1]
    assert (stopped["kind"], stopped["scope"], stopped["probes"], stopped["review"]) == (
        *("silence", "flow", "pass", "open"),
    )
    assert (stopped["seen"], stopped["expected"], stopped["chance"]) == (0.0, 207.4, 3.4e-8)
    assert (stopped["since"], stopped["ended_at"]) == ("2026-11-27T12:00:00Z", None)
    assert stopped["links"] == "deed-civil"
    assert (rows[2]["review"], rows[2]["note"]) == ("dismissed", "a move of offices")
    public = await make_console(audience="public")
    (row,) = json.loads((await public.get("/data/findings.json")).text)["rows"]
    assert (row["id"], row["links"], row["note"]) == (FAILING.id, "", "")


@pytest.mark.usefixtures("found")
async def test_the_public_sees_no_system(make_console) -> None:
    """Readers without a sign-in see findings of agencies, but no link."""
    public = await make_console(audience="public")
    page = (await public.get("/en/findings")).text
    assert "Calls to the services of Tax Office have failed at the provider more often" in page
    assert "civil-status" not in page
    assert "/link/" not in page


@pytest.mark.usefixtures("api")
async def test_without_findings_the_page_says_so(make_console) -> None:
    """An empty list is shown as a sentence."""
    assert "Nothing is unusual." in (await (await make_console()).get("/en/findings")).text

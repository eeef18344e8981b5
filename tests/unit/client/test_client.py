"""The client against a real gRPC server: every method, lists of several pages, roles."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from peyvand.v1 import indicator_service_pb2, register_service_pb2
from services.client import Client, IndicatorKind, TlsFiles, calls, connect
from services.core.errors import ApiForbiddenError, ApiUnavailableError, SettingsError
from services.core.model.reconciliation import Traffic
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.registers import ANNOUNCEMENTS, EVALUATION, OBJECTIONS, write_register
from tests.support.waiting import DEADLINE

METHODS = {
    "GetIndicator": "indicator",
    "ListIndicators": "indicators",
    "ExplainIndicator": "explain",
    "GetHistory": "history",
    "WatchIndicators": "watch",
    "GetStructure": "structure",
    "ListLinks": "links",
    "GetLink": "link",
    "GetAgency": "agency",
    "TabulateIndicators": "tabulate",
    "GetTraffic": "traffic",
    "ListPairs": "pairs",
    "GetMonitoring": "monitoring",
    "ListFindings": "findings",
    "GetRegister": "register",
    "ListAgencies": "agencies",
    "ListServices": "services",
    "ListEvaluationRounds": "rounds",
    "ListFrozenRounds": "frozen_rounds",
    "ListAnnouncements": "announcements",
    "ListObjections": "objections",
    "ListMaintenance": "maintenance",
    "Search": "search",
}
"""The method of the client for each method of the API services."""


def test_every_method_of_the_api_has_one_of_the_client():
    """The client has a method for each method of the contract, and `timezone` and `on_behalf_of` besides."""
    services = (
        indicator_service_pb2.DESCRIPTOR.services_by_name["IndicatorService"],
        register_service_pb2.DESCRIPTOR.services_by_name["RegisterService"],
    )
    assert {method.name for service in services for method in service.methods} == METHODS.keys()
    public = {name for name, _ in inspect.getmembers(Client, callable) if not name.startswith("_")}
    assert public == {*METHODS.values(), "timezone", "on_behalf_of"}


async def test_lists_are_read_page_by_page(api, client, monkeypatch, tmp_path):
    """However small pages are, every entry comes once and in order."""
    monkeypatch.setattr(calls, "PAGE_SIZE", 2)
    files = {"announcements_yaml": ANNOUNCEMENTS, "objections_csv": OBJECTIONS, "evaluation_rounds_yaml": EVALUATION}
    maintenance = "subject,from,to,note\n" + "customs,2026-03-01,2026-03-02,\n" * 3
    register = load_register(write_register(tmp_path / "noted", maintenance_csv=maintenance, **files))
    api.take_register(register)
    assert [one.id async for one in client.agencies()] == sorted(register.agencies)
    assert [one.id async for one in client.agencies("justice")] == ["civil-registry", "land-registry"]
    assert [one.id async for one in client.services()] == sorted(register.services)
    assert [one.id async for one in client.services("land-registry")] == ["title-deed", "title-transfer"]
    assert [one.link.id async for one in client.links()] == sorted(register.links)
    assert [one.link.id async for one in client.links(consumer="land-registry", provider="customs")] == [
        "transfer-customs"
    ]
    assert [one.id async for one in client.indicators(IndicatorKind.LINK)] == sorted(register.links)
    providers = client.indicators(IndicatorKind.PROVIDER, sector="economy", window_days=7)
    assert [(one.id, one.window_days) async for one in providers] == [("customs", 7), ("tax-office", 7)]
    assert [one.id async for one in client.announcements()] == ["bus-upgrade", "late-answers"]
    assert [one.link async for one in client.objections()] == ["deed-civil", "deed-tax"]
    assert [one.link async for one in client.objections(link="deed-tax", agency="tax-office")] == ["deed-tax"]
    assert [one.subject async for one in client.maintenance("customs")] == ["customs"] * 3
    assert len((await client.rounds()).rounds) == 3


async def test_single_answers(api, client):
    """Indicators, explanations, structure, tables, traffic, monitoring, one link with slots, search and the timezone."""
    government = await client.indicator(IndicatorKind.GOVERNMENT)
    assert (government.id, government.window_days, government.as_of.seconds) == ("country", 28, AS_OF)
    assert (await client.indicator(IndicatorKind.PROVIDER, "customs", 7)).window_days == 7
    explained = await client.explain(IndicatorKind.GOVERNMENT, limit=1)
    assert (explained.indicator, len(explained.links)) == (government, 1)
    assert (await client.structure(7)).structure.window_days == 7
    by_sector = await client.tabulate(indicator_service_pb2.TABULATED_ATTRIBUTE_SECTOR)
    assert [group.value for group in by_sector.groups] == ["economy", "justice"]
    answer = await client.link("deed-tax", slots_from=AS_OF - 600, slots_to=AS_OF)
    assert (answer.link.link.id, len(answer.slots)) == ("deed-tax", 0)
    assert [result.id for result in await client.search("customs", 1)] == ["customs"]
    assert str(await client.timezone()) == "Asia/Tehran"
    assert (await client.register()).links == 8
    for key, block in blocks_of(api.register).items():
        api.take(key, block if key != "government" else _with_traffic(block))
    assert (await client.traffic()).traffic.exchanges == 5
    assert (await client.monitoring()).monitoring.rejected == 13


def _with_traffic(block):
    return replace(block, traffic=(Traffic(28, 5, 0, 0, (), ()),))


async def test_pairs_are_of_one_refresh(api, client, monkeypatch):
    """A list with pages of two refreshes is read again, and given up if that happens too often."""
    monkeypatch.setattr(calls, "PAGE_SIZE", 3)
    whole = await client.pairs()
    assert len(whole.pairs) == 7
    assert not whole.next_page_token
    refreshes = iter(range(1, 100))
    pages = calls.Calls.pages

    async def refreshing(self, method, request):
        async for page in pages(self, method, request):
            if next(left, None) is not None:
                moment = AS_OF + 300 * next(refreshes)
                api.take_blocks(as_of=moment, sequence=moment)
            yield page

    monkeypatch.setattr(calls.Calls, "pages", refreshing)
    left = iter([True])
    again = await client.pairs()
    assert again.as_of.seconds == AS_OF + 300
    assert again.pairs == whole.pairs
    left = iter([True] * 100)
    with pytest.raises(ApiUnavailableError, match="the pairs changed while they were read"):
        await client.pairs()


async def test_calls_are_made_for_a_role(client):
    """The role goes with every call, also for pages, and the original client keeps its own."""
    public, tax = client.on_behalf_of("public"), client.on_behalf_of("agency:tax-office")
    with pytest.raises(ApiForbiddenError) as refused:
        [link async for link in public.links()]
    assert refused.value.reason == "NOT_VISIBLE"
    assert [result.id for result in await public.search("customs")] == ["customs"]
    assert {link.link.id async for link in tax.links(consumer="land-registry")} == {"deed-tax"}
    assert len([link async for link in client.links()]) == 8


async def test_over_tls_a_certificate_is_shown(secured):
    """The files name the authority, the certificate and its key; the role is that of the certificate."""
    certificate, key = secured.authority.client(name="tax.example")
    authority = Path(secured.authority.reference.removeprefix("file:"))
    files = TlsFiles(authority, certificate, key)
    async with connect(f"tls://127.0.0.1:{secured.port}", timeout=DEADLINE, tls=files) as client:
        assert [one.id async for one in client.services()] == ["tax-clearance"]


async def test_a_renewed_certificate_is_shown_without_a_restart(secured, tmp_path):
    """Calls go on with what the files hold, while a watch that began before goes on too; halves of a renewal change nothing."""
    refused: list[Exception] = []
    certificate, key = tmp_path / "shown.pem", tmp_path / "shown.key"
    files = TlsFiles(Path(secured.authority.reference.removeprefix("file:")), certificate, key)
    for given, shown in zip(secured.authority.client(name="tax.example"), (certificate, key), strict=True):
        shown.write_bytes(given.read_bytes())
    other = secured.authority.client(name="audit.example")
    address = f"tls://127.0.0.1:{secured.port}"
    async with connect(address, timeout=DEADLINE, tls=files, not_renewed=refused.append) as client:

        async def services() -> list[str]:
            return [one.id async for one in client.services()]

        assert await services() == ["tax-clearance"]
        watch = client.watch(IndicatorKind.GOVERNMENT)
        await anext(watch)
        certificate.write_bytes(other[0].read_bytes())
        async with asyncio.timeout(DEADLINE):
            while not refused:
                assert await services() == ["tax-clearance"]
        assert "cannot be shown to the api" in str(refused[0])
        key.write_bytes(other[1].read_bytes())
        async with asyncio.timeout(DEADLINE):
            while await services() == ["tax-clearance"]:
                pass
        assert len(await services()) > 1
        next_change = asyncio.ensure_future(anext(watch))
        await services()
        assert not next_change.done()
        next_change.cancel()


async def test_a_refused_connection_says_what_it_lacks(secured, api):
    """Without the authority, the certificate or TLS, and with TLS that the api does not speak, the error says what to change."""
    authority = Path(secured.authority.reference.removeprefix("file:"))
    encrypted = f"tls://127.0.0.1:{secured.port}"
    for address, files, sentence in (
        (encrypted, TlsFiles(), r"is not trusted here, or is of another name: name its authority \(PEYVAND_API_CA\)$"),
        (encrypted, TlsFiles(authority), r"or a certificate \(PEYVAND_API_CERTIFICATE, PEYVAND_API_KEY\)$"),
        (encrypted.removeprefix("tls://"), TlsFiles(), r"it may require TLS \(tls://HOST:PORT\)"),
        (f"tls://{api.address}", TlsFiles(), "ask it without tls://, or see its log$"),
    ):
        async with connect(address, timeout=DEADLINE, tls=files) as client:
            with pytest.raises(ApiUnavailableError, match=sentence):
                await client.register()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (TlsFiles(ca=Path("missing.pem")), "missing.pem, which the connection to the api needs, cannot be read"),
        (TlsFiles(certificate=Path("a.pem")), "needs its key"),
        (TlsFiles(key=Path("a.key")), "needs its key"),
    ],
)
async def test_files_that_cannot_be_used_are_a_sentence(files, sentence):
    """A missing file and a certificate without its key are refused in a sentence."""
    with pytest.raises(SettingsError, match=sentence):
        async with connect("tls://127.0.0.1:1", tls=files):
            pass

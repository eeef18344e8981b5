"""``peyvand exchange`` without files and ``peyvand explain link``, against a real gRPC server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from services.cli.commands.ask import explain
from services.cli.commands.exchange import exchange
from services.client import Client
from services.core.errors import ApiError
from services.core.model.reconciliation import BusTraffic, Traffic, Volume
from tests.support.cases.api.blocks import blocks_of
from tests.support.values.reconciliations import LAST_HOUR, disagreeing, silent, traffic

CIVIL, TAX, TRAFFIC = disagreeing(), silent(), traffic()


@pytest.fixture
def ask(api):
    """Run one command against the api, in a thread because the server shares the loop; return its output."""
    app = typer.Typer()
    app.command("exchange")(exchange)
    app.command("explain")(explain)

    async def run(*words):
        environment = {"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"}
        result = await asyncio.to_thread(CliRunner(env=environment).invoke, app, [*words, "--api", api.address])
        if isinstance(result.exception, ApiError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return run


def hold(api, *reconciliations, traffic=TRAFFIC):
    """Give the api a complete refresh with these reconciliations of land-registry's links, and this traffic."""
    for key, block in blocks_of(api.register).items():
        own = reconciliations if key == "consumer.land-registry" else ()
        shown = (traffic,) if key == "government" and traffic else ()
        api.take(key, replace(block, reconciliations=own, traffic=shown))


async def test_exchange_shows_what_the_buses_carried(api, ask):
    """The output has buses with shares, undeclared pairs with volume, and each link with a finding once."""
    hold(api, CIVIL, TAX)
    text = await ask("exchange")
    for words in (
        "2,000 exchanges in the window of 28 days as of 2026-09-21 17:40:00 Asia/Tehran: xroad 2,000 (100.0 %)",
        "Undeclared: 20 of them (1.0 %), between pairs of agencies without a link in the register; such pairs: 1",
        "_unmapped → customs",
        "_unmapped → Customs",
        "Land Registry needs civil-status of Civil Registry",
        "_unmapped is a member of a bus without an agency: name it in the register's members.csv",
        "Links with findings from exchanges: 2",
        "1,234 shared  2026-09-21 15:30 and 16:30",
        "logs 90.0 % (80.0-95.0), probes 100.0 % (99.0-100.0)",
        "unusual: 10 lately, 120 expected",
        "silent: live all the time, and not used in the logs read",
    ):
        assert words in text, words
    assert text.count("2026-09-21 15:30") == 1  # nobody ever used the other link
    lines = [json.loads(line) for line in (await ask("exchange", "--json")).splitlines()]
    assert lines[0]["traffic"]["undeclared"][0]["exchanges"] == "20"
    assert "too little history" not in text
    assert [line["link"]["id"] for line in lines[1:]] == ["deed-tax", "deed-civil"]


async def test_what_is_expected_may_be_unknown(api, ask):
    """Where a finding came before three weeks of whole hours, no expected number is shown, least of all 0."""
    hold(api, replace(CIVIL, volume=Volume(10, None, None, unusual=True)))
    text = await ask("exchange")
    assert "unusual: 10 lately" in text
    assert "expected" not in text
    text = await ask("explain", "link", "deed-civil")
    assert "Unusual volume: 10 in the last six whole hours." in text


async def test_json_needs_no_timezone(api, ask, monkeypatch):
    """Times in JSON are in UTC, so the policy's timezone is not requested."""
    monkeypatch.setattr(Client, "timezone", None)
    hold(api, CIVIL, TAX)
    assert len((await ask("exchange", "--json")).splitlines()) == 3


async def test_exchange_without_findings_is_a_sentence(api, ask):
    """No exchange yet, no finding, and nothing computed yet are a sentence each."""
    hold(api, traffic=Traffic(28, 0, 0, 0, (), ()))
    assert "no exchange was logged in the window of 28 days" in await ask("exchange")
    hold(api, traffic=Traffic(28, 5, 0, 0, (BusTraffic("xroad", 5),), ()))
    text = await ask("exchange")
    assert "All between agencies with a link in the register." in text
    assert "Links with findings from exchanges: 0" in text
    assert (
        "Known so far: up to 1 hour of exchanges, too little history for some findings. Days it takes: 4 to hold links against "
        "their probes, 7 to call one silent, 21 to call its volume unusual." in " ".join(text.split())
    )
    for read_days, told in ((1 / 24, "up to 1 hour"), (25 / 24, "up to 25 hours"), (2, "2.0 days")):
        hold(api, traffic=replace(TRAFFIC, read_days=read_days))
        assert f"Known so far: {told} of exchanges, too little" in " ".join((await ask("exchange")).split())
    hold(api, traffic=replace(TRAFFIC, read_days=8.0, unseen_share=0.124))
    text = " ".join((await ask("exchange")).split())
    assert (
        "Known so far: 8.0 days of exchanges, too little history for some findings. Days it takes: 21 to call" in text
    )
    assert "an estimated 12.4 % happened not to be used in the window: those never seen are called silent once" in text
    hold(api, traffic=None)
    with pytest.raises(ApiError, match="exchanges of the last 28 days were not looked at yet: retry later"):
        await ask("exchange")


async def test_a_link_is_explained_by_its_exchanges(api, ask):
    """An explanation has both shares with intervals and verdict, volume with its trend, silence, and too few days."""
    hold(api, CIVIL, TAX)
    text = await ask("explain", "link", "deed-civil")
    for words in (
        "Over the data bus land-registry asked civil-registry 40 times from 2026-06-23 00:00:00 to 2026-09-21 17:45:00, on all",
        "on all their links together: 38 answered, the bus failed 1, the provider 1; last in the slot of 2026-09-21 17:40:00.",
        "1,234 exchanges on the X-Road service that it shares with other links in the window of 28 days as of 2026-09-21 17:40:00 Asia/Tehran,",
        "as of 2026-09-21 17:40:00 Asia/Tehran, -25.0 % a week; last one between 2026-09-21 15:30 and 16:30.",
        "Of 1,200 in hours with probes 90.0 % (80.0-95.0) succeeded as logged, 100.0 % (99.0-100.0) as probed.",
        "They disagree beyond chance: -10.0 pp (-20.0 to -5.0).",
        "Unusual volume: 10 in the last six whole hours, 120 expected.",
    ):
        assert words in " ".join(text.split()), words
    text = await ask("explain", "link", "deed-tax")
    text = " ".join(text.split())
    assert (
        "Nothing was exchanged on it in the window of 28 days as of 2026-09-21 17:40:00 Asia/Tehran, although it was live all the time."
        in text
    )
    assert "Over the data bus" not in text
    hold(api, replace(TAX, last_hour=LAST_HOUR))
    text = " ".join((await ask("explain", "link", "deed-tax")).split())
    assert "although it was live all the time; last one between 2026-09-21 15:30 and 16:30." in text
    calm = replace(CIVIL, shared=False, disagrees=False, volume=Volume(10, None, None))
    hold(api, calm)
    text = " ".join((await ask("explain", "link", "deed-civil")).split())
    assert (
        "1,234 exchanges on it in the window of 28 days as of 2026-09-21 17:40:00 Asia/Tehran; last one between" in text
    )
    assert "No more apart than by chance: -10.0 pp" in text
    hold(api, replace(calm, logs=None, probes=None, difference=None))
    assert "Too few days with exchanges and probes" in await ask("explain", "link", "deed-civil")

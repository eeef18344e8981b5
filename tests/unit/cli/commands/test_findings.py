"""``peyvand findings``, and the findings of ``peyvand exchange`` and ``peyvand explain link``, against a real gRPC server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from services.cli.commands.ask import explain
from services.cli.commands.exchange import exchange
from services.cli.commands.findings import findings
from services.core.errors import PeyvandError
from services.core.model import FindingKind, Review
from tests.support.cases.api.blocks import blocks_of
from tests.support.values.findings import SINCE, finding
from tests.support.values.reconciliations import traffic

SILENT = finding(review=Review.CONFIRMED, note="a certificate expired")
OVER = finding(FindingKind.RISE, since=SINCE - 86_400, ended_at=SINCE, seen=900.0)


@pytest.fixture
def ask(api):
    """Run one command against an api with two findings; return its output."""
    block = replace(blocks_of(api.register)["government"], findings=(SILENT, OVER), traffic=(traffic(28),))
    api.take("government", block)
    app = typer.Typer()
    app.command("exchange")(exchange)
    app.command("explain")(explain)
    app.command("findings")(findings)

    async def run(*words):
        environment = {"COLUMNS": "600", "NO_COLOR": "1", "TERM": "dumb"}
        result = await asyncio.to_thread(CliRunner(env=environment).invoke, app, [*words, "--api", api.address])
        if isinstance(result.exception, PeyvandError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return run


async def test_findings_are_sentences(ask):
    """Each finding has its id, its sentence and its review. The output ends with how many are false by chance."""
    text = await ask("findings")
    assert "1 finding about exchanges as of" in text
    assert f"{SILENT.id} Calls by Land Registry to service civil-status of Civil Registry stopped" in text
    assert "Confirmed: a certificate expired" in text
    assert "Findings that are mere chance are kept to 1 a week in the whole government" in text
    assert "of 1 reviewed finding 1 confirmed" in text
    assert OVER.id not in text


async def test_findings_are_chosen_by_kind_and_end(ask):
    """Ended findings are shown on request, also in Persian, and JSON has a line per finding."""
    text = await ask("findings", "--ended", "--kind", "rise", "--language", "fa")
    assert f"{OVER.id} از ساعت ۱۵:۳۰ روز ۵ آذر ۱۴۰۵، فراخوانی سرویس civil-status" in text
    assert SILENT.id not in text
    lines = [json.loads(line) for line in (await ask("findings", "--ended", "--json")).splitlines()]
    assert [line["id"] for line in lines] == [SILENT.id, OVER.id]
    with pytest.raises(PeyvandError, match="--kind noise: name one of silence, fall"):
        await ask("findings", "--kind", "noise")


async def test_exchange_shows_findings_that_go_on(ask):
    """Ongoing findings follow the traffic of the buses."""
    text = await ask("exchange")
    assert SILENT.id in text
    assert OVER.id not in text


async def test_explain_shows_those_of_the_link(ask):
    """Ongoing findings of a link follow its evidence as sentences; other links show none."""
    lines = (await ask("explain", "link", "deed-civil")).splitlines()
    at = lines.index("What its exchanges show:")
    assert lines[at + 1].startswith(
        f"{SILENT.id} Calls by Land Registry to service civil-status of Civil Registry stopped"
    )
    assert OVER.id not in "\n".join(lines)
    assert "What its exchanges show:" not in await ask("explain", "link", "deed-tax")

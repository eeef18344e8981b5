"""``peyvand structure``, ``peyvand tabulate`` and ``peyvand rounds`` against a real gRPC server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from services.cli.commands import structure as structure_commands
from services.client import Client
from services.core.errors import ApiError
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import blocks_of
from tests.support.registers import EVALUATION, KNOWN_ROUNDS, write_register


@pytest.fixture
def ask(api):
    """Run one command against the api, in a thread as the server shares the loop; return its exit code and output."""
    app = typer.Typer()
    for name in ("structure", "tabulate", "rounds"):
        app.command(name)(getattr(structure_commands, name))

    async def run(*words, width="110"):
        environment = {"COLUMNS": width, "NO_COLOR": "1", "TERM": "dumb"}
        arguments = [*words, "--api", api.address]
        result = await asyncio.to_thread(CliRunner(env=environment).invoke, app, arguments)
        if isinstance(result.exception, ApiError):
            raise result.exception
        return result.exit_code, result.output

    return run


async def test_the_structure_is_shown_with_its_meaning(ask):
    """Measures have both bounds if they differ and a dash if they do not apply. Islands and providers follow."""
    code, text = await ask("structure", width="160")
    assert code == 0
    for words in (
        "75.0-87.5 %",
        "6 of 8 required pairs seen to work; 1 on paper only, 1 unknown",
        "of agencies that reach each other; the largest has 3",
        "10.0-20.0 %",
        "95.0 % within, not publishable across",
        "strict share left if tax-office failed",
        "civil-registry, land-registry, tax-office",
        "-60.0 pp",
        "no round in the register",
        "0.900",
    ):
        assert words in text, words
    rows = {name.strip(): line for line in text.splitlines() for name in [line[:15]]}
    assert " - " in rows["reciprocity"]
    assert " - " in rows["silo gap"]
    assert "tax-office  Tax Office" in text
    code, text = await ask("structure", "--json", "--window", "7")
    found = json.loads(text)
    assert (found["structure"]["window_days"], found["structure"]["reciprocity"]) == (7, "NaN")
    assert "official" not in found["three_bars"]


async def test_the_bus_and_the_lack_of_resilience_are_put_in_words(api, ask):
    """A bus that is the weakest node is called a bus, and without resilience the reason is shown."""
    block = blocks_of(api.register)["government"]
    bus = tuple(replace(one, weakest="") for one in block.structures)
    api.take("government", replace(block, structures=bus))
    assert "strict share left if the data bus (4 links) failed" in (await ask("structure"))[1]
    none = tuple(replace(one, weakest="", resilience=None) for one in block.structures)
    api.take("government", replace(block, structures=none))
    assert "nothing to lose" in (await ask("structure", width="160"))[1]


async def test_a_table_by_attribute(ask):
    """Bands, values, unstated values and the total have a row each. An unknown attribute is refused without a call."""
    code, text = await ask("tabulate", "staff")
    assert code == 0
    rows = [line for line in text.splitlines() if line.rstrip().endswith(" 0")]
    assert [row.split(maxsplit=1)[0] for row in rows] == ["4200", "9000", "not", "all"]
    assert " ".join(rows[-1].split()) == "all 82.5 % 82.5-82.5 % 4 5 8 1.60 0.20 0 1 4 0 0"
    _, text = await ask("tabulate", "channel", "--json")
    found = json.loads(text)
    assert [one["value"] for one in found["groups"]] == ["both", "own", "unified", ""]
    assert (found["total"]["inquiries_per_service"], found["total"]["on_paper_per_service"]) == (1.6, 0.2)
    assert (found["total"]["services"], found["total"]["links_absent"]) == (5, 1)
    code, text = await ask("tabulate", "colour")
    assert code == 2
    assert "cannot be tabulated" in text


@pytest.mark.parametrize("words", [("structure",), ("tabulate", "staff"), ("rounds",)])
async def test_json_needs_no_timezone(ask, monkeypatch, words):
    """Times in JSON are in UTC, so the policy's timezone is not requested."""
    monkeypatch.setattr(Client, "timezone", None)
    code, text = await ask(*words, "--json")
    assert (code, len(text.splitlines())) == (0, 1)


async def test_rounds_are_quoted_and_persian_is_isolated(api, ask, tmp_path):
    """Missing scores are marked, growth is that of stated scores, and Persian names end their line within isolates."""
    api.register = load_register(write_register(tmp_path / "evaluated", evaluation_rounds_yaml=EVALUATION))
    api.take_register()
    code, text = await ask("rounds")
    assert code == 0
    for words in ("made up for tests", "not stated", "more than 40", "+12.50", "+25.0 %", "islands of data"):
        assert words in text, words
    assert "no weighting is known or claimed" in text
    line = next(line for line in text.splitlines() if "یکپارچگی" in line)
    assert line.rstrip().endswith("\u2068یکپارچگی\u2069")
    assert line.split()[-2] == "50"
    line = next(line for line in text.splitlines() if "civil-registry" in line)
    assert line.rstrip().endswith("\u2069")
    for words in ("integration score of round 3", "50.0 %", "91.7 %", "82.5 %", "0.900"):
        assert words in text, words
    _, text = await ask("rounds", "--json", "--window", "7")
    found = json.loads(text)
    assert "overall_percent" not in found["rounds"][0]
    assert found["three_bars"] == {
        "as_of": "2026-09-21T14:15:00Z",
        "register_version": api.register.register_version,
        "window_days": 7,
        "official": 0.5,
        "official_round": "3",
        "declared": pytest.approx(11 / 12),
        "measured": pytest.approx(0.825),
        "measured_lower": pytest.approx(0.825),
        "measured_upper": pytest.approx(0.825),
        "verification_ratio": pytest.approx(0.9),
        "links_required": 8,
        "links_absent": 1,
    }


async def test_rounds_of_two_models_are_shown_apart(api, ask, tmp_path):
    """A dimension is empty in rounds of other models. Bounds, more figures and sources are shown; brackets are text."""
    text = KNOWN_ROUNDS.replace("[donya-e-eqtesad.com 3394490]", '["[/page 7] of a paper"]')
    text = text.replace("value: 37}", "value: 1234567}")
    api.take_register(load_register(write_register(tmp_path / "known", evaluation_rounds_yaml=text)))
    code, text = await ask("rounds", width="140")
    assert code == 0
    rows = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    assert rows["Integration of services"].count("not stated") == 3
    assert "50.19" in rows["Integration of services"]
    assert rows["Transparent government"].count("not stated") == 3
    assert "more than 38" in rows["overall"]
    for words in (
        "1,234,567 Indicators",
        "107 Agencies with all services",
        "announced at the bottom",
        "Round 12, note: Held under",
        "[/page 7] of",
    ):
        assert words in " ".join(text.split()) or words in text, words
    assert "No two rounds state the same score" in text
    line = next(line for line in text.splitlines() if "mehrnews.com, news 6706503" in line)
    assert "agencies, also_stated" in line


async def test_rounds_are_shown_before_there_is_an_index(api, ask):
    """Without rounds a sentence is shown, and without an index the bars are left out. Other errors are raised."""
    api.take("government", None)
    code, text = await ask("rounds")
    assert (code, "bars" in text) == (0, False)
    assert "lists no official rounds (evaluation_rounds.yaml)" in text
    code, text = await ask("rounds", "--json")
    assert (code, json.loads(text)) == (0, {"country": "", "note": "", "dimensions": [], "rounds": [], "growth": []})
    with pytest.raises(ApiError, match="the policy has 7, 28, 90"):
        await ask("rounds", "--window", "5")

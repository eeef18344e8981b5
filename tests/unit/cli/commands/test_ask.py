"""``peyvand indicator`` and ``peyvand explain`` against a real gRPC server."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from services.cli import api_query
from services.cli.commands import ask as ask_commands
from services.core.blocks.encode import AgencyRank
from services.core.blocks.target_blocks import encode_recent_blocks, encode_slot_blocks
from services.core.bus import group_of, recent_key, slot_key
from services.core.errors import ApiError
from services.core.model.indicator import IndicatorKind, RankBand, RankBasis
from services.core.model.outcome import Outcome, Reason
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of, recent_block, slot_block_of, unknown_blocks_of
from tests.support.cases.api.server import served
from tests.support.registers import LINKS, OBJECTIONS, write_register


@pytest.fixture
def ask(api):
    """Run one command against the api, in a thread as the server shares the loop; return its exit code and output."""
    app = typer.Typer()
    app.command("indicator")(ask_commands.indicator)
    app.command("explain")(ask_commands.explain)

    async def run(*words, at=None, width="120"):
        arguments = [*words, "--api", at or api.address]
        environment = {"COLUMNS": width, "NO_COLOR": "1", "TERM": "dumb"}
        result = await asyncio.to_thread(CliRunner(env=environment).invoke, app, arguments)
        if isinstance(result.exception, ApiError):
            raise result.exception
        return result.exit_code, result.output

    return run


async def test_without_arguments_the_government_and_its_sectors_are_shown(api, ask):
    """The table has number, bounds, known share, time and register version of the government and every sector."""
    code, text = await ask("indicator")
    assert code == 0
    rows = {line.split()[0]: line for line in text.splitlines() if "%" in line}
    assert list(rows) == ["country", "economy", "justice"]
    assert "82.5 %" in rows["country"]
    assert "82.5-82.5 %" in rows["country"]
    assert "100.0 %" in rows["country"]
    assert "2026-09-21 17:45:00 Asia/Tehran" in text
    assert f"register {api.register.register_version[:12]}" in text
    assert "window of 28 days" in text


@pytest.mark.parametrize("command", ["indicator", "explain"])
async def test_an_unknown_id_is_answered_with_those_like_it(ask, command):
    """A mistyped id is refused with similar ids, and an id like no other without any."""
    with pytest.raises(ApiError, match=r"knows no agency `tax-offce` \(did you mean `tax-office`\?\)$"):
        await ask(command, "provider", "tax-offce")
    with pytest.raises(ApiError, match=r"knows no link `deed-taxes` \(did you mean `deed-tax`( or `[a-z-]+`)*\?\)$"):
        await ask(command, "link", "deed-taxes")
    with pytest.raises(ApiError, match=r"knows no agency `zzz`$"):
        await ask(command, "provider", "zzz")


async def test_ids_and_names_have_room_in_80_columns(ask):
    """In 80 columns names stand beside whole ids. Columns without room are left out by rank and named."""
    code, text = await ask("indicator", "service", width="80")
    assert code == 0
    rows = {line.split()[0]: " ".join(line.split()) for line in text.splitlines() if line.strip()}
    assert rows["birth-certificate"].startswith("birth-certificate Birth certificate 90.0 %")
    words = " ".join(text.split())
    assert "no room for strict, links, absent, level" in words
    _, text = await ask("indicator", "service", width="140")
    assert "level: 0 isolated to 4 all links at once nearly always" in " ".join(text.split())
    assert "no room" not in text


@pytest.mark.parametrize(("language", "name"), [("fa_IR.UTF-8", "گمرک"), ("en_US.UTF-8", "Customs"), ("C", "Customs")])
async def test_names_are_in_the_language_of_the_environment(ask, monkeypatch, language, name):
    """Tables have Persian names where the environment is Persian."""
    monkeypatch.setenv("LC_ALL", language)
    _, text = await ask("indicator", "provider")
    assert name in next(line for line in text.splitlines() if "customs" in line).split()


async def test_ids_wrap_after_hyphens(ask):
    """In a narrow terminal no id breaks in the middle of a word."""
    _, text = await ask("indicator", "service", width="24")
    words = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert words >= {"birth-", "certificate"}


async def test_a_kind_lists_all_of_it_page_after_page(api, ask, tmp_path):
    """More entities than a page holds are all listed."""
    header, *rows = LINKS.format(base="http://127.0.0.1:7500").splitlines()
    extra = [f"extra-{number:04},birth-certificate,tax-office,item-{number},,,,,,,,,,," for number in range(1100)]
    text = "\n".join([header, *rows, *extra, ""])
    api.register = load_register(write_register(tmp_path / "many", links_csv=text))
    api.take_register()
    api.take_blocks()
    code, text = await ask("indicator", "link", "--json", "--window", "7")
    assert code == 0
    found = [json.loads(line) for line in text.splitlines()]
    assert [one["id"] for one in found] == sorted(api.register.links)
    assert {one["window_days"] for one in found} == {7}


async def test_one_indicator_is_shown_in_full(ask):
    """A kind with an id shows that indicator with its strict share and losses; as JSON it has the contract's field names."""
    code, text = await ask("indicator", "service", "title-transfer")
    assert code == 0
    for words in ("service title-transfer: 45.0 %", "lost: not connected", "50.0 %", "2 required, 2 known, 1 absent"):
        assert words in text
    code, text = await ask("indicator", "service", "title-transfer", "--json")
    found = json.loads(text)
    assert (found["kind"], found["known_share"], found["losses"]["not_connected"]) == (
        *("INDICATOR_KIND_SERVICE", 1.0, 0.5),
    )


async def test_an_explanation_is_a_waterfall_with_what_would_help(ask):
    """Losses by stage lead from 100 % to the index; providers and links follow, with the gain of each."""
    code, text = await ask("explain")
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for words in ("required 100.0 %", "not connected 8.3 pp 91.7 %", "late 9.2 pp 82.5 %", "answered 82.5 %"):
        assert sum(line.startswith(words) for line in lines) == 1
    at = lines.index("transfer-customs 8.3 pp 8.3 pp absent 90.8 %")
    assert lines[at + 1] == "Land Registry needs liens of Customs"
    assert "Providers at which most is lost" in text
    code, text = await ask("explain", "provider", "customs", "--json", "--limit", "1")
    answer = json.loads(text)
    assert [one["link"]["id"] for one in answer["links"]] == ["transfer-customs"]
    assert answer["indicator"]["id"] == "customs"


async def test_an_explanation_of_what_is_not_known_has_no_waterfall(api, ask):
    """Without an estimate nothing is said to be required, answered or lost: the output says that nothing is known yet."""
    for key, block in unknown_blocks_of(api.register).items():
        api.take(key, block)
    for words in (["explain"], ["explain", "provider", "tax-office"], ["explain", "link", "deed-tax"]):
        code, text = await ask(*words)
        assert code == 0
        assert "It is not known yet where inquiries are lost." in text
        assert "answered 0.0 %" not in " ".join(text.split())
        assert "required 0.0 %" not in " ".join(text.split())
    _, text = await ask("indicator", "provider", "tax-office")
    assert "bounds" in text
    assert "lost:" not in text


async def test_tables_stay_readable_in_a_narrow_terminal(ask):
    """At 80 columns no number is cut."""
    _, text = await ask("indicator", "consumer", width="80")
    assert "…" not in text
    assert "90.0-90.0 %" in text


async def test_what_is_refused_is_one_sentence(ask):
    """The api's own sentence is printed with its address; an unknown kind is refused before the api is called."""
    with pytest.raises(ApiError, match=r"^api at 127.0.0.1:\d+: the register in force knows no link `no`$"):
        await ask("indicator", "link", "no")
    with pytest.raises(ApiError, match="the policy has 7, 28, 90"):
        await ask("explain", "--window", "5")
    code, text = await ask("indicator", "ministry")
    assert code == 2
    assert "`ministry` is no kind" in text


async def test_an_api_that_is_not_there_is_one_sentence(ask, port, monkeypatch):
    """No api, a silent server and another server at the address are each named, with what to do."""
    nobody = f"127.0.0.1:{port()}"
    with pytest.raises(ApiError, match=f"^api at {nobody} does not answer: start it, or ask another$"):
        await ask("indicator", at=nobody)
    async with served(services={}) as other:
        with pytest.raises(ApiError, match=rf"^what answers at 127.0.0.1:{other} is no api of ours \(UNIMPLEMENTED\)"):
            await ask("indicator", at=f"127.0.0.1:{other}")
    monkeypatch.setattr(api_query, "_CALL_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ApiError, match=f"^api at {where} did not answer within 0.2 s"):
            await ask("indicator", at=where)


async def test_an_agency_has_a_range_of_ranks(api, ask):
    """An agency shows the ranks that the intervals allow and the number of agencies; without ranks it shows nothing."""
    block = blocks_of(api.register)["government"]
    band = RankBand(1, 3, RankBasis.INTERVALS, 4)
    api.take("government", replace(block, ranks=(AgencyRank(IndicatorKind.PROVIDER, "customs", 28, band),)))
    _, text = await ask("indicator", "provider", "customs")
    assert "rank 1 to 3 of 4, by the intervals of all" in " ".join(text.split())
    _, text = await ask("indicator", "provider", "tax-office")
    assert "by the intervals" not in text


async def test_an_interval_says_when_it_rests_on_too_few_outages(ask):
    """An interval that rests on one outage says so; one that rests on more outages says nothing."""
    words = "95 % interval), which rests on one outage: how low it reaches is mostly assumed"
    for command in ("indicator", "explain"):
        _, text = await ask(command, "link", "deed-tax")
        assert words in " ".join(text.split())
        _, text = await ask(command, "government")
        assert "rests on" not in text


async def test_objections_stand_beside_the_evidence(api, ask, tmp_path):
    """An explanation of a link says who objects to it since when, and what was answered."""
    api.take_register(load_register(write_register(tmp_path / "noted", objections_csv=OBJECTIONS)))
    api.bucket.values[recent_key(group_of("land-registry"), 0)] = encode_recent_blocks([recent_block(api.register)])[0]
    _, text = await ask("explain", "link", "deed-tax")
    assert "Objection (open), from 2026-03-02 00:00:00: The answer is not late." in " ".join(text.split())
    _, text = await ask("explain", "link", "deed-civil")
    assert (
        "Objection (accepted), from 2026-03-01 00:00:00 to 2026-03-01 13:30:00: The test record was withdrawn. "
        "Answer: It is replaced in the next register." in " ".join(text.split())
    )


async def test_announced_work_stands_beside_the_evidence(api, ask, tmp_path):
    """What was announced of a link, or of an agency, is shown where it was not over when the window began."""
    rows = (
        "subject,from,to,note\ntax-office,2026-09-20,2026-09-29,new switches\ntax-office,2026-01-01,2026-01-02,over\n"
    )
    rows += "deed-tax,2026-09-01,2026-09-02,\ncustoms,2026-09-30,2026-10-01,moved\n"
    api.take_register(load_register(write_register(tmp_path / "worked", maintenance_csv=rows)))
    customs = "Announced work on customs, 2026-09-30 00:00:00 to 2026-10-01 00:00:00: moved (it excludes no slot)"
    office = (
        "Announced work on tax-office, 2026-09-20 00:00:00 to 2026-09-29 00:00:00: new switches (it excludes no slot)"
    )
    link = "Announced work on deed-tax, 2026-09-01 00:00:00 to 2026-09-02 00:00:00 (it excludes no slot)"
    for words, lines in (
        (("link", "deed-tax"), [link, office]),
        (("provider", "tax-office"), [office]),
        (("consumer", "customs"), [customs]),
        (("government",), []),
    ):
        _, text = await ask("explain", *words, width="200")
        assert [line.strip() for line in text.splitlines() if "Announced work" in line] == lines


async def test_a_link_whose_certificate_has_no_end_is_explained(api, ask):
    """The last second of the year 9999 is no day in the policy's timezone, so the certificate is called without end."""
    block = recent_block(api.register)
    block.latest.numbers[-1][block.latest.numbers[-1] > 0] = 253_402_300_799
    api.bucket.values[recent_key(group_of("land-registry"), 0)] = encode_recent_blocks([block])[0]
    code, text = await ask("explain", "link", "deed-tax")
    assert code == 0
    assert "certificate without end" in text


@pytest.mark.parametrize("width", ["80", "120"])
async def test_a_link_is_explained_to_a_person(api, ask, width):
    """Slots, reasons by share, the latest with its phases, failures with details and the budget fit the terminal."""
    block = recent_block(api.register)
    slot = AS_OF // 300 - 1
    cells = {("deed-tax", slot, "north"): (Outcome.INVALID, Reason.STATUS)}
    slots = slot_block_of(api.register, "land-registry", slot // 64, cells)
    api.bucket.values |= {
        slot_key(group_of("land-registry"), slot // 64): encode_slot_blocks([slots])[0],
        recent_key(group_of("land-registry"), 0): encode_recent_blocks([block])[0],
    }
    code, text = await ask("explain", "link", "deed-tax", width=width)
    assert code == 0
    assert max(map(len, text.splitlines())) <= int(width)
    shown = " ".join(text.split())
    assert "100 slots in force, 100 known: late 10, ok 90" in shown
    assert "Why 1 of 1 known slots failed" in shown
    assert "certificate expires 2030-03-17" in shown
    assert "20.0 ms" in shown
    assert "░ connect ▓ tls █ processing" in shown
    assert "status 503" in shown
    assert "09-21 17:35:00" in shown  # of the failure, in the policy's timezone
    assert "5 of 10 50.0 14.4 burning" in shown
    assert "land-registry asked civil-registry" not in shown

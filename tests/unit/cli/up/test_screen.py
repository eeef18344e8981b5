"""The screen of ``peyvand up``: the three bars and the data bus in one line each, late measurements, and links."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from rich.console import Console

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.cli.up import monitor
from services.cli.up.lines import late_note, vantage_notes
from services.cli.up.monitor import Monitor
from services.cli.up.screen import ExchangeCounts, SystemState, fitting_panel, system_panel
from services.core.metrics.factory import counter
from services.core.model import IndicatorKind
from services.register.directory.load import load_register
from tests.support.registers import write_register
from tests.support.waiting import DEADLINE

NOTHING = ExchangeCounts()


def shown(
    exchanges: ExchangeCounts = NOTHING,
    notes: tuple[str, ...] = (),
    explained: indicator_service_pb2.ExplainIndicatorResponse | None = None,
    providers: tuple[indicator_pb2.Indicator, ...] = (),
    **bars: Any,
) -> SystemState:
    """Return a state with these bars, exchanges, explanation and providers."""
    return SystemState(
        title="t",
        indicator=indicator_pb2.Indicator(point=0.5, lower=0.5, upper=0.5, known_share=1.0),
        explanation=explained,
        three_bars=indicator_pb2.ThreeBars(**bars) if bars else None,
        providers=providers,
        trend=(),
        probes_per_second=None,
        notes=notes,
        waiting_for="",
        pages="http://127.0.0.1:7411/",
        addresses="",
        next_steps="next: peyvand explain",
        exchanges=exchanges,
    )


def drawn(*args: Any, **named: Any) -> str:
    """Return the screen as text."""
    text = io.StringIO()
    Console(file=text, width=100).print(system_panel(shown(*args, **named)))
    return text.getvalue()


@pytest.mark.parametrize(
    ("bars", "line"),
    [
        (
            {"official": 0.5019, "official_round": "5", "declared": 0.85, "measured": 0.5},
            "three bars: official, round 5 50.2 % · declared 85.0 % · measured 50.0 %",
        ),
        ({"declared": 0.85}, "three bars: official not stated · declared 85.0 % · measured not publishable"),
    ],
)
def test_three_bars_are_one_line(bars: dict[str, Any], line: str) -> None:
    """Each bar is shown with its value, and an unset bar as such instead of 0."""
    assert line in drawn(**bars)


def test_the_title_has_the_register_in_force(tmp_path: Path) -> None:
    """The title names a newly published register as soon as an index is based on it."""
    watching, register = Monitor("", "", str, (), 0.0), load_register(write_register(tmp_path))
    assert watching._state(register).title.endswith(f"register {register.register_version[:8]}")
    watching._indicator = indicator_pb2.Indicator(register_version="a2b3c4d5e6")
    assert watching._state(register).title.endswith("register a2b3c4d5")


def test_before_the_epoch_the_screen_says_so(tmp_path: Path) -> None:
    """Before its epoch a register has nothing to wait for, and the screen says what to change."""
    register = load_register(write_register(tmp_path, policy_yaml=("epoch: 2026-01-01", "epoch: 2199-01-01")))
    assert "before the epoch, 2198-12-31 20:30 UTC" in Monitor("", "", str, (), 0.0)._state(register).waiting_for


_TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("dates", "waits"),
    [
        ((date.min, None), True),
        ((_TODAY - timedelta(3), _TODAY - timedelta(1)), True),
        ((_TODAY + timedelta(9), None), False),
        ((date.min, _TODAY - timedelta(400)), False),
    ],
)
def test_without_a_link_in_force_nothing_is_waited_for(
    tmp_path: Path, dates: tuple[date, date | None], waits: bool
) -> None:
    """The screen waits for an index only if a link is in force in the default window, and says so if none is."""
    register = replace(load_register(write_register(tmp_path)), endpoints={})
    links = {
        name: replace(one, required_from=dates[0], required_until=dates[1]) for name, one in register.links.items()
    }
    text = Monitor("", "", str, (), 0.0)._state(replace(register, links=links)).waiting_for
    assert ("the first index comes" in text) is waits
    assert ("none that is in force and weighs anything, so there is no index: see required_from" in text) is not waits
    assert "Endpoints" not in text


async def test_links_that_come_into_force_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no link is in force endpoints are followed, and from the day of the first link on the index."""
    register = load_register(write_register(tmp_path))
    begins = datetime.now(UTC) + timedelta(days=9)
    links = {name: replace(one, required_from=begins.date()) for name, one in register.links.items()}
    watching, followed = Monitor("", "", str, (), 0.0), list[str]()

    class Api:
        async def indicators(self, _: IndicatorKind) -> AsyncIterator[indicator_pb2.Indicator]:
            followed.append("endpoints")
            monkeypatch.setattr(monitor, "time", SimpleNamespace(time=(begins + timedelta(days=1)).timestamp))
            yield indicator_pb2.Indicator(id="portal")

        async def watch(self, _: IndicatorKind) -> AsyncIterator[indicator_pb2.Indicator]:
            followed.append("index")
            raise asyncio.CancelledError
            yield

    monkeypatch.setattr(monitor, "_SCRAPE_SECONDS", 0.0)
    monkeypatch.setattr(monitor, "connect", lambda *_, **__: nullcontext(Api()))
    with pytest.raises(asyncio.CancelledError):
        await watching._follow(replace(register, links=links), as_lines=False)
    assert (followed, watching._endpoints) == (["endpoints", "index"], ())


def test_brackets_in_names_are_no_markup() -> None:
    """The name of a government or of an agency is shown unchanged, brackets included."""
    state = replace(
        shown(providers=(indicator_pb2.Indicator(id="tax"),)), title="Land [/page]", names={"tax": "Tax [/bold]"}
    )
    console = Console(file=io.StringIO(), width=80, height=40, markup=False)
    text = "".join(part.text for line in console.render_lines(fitting_panel(state, console)) for part in line)
    assert "Land [/page]" in text
    assert "Tax [/bold]" in text


def test_without_bars_there_is_no_line() -> None:
    """Before the api has returned bars, none are shown."""
    assert "three bars" not in drawn()


def test_what_the_data_bus_carried_is_one_line() -> None:
    """Exchanges are shown as soon as any record was read, and not before."""
    assert "data bus" not in drawn()
    told = drawn(ExchangeCounts(records=2460, paired=1200, orphans=7))
    assert "data bus: 1,200 exchanges logged by both sides, 7 by one so far; 2,460 records" in told


def test_a_link_is_shown_with_its_gain() -> None:
    """A link from which others are imputed gains more than it loses. The table shows the gain and not the loss."""
    cost = indicator_service_pb2.LinkCost(loss=0.1, known_share=0.5, index_if_fixed=0.7)
    cost.link.id = "deed-tax"
    told = drawn(explained=indicator_service_pb2.ExplainIndicatorResponse(estimate=0.5, links=[cost]))
    (row,) = [line.split() for line in told.splitlines() if "deed-tax" in line]
    assert row[-7:-1] == ["20", "pp", "not", "connected", "70.0", "%"]


@pytest.mark.parametrize("height", [10, 24, 30, 60])
def test_the_screen_fits_the_terminal(height: int) -> None:
    """At 80 columns no id is cut, and the height limits the rows, so that the next step is never hidden."""
    names = [f"{'-'.join(['agency'] * 4)}-{number}" for number in range(8)]
    links = []
    for name in names:
        links.append(indicator_service_pb2.LinkCost(loss=0.1, known_share=0.5, index_if_fixed=0.7))
        links[-1].link.id = f"{name}-{name}"
    state = shown(
        ExchangeCounts(records=2460, paired=1200, orphans=7),
        ("vantage main is blind, so nothing it sees counts: tcp://192.0.2.1:443 does not answer",),
        indicator_service_pb2.ExplainIndicatorResponse(estimate=0.5, links=links),
        tuple(indicator_pb2.Indicator(id=name) for name in names),
        declared=0.85,
    )
    console = Console(file=io.StringIO(), width=80, height=height, force_terminal=True)
    lines = ["".join(part.text for part in line) for line in console.render_lines(fitting_panel(state, console))]
    assert len(lines) <= height or height < 15
    text = "".join("".join(lines).replace("│", " ").split())
    assert "peyvandexplain" in text
    assert "…" not in text
    rows = [name for name in names if f"{name}-" in text]
    assert len(rows) == {10: 0, 24: 1, 30: 3, 60: 5}[height]


def test_what_is_not_known_is_not_shown_as_lost() -> None:
    """An unknown link is in no table, and blind vantages come first, each with the target that does not answer."""
    cost = indicator_service_pb2.LinkCost(loss=0.1, index_if_fixed=0.7)
    cost.link.id = "deed-tax"
    answer = indicator_service_pb2.ExplainIndicatorResponse(estimate=0.5, links=[cost])
    notes = tuple(vantage_notes([("main", "tcp://192.0.2.1:443")], ["south"]))
    told = drawn(notes=notes, explained=answer)
    assert "deed-tax" not in told
    _, pages, first, second, *_ = told.splitlines()
    assert "http://127.0.0.1:7411/" in pages
    assert "vantage main is blind, so nothing it sees counts: tcp://192.0.2.1:443 does not answer" in first
    assert "vantage south resolves no name" in second


def test_late_measurements_are_shown_on_the_screen() -> None:
    """The screen shows that the index lacks some measurements, and where to read more."""
    told = " ".join(drawn(notes=(late_note(1234),)).replace("│", " ").split())
    assert (
        "1,234 measurements came after the grace of their slots and are not counted; "
        "see docs/alerts.md, MeasurementsLate"
    ) in told


@pytest.mark.parametrize("terminal", [{}, {"FORCE_COLOR": "1", "TERM": "dumb"}], ids=["no terminal", "dumb terminal"])
async def test_late_measurements_are_printed_while_they_grow(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: dict[str, str]
) -> None:
    """Without a usable terminal, a line is printed as soon as the scorer's counter grows, and none for zero."""
    for variable, value in terminal.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(monitor, "_LINES_SCRAPE_SECONDS", 0.1)
    registry = CollectorRegistry()
    late = counter("peyvand_measurements_late_total", registry)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    where = f"127.0.0.1:{server.server_port}"
    watching = Monitor(where, where, lambda _: where, (), 0.0)
    showing = asyncio.create_task(watching.show(load_register(write_register(tmp_path))))
    said: list[str] = []

    async def lines(count: int) -> list[str]:
        async with asyncio.timeout(DEADLINE):
            while len(said) < count:
                await asyncio.sleep(0.05)
                said.extend(capsys.readouterr().out.splitlines())
        return said

    try:
        await lines(1)
        late.inc(3)
        assert (await lines(2))[1] == late_note(3)
        late.inc(4)
        assert (await lines(3))[2] == late_note(7)
    finally:
        showing.cancel()
        await asyncio.wait({showing})
        server.shutdown()
        server.server_close()
        thread.join()

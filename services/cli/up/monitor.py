"""Follows a running system over gRPC and /metrics, as any other client would, and shows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from rich.console import Console
from rich.live import Live

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.cli.connections import fetch_local
from services.cli.render.format import name_of
from services.cli.render.register import epoch_note
from services.cli.up.lines import endpoints_line, late_note, restart_note, slot_line, vantage_notes
from services.cli.up.processes import SupervisedProcess
from services.cli.up.screen import ExchangeCounts, SystemState, fitting_panel
from services.client import Client, IndicatorKind, connect
from services.core.errors import ApiError
from services.core.model import Register
from services.core.texts import plural
from services.indicator.calendar import Calendar
from services.indicator.requirements import has_index

_REFRESH_SECONDS = 0.5
_SCRAPE_SECONDS = 1.0
# Where one line is printed per slot, counters are read less often: each time costs prober and scorer as much as some
# three probes.
_LINES_SCRAPE_SECONDS = 5.0
_RETRY_SECONDS = 0.1
_TIMEOUT_SECONDS = 5.0
_PROBES = "peyvand_probe_outcomes_total"
_EXCHANGES = ("peyvand_exchange_records_total", "peyvand_exchange_paired_total", "peyvand_exchange_orphans")
_LATE = "peyvand_measurements_late_total"
_FAILED, _UNRESOLVED = "peyvand_control_failed", "peyvand_vantage_unresolved"
_SMOOTHING = 0.2
"""The share of the newest rate of probes in the rate that is shown."""


class Monitor:
    """Requests every new index from the api, and counters from the components."""

    def __init__(
        self,
        api: str,
        console: str,
        metrics: Callable[[str], str],
        children: Sequence[SupervisedProcess],
        started: float,
    ) -> None:
        """``metrics`` returns where a component serves its /metrics; ``started`` is in epoch seconds."""
        self._api = api
        self._console = console
        self._metrics = metrics
        self._children = children
        self._started = started
        self._waits = True
        self._indicator: indicator_pb2.Indicator | None = None
        self._explanation: indicator_service_pb2.ExplainIndicatorResponse | None = None
        self._three_bars: indicator_pb2.ThreeBars | None = None
        self._providers: tuple[indicator_pb2.Indicator, ...] = ()
        self._endpoints: tuple[indicator_pb2.Indicator, ...] = ()
        self._trend: list[float] = []
        self._probes = (0.0, 0.0)  # the counter's value, and when it was read
        self._rate: float | None = None
        self._exchanges = ExchangeCounts()
        self._late = 0
        self._vantage: list[str] = []  # what is wrong with it
        self._printed: tuple[str, ...] = ()

    @property
    def is_waiting(self) -> bool:
        """Whether an index, or without one the indicators of endpoints, are still to come."""
        return self._waits and self._indicator is None and not self._endpoints

    async def show(self, register: Register) -> None:
        """Show the system until cancelled: a live table in a terminal, one line per slot elsewhere."""
        console = Console(markup=False)
        as_lines = not console.is_terminal or console.is_dumb_terminal
        self._waits = bool(register.endpoints) or _expects_index(register)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_metrics(as_lines=as_lines))
            tasks.create_task(self._follow(register, as_lines=as_lines))
            if as_lines:
                print(f"pages: http://{self._console}/ · {self._waiting_for(register)}", flush=True)
                return
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    live.update(fitting_panel(self._state(register), console), refresh=True)
                    await asyncio.sleep(_REFRESH_SECONDS)

    def _waiting_for(self, register: Register) -> str:
        if note := epoch_note(register, time.time()):
            return note
        after = f"{register.settle_seconds:.0f} s after the first whole slot of {register.policy.slot_seconds} s"
        links, agencies = plural(len(register.links), "link"), plural(len(register.agencies), "agency", "agencies")
        if _expects_index(register):
            return (
                f"{links} of {plural(len(register.services), 'service')} in {agencies}; the first index comes {after}"
            )
        if register.links:
            why = (
                f"{links} of {agencies}, and none that is in force and weighs anything, so there is no index: "
                "see required_from, required_until and weight in links.csv (docs/register.md)"
            )
        else:
            why = (
                f"{plural(len(register.endpoints), 'endpoint')} of {agencies} and no links, so there is no index: "
                "list the inquiries that are required in links.csv (docs/register.md)"
            )
        return f"{why}. Endpoints are shown {after}" if register.endpoints else why

    def _state(self, register: Register) -> SystemState:
        api = "" if self._api == "127.0.0.1:7410" else f" --api {self._api}"
        names = {name: name_of(agency) for name, agency in register.agencies.items()}
        metrics = f"http://{self._metrics('prober')}/metrics"
        return SystemState(
            title=f"Peyvand · {name_of(register.policy.government)} · register {self._version(register)[:8]}",
            indicator=self._indicator,
            explanation=self._explanation,
            three_bars=self._three_bars,
            providers=self._providers,
            endpoints=self._endpoints,
            trend=tuple(self._trend),
            probes_per_second=self._rate,
            notes=self._notes(),
            exchanges=self._exchanges,
            waiting_for=f"{self._waiting_for(register)} ({time.time() - self._started:.0f} s)",
            pages=f"http://{self._console}/",
            addresses=f"gRPC {self._api} · metrics from {metrics} on",
            next_steps=f"next, in another terminal: .venv/bin/peyvand explain{api}, or --help",
            names=names,
        )

    def _version(self, register: Register) -> str:
        """Return the version of the register in force, which may have replaced the one published at startup."""
        shown = self._endpoints[0] if self._endpoints else self._indicator
        return register.register_version if shown is None else shown.register_version

    def _notes(self) -> tuple[str, ...]:
        """Return what a person should know about the processes and the measurements."""
        notes = [restart_note(child.name, child.restarts) for child in self._children if child.restarts]
        notes += [
            f"{child.name} is stopped by a signal: `kill -CONT {child.process.pid}` lets it go on"
            for child in self._children
            if child.process is not None and child.suspended
        ]
        return (*self._vantage, *notes, *([late_note(self._late)] if self._late else []))

    async def _follow(self, register: Register, *, as_lines: bool) -> None:
        """Follow the published numbers forever: those of endpoints until a link is in force, then the index."""
        while True:
            # The api may be starting, or restarted.
            with suppress(ApiError):
                async with connect(self._api, timeout=_TIMEOUT_SECONDS, pause=lambda: _RETRY_SECONDS) as api:
                    await self._watch_endpoints(api, register, as_lines)
                    await self._watch(api, as_lines)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _watch_endpoints(self, api: Client, register: Register, as_lines: bool) -> None:
        """Follow the indicators of endpoints while there is no index."""
        as_of = 0
        while not _expects_index(register):
            with suppress(ApiError):  # nothing is published yet
                self._endpoints = tuple([one async for one in api.indicators(IndicatorKind.ENDPOINT)])
                newest = max((endpoint.as_of.seconds for endpoint in self._endpoints), default=0)
                if as_lines and newest > as_of:
                    print(endpoints_line(self._endpoints, self._rate), flush=True)
                as_of = newest
            await asyncio.sleep(_SCRAPE_SECONDS)
        self._endpoints = ()

    async def _watch(self, api: Client, as_lines: bool) -> None:
        """Follow the government's index."""
        async with aclosing(api.watch(IndicatorKind.GOVERNMENT)) as indicators:
            async for indicator in indicators:
                before, self._indicator = self._indicator, indicator
                if before is not None and indicator.as_of.seconds <= before.as_of.seconds:
                    continue
                self._trend.append(indicator.point if indicator.HasField("point") else indicator.lower)
                if as_lines:
                    print(slot_line(indicator, self._rate), flush=True)
                    continue
                self._explanation = await api.explain(IndicatorKind.GOVERNMENT, limit=5)
                self._providers = tuple([one async for one in api.indicators(IndicatorKind.PROVIDER)])
                self._three_bars = (await api.structure()).three_bars

    async def _follow_metrics(self, *, as_lines: bool) -> None:
        """Follow counters of the components forever: probes, exchanges, and measurements that came too late."""
        while True:
            with suppress(OSError):
                (late,) = await self._read("scorer", _LATE)
                self._late = int(late)
            with suppress(OSError):
                self._exchanges = ExchangeCounts(*map(int, await self._read("collector", *_EXCHANGES)))
            with suppress(OSError):
                samples = await asyncio.to_thread(_samples, self._metrics("prober"), (_PROBES, _FAILED, _UNRESOLVED))
                self._update_rate(sum(sample.value for sample in samples if sample.name == _PROBES))
                self._vantage = vantage_notes(
                    [
                        (sample.labels["vantage"], sample.labels["target"])
                        for sample in samples
                        if sample.name == _FAILED
                    ],
                    [sample.labels["vantage"] for sample in samples if sample.name == _UNRESOLVED and sample.value],
                )
            if as_lines:
                self._print_notes()
            await asyncio.sleep(_LINES_SCRAPE_SECONDS if as_lines else _SCRAPE_SECONDS)

    def _print_notes(self) -> None:
        """Print each note that is new or has changed since the last time."""
        notes = self._notes()
        for note in notes:
            if note not in self._printed:
                print(note, flush=True)
        self._printed = notes

    def _update_rate(self, count: float) -> None:
        """Compute probes per second from the prober's counter, smoothed."""
        (before, when), now = self._probes, time.monotonic()
        if when and count >= before:
            newest = (count - before) / (now - when)
            self._rate = newest if self._rate is None else (1 - _SMOOTHING) * self._rate + _SMOOTHING * newest
        self._probes = (count, now)

    async def _read(self, component: str, *names: str) -> list[float]:
        """Return the sum over all series of each of these metrics of a component."""
        sums = dict.fromkeys(names, 0.0)
        for sample in await asyncio.to_thread(_samples, self._metrics(component), names):
            sums[sample.name] += sample.value
        return list(sums.values())


def _expects_index(register: Register) -> bool:
    """Return whether an index over the default window comes with the next slot, or with the first one."""
    policy = register.policy
    return has_index(register, Calendar.of(policy), policy.default_window, time.time())


def _samples(where: str, names: Sequence[str]) -> list[Sample]:
    # Name the metrics: a scorer has thousands of series of links, too many to write out every second.
    query = urlencode([("name[]", name) for name in names])
    text = fetch_local(where, f"/metrics?{query}", timeout=2).decode()
    families = text_string_to_metric_families(text)
    return [sample for family in families for sample in family.samples if sample.name in names]

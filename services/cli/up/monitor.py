"""How ``peyvand up`` follows its own system: over gRPC and /metrics, as anybody else would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import urlencode

import grpc
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.live import Live

from peyvand.v1 import indicator_pb2, indicator_service_pb2, indicator_service_pb2_grpc
from services.cli.loopback import fetch
from services.cli.up.processes import Child
from services.cli.up.screen import Exchanges, Picture, left_out, line, table
from services.core.model import Register

__all__ = ["Watching"]

_REFRESH_SECONDS = 0.5
_RETRY_SECONDS = 0.1
_CALL_SECONDS = 5.0
_EXCHANGES = ("peyvand_exchange_records_total", "peyvand_exchange_paired_total", "peyvand_exchange_orphans")
_LATE = "peyvand_measurements_late_total"
_DIRECT = (("grpc.enable_http_proxy", 0),)  # our own api, on loopback


class Watching:
    """Asks the api for every new index and draws it."""

    def __init__(self, api: str, metrics: Callable[[str], str], children: Sequence[Child], started: float) -> None:
        """``metrics`` says where a component serves its /metrics."""
        self._api = api
        self._prober_metrics = metrics("prober")
        self._collector_metrics = metrics("collector")
        self._scorer_metrics = metrics("scorer")
        self._exchanges = Exchanges()
        self._late = 0
        self._children = children
        self._started = started
        self._indicator: indicator_pb2.Indicator | None = None
        self._explained: indicator_service_pb2.ExplainIndicatorResponse | None = None
        self._bars: indicator_pb2.ThreeBars | None = None
        self._providers: tuple[indicator_pb2.Indicator, ...] = ()
        self._trend: list[float] = []
        self._probes = (0.0, 0.0)  # counter value, when read
        self._rate: float | None = None

    @property
    def seen(self) -> bool:
        """Whether any index was seen."""
        return self._indicator is not None

    async def show(self, register: Register) -> None:
        """Draw until cancelled: a live table in a terminal, one line per slot elsewhere."""
        console = Console()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._measure_rate())
            if not console.is_terminal:
                print(self._waiting_for(register), flush=True)
                tasks.create_task(self._follow(print_lines=True))
                tasks.create_task(self._follow_late(print_lines=True))
                return
            tasks.create_task(self._follow_late(print_lines=False))
            tasks.create_task(self._follow(print_lines=False))
            tasks.create_task(self._follow_exchanges())
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    live.update(table(self._picture(register)), refresh=True)
                    await asyncio.sleep(_REFRESH_SECONDS)

    def _waiting_for(self, register: Register) -> str:
        slot = register.policy.slot_seconds
        return (
            f"{len(register.links)} links of {len(register.services)} services in {len(register.agencies)} agencies; "
            f"the first index comes {register.settle_seconds:.0f} s after the first whole slot of {slot} s"
        )

    def _picture(self, register: Register) -> Picture:
        api = "" if self._api == "127.0.0.1:7410" else f" --api {self._api}"
        restarts = [
            f"{child.name} was started again {child.restarts} times" for child in self._children if child.restarts
        ]
        return Picture(
            title=f"Peyvand · {register.policy.government.name_en} · register {register.register_version[:8]}",
            started=self._started,
            now=time.time(),
            indicator=self._indicator,
            explained=self._explained,
            three_bars=self._bars,
            providers=self._providers,
            trend=tuple(self._trend),
            probes_per_second=self._rate,
            notes=(*restarts, *([left_out(self._late)] if self._late else [])),
            exchanges=self._exchanges,
            waiting_for=self._waiting_for(register),
            addresses=f"gRPC {self._api} · metrics http://{self._prober_metrics}/metrics (prober) and the ports after it",
            next_steps=f"next, in another terminal: .venv/bin/peyvand explain{api} · indicator provider{api} · --help",
        )

    async def _follow(self, *, print_lines: bool) -> None:
        """Take in every new index of the government, for ever."""
        while True:
            try:
                async with grpc.aio.insecure_channel(self._api, options=_DIRECT) as channel:
                    await self._watch(indicator_service_pb2_grpc.IndicatorServiceStub(channel), print_lines=print_lines)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(_RETRY_SECONDS)  # the api is not there yet, or was started again

    async def _watch(self, api: indicator_service_pb2_grpc.IndicatorServiceAsyncStub, *, print_lines: bool) -> None:
        kinds = indicator_pb2.IndicatorKind
        request = indicator_service_pb2.WatchIndicatorsRequest(kind=kinds.INDICATOR_KIND_GOVERNMENT)
        async for update in api.WatchIndicators(request):
            indicator = update.indicator
            if self._indicator is not None and indicator.as_of.seconds <= self._indicator.as_of.seconds:
                self._indicator = indicator
                continue
            self._indicator = indicator
            self._trend.append(indicator.point if indicator.HasField("point") else indicator.lower)
            if print_lines:
                print(line(indicator, self._rate), flush=True)
                continue
            self._explained = await api.ExplainIndicator(
                indicator_service_pb2.ExplainIndicatorRequest(kind=kinds.INDICATOR_KIND_GOVERNMENT, limit=5),
                timeout=_CALL_SECONDS,
            )
            providers = await api.ListIndicators(
                indicator_service_pb2.ListIndicatorsRequest(kind=kinds.INDICATOR_KIND_PROVIDER, page_size=1000),
                timeout=_CALL_SECONDS,
            )
            self._providers = tuple(providers.indicators)
            found = await api.GetStructure(indicator_service_pb2.GetStructureRequest(), timeout=_CALL_SECONDS)
            self._bars = found.three_bars

    async def _measure_rate(self) -> None:
        """Probes per second, from the prober's own counter."""
        while True:
            await asyncio.sleep(2 * _REFRESH_SECONDS)
            try:
                count = await asyncio.to_thread(self._read_probes)
            except OSError:
                continue
            before, when = self._probes
            now = time.monotonic()
            if when and count >= before:
                fresh = (count - before) / (now - when)
                self._rate = fresh if self._rate is None else 0.8 * self._rate + 0.2 * fresh
            self._probes = (count, now)

    async def _follow_exchanges(self) -> None:
        """What the collector has counted, from its own metrics."""
        while True:
            with suppress(OSError):
                counts = await asyncio.to_thread(_sums, self._collector_metrics, _EXCHANGES)
                self._exchanges = Exchanges(*map(int, counts))
            await asyncio.sleep(2 * _REFRESH_SECONDS)

    async def _follow_late(self, *, print_lines: bool) -> None:
        """How many measurements came too late to count, from the scorer's own metrics."""
        while True:
            with suppress(OSError):
                late = int((await asyncio.to_thread(_sums, self._scorer_metrics, (_LATE,)))[0])
                if print_lines and late > self._late:
                    print(left_out(late), flush=True)
                self._late = late
            await asyncio.sleep(2 * _REFRESH_SECONDS)

    def _read_probes(self) -> float:
        return _sums(self._prober_metrics, ("peyvand_probe_outcomes_total",))[0]


def _sums(where: str, names: Sequence[str]) -> list[float]:
    """The sum over all series of each of these metrics."""
    # Only these: a scorer writes out thousands of series of links otherwise, every second.
    query = urlencode([("name[]", name) for name in names])
    text = fetch(where, f"/metrics?{query}", timeout=2).decode()
    sums = dict.fromkeys(names, 0.0)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in sums:
                sums[sample.name] += sample.value
    return list(sums.values())

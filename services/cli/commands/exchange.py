"""``peyvand exchange``: pairs and summarises exchange logs offline (docs/exchange.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.api_client import client
from services.cli.commands.ask import API, Address, Window, console, print_json
from services.cli.render.tables import new_table
from services.cli.render.traffic import traffic_tables
from services.collector.offline import Digest, digest
from services.core import codec
from services.core.errors import InputError
from services.core.model import DURATION_BUCKETS, ExchangeSummary
from services.register.attribution import Attributor
from services.register.directory import load_register

__all__ = ["exchange"]

_DAY_MS = 86_400_000


@dataclass(slots=True)
class _Row:
    """One pair of parties over all slots."""

    count: int = 0
    ok: int = 0
    bus_failures: int = 0
    provider_failures: int = 0
    orphans: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    duration_buckets: list[int] = field(default_factory=lambda: [0] * DURATION_BUCKETS)

    def add(self, other: ExchangeSummary | _Row) -> None:
        self.count += other.count
        self.ok += other.ok
        self.bus_failures += other.bus_failures
        self.provider_failures += other.provider_failures
        self.orphans += other.orphans
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes
        self.duration_buckets = [a + b for a, b in zip(self.duration_buckets, other.duration_buckets, strict=True)]

    def at_most(self, share: float) -> str:
        """Bucket bound that this share of exchanges did not exceed."""
        passed = 0
        for i, count in enumerate(self.duration_buckets[:-1]):
            passed += count
            if passed >= share * self.count:
                return f"{2 ** (i / 2):.0f}"
        return f"> {2 ** ((DURATION_BUCKETS - 2) / 2):.0f}"

    def cells(self) -> list[str]:
        """What one line of the table says of it; --json says all."""
        return [
            f"{self.count:,}",
            f"{self.ok:,}",
            f"{self.bus_failures:,} / {self.provider_failures:,}",
            f"{self.orphans:,}",
            f"{self.at_most(0.5)} / {self.at_most(0.95)}",
        ]


def exchange(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Logs: NDJSON, CSV, a JSON array or a raw multipart answer, each plain or gzipped. None: ask the api.",
            show_default=False,
        ),
    ] = None,
    *,
    register: Annotated[Path | None, typer.Option(help="Register directory: names the agencies and links.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One ExchangeSummary a line, as JSON; of the api's, its answers.")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Report lines that cannot be read and go on.")] = False,
    span_days: Annotated[float, typer.Option(min=0, help="Days within which the two sides of an exchange pair.")] = 10,
    window: Window = 0,
    api: Address = API,
) -> None:
    """Pair and summarise exchange logs of the data bus, or show what exchanges say of links.

    A log with a line that cannot be read is refused whole. Without FILES the api is asked what the buses carried, what
    of it nobody declared, and which links are silent, disagree with their probes or are used unusually.
    """
    if not files:
        _ask(window, as_json, api)
        return
    try:
        mapping = Attributor(load_register(register) if register else None)
        with digest(files, mapping, span_ms=round(span_days * _DAY_MS), skip_bad=skip_bad) as found:
            for fault in found.faults:
                typer.echo(str(fault), err=True)
            if as_json:
                for summary in found.summaries:
                    typer.echo(codec.summary_to_json(summary))
            else:
                _show(found)
    except InputError as error:
        typer.echo(error.report(), err=True)
        raise typer.Exit(1) from error


def _ask(window: int, as_json: bool, api: str) -> None:
    with client(api) as ask:
        traffic, found = ask.traffic(window), list(ask.found(window))
        if as_json:
            for answer in (traffic, *found):
                print_json(answer)
        else:
            console().print(traffic_tables(traffic.traffic, found, ask.timezone()))


def _show(found: Digest) -> None:
    console = Console()
    console.print(_table(found.summaries))
    taken, totals = found.taken, found.totals
    pairs = totals.exchanges - totals.orphans
    console.print(
        f"{taken.read:,} records read, {taken.duplicates:,} seen before, {taken.rejected:,} rejected: "
        f"{totals.exchanges:,} exchanges, {pairs:,} logged by both sides, {totals.orphans:,} by one",
        highlight=False,
    )


def _table(summaries: Iterable[ExchangeSummary]) -> Table:
    rows: dict[tuple[str, ...], _Row] = {}
    for summary in summaries:
        kind = "meta" if summary.meta else "shared" if summary.shared else summary.link
        key = (summary.consumer, summary.provider, summary.client or "?", summary.service or "?", kind)
        rows.setdefault(key, _Row()).add(summary)
    total = _Row()
    for row in rows.values():
        total.add(row)
    table = new_table(gap=1, footer=bool(rows))
    table.add_column("consumer → provider\nclient → X-Road service, link", footer="total", overflow="fold", ratio=1)
    names = ("count", "ok", "failed: bus /\nprovider", "one\nside", "50 / 95 %\n≤ ms")
    for name, footer in zip(names, total.cells(), strict=True):
        table.add_column(name, footer=footer, justify="right", no_wrap=True)
    for (consumer, provider, caller, service, kind), row in sorted(rows.items()):
        # Identifiers come from outside: Text shows them as they are, never as markup.
        parties = Text.assemble(f"{consumer} → {provider}\n", (f"{caller}\n→ {service}", "dim"))
        table.add_row(parties + Text(f"\n{kind}" if kind else "", "cyan"), *row.cells())
    return table

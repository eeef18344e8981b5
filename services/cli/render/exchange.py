"""Renders log files for ``peyvand exchange``. Pure: values in, renderables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from services.cli.render.format import named_pair, new_table
from services.collector.offline import LogDigest
from services.core.model import DURATION_BUCKETS, ExchangeSummary

_META = "meta"


@dataclass(slots=True)
class _Row:
    """The exchanges of one pair of parties over all slots."""

    count: int = 0
    ok: int = 0
    bus_failures: int = 0
    provider_failures: int = 0
    orphans: int = 0
    duration_buckets: list[int] = field(default_factory=lambda: [0] * DURATION_BUCKETS)

    def add(self, other: ExchangeSummary | _Row) -> None:
        self.count += other.count
        self.ok += other.ok
        self.bus_failures += other.bus_failures
        self.provider_failures += other.provider_failures
        self.orphans += other.orphans
        self.duration_buckets = [a + b for a, b in zip(self.duration_buckets, other.duration_buckets, strict=True)]

    def quantile(self, share: float) -> str:
        """Return the bucket bound in ms that this share of exchanges did not exceed, a dash without any exchange."""
        if not self.count:
            return "-"
        passed = 0
        for bucket, count in enumerate(self.duration_buckets[:-1]):
            passed += count
            if passed >= share * self.count:
                return f"{2 ** (bucket / 2):.0f}"
        return f"> {2 ** ((DURATION_BUCKETS - 2) / 2):.0f}"

    def cells(self) -> list[str]:
        return [
            f"{self.count:,}",
            f"{self.ok:,}",
            f"{self.bus_failures:,} / {self.provider_failures:,}",
            f"{self.orphans:,}",
            f"{self.quantile(0.5)} / {self.quantile(0.95)}",
        ]


def exchange_table(summaries: Iterable[ExchangeSummary], names: Mapping[str, str]) -> Table:
    """Return a row per pair of parties and one for all; ``names`` are those of agencies by id.

    Exchanges of meta services have a total of their own, if there are any.
    """
    rows: dict[tuple[str, ...], _Row] = {}
    for summary in summaries:
        kind = _META if summary.meta else "shared" if summary.shared else summary.link
        key = (summary.consumer, summary.provider, summary.client or "?", summary.service or "?", kind)
        rows.setdefault(key, _Row()).add(summary)
    total, meta = _Row(), _Row()
    for (*_, kind), row in rows.items():
        (meta if kind == _META else total).add(row)
    footers = [("total", total.cells()), ("meta services, counted apart", meta.cells())][: 2 if meta.count else 1]
    table = new_table(None, gap=1, footer=bool(rows))
    of_all = "\n".join(name for name, _ in footers)
    table.add_column("consumer → provider\nclient → X-Road service, link", footer=of_all, overflow="fold", ratio=1)
    headings = ("count", "ok", "failed: bus /\nprovider", "one\nside", "50 / 95 %\n≤ ms")
    for heading, *cells in zip(headings, *(cells for _, cells in footers), strict=True):
        table.add_column(heading, footer="\n".join(cells), justify="right", no_wrap=True)
    for (consumer, provider, client, service, kind), row in sorted(rows.items()):
        # Text, since identifiers come from outside and must not be read as markup.
        details = filter(None, (named_pair(names, consumer, provider), client, f"→ {service}"))
        parties = Text.assemble(f"{consumer} → {provider}\n", ("\n".join(details), "dim"))
        table.add_row(parties + Text(f"\n{kind}" if kind else "", "cyan"), *row.cells())
    return table


def exchange_totals(digest: LogDigest) -> str:
    """Return how many records were read, and how many exchanges they make."""
    taken, totals = digest.result, digest.totals
    return (
        f"{taken.read:,} records read, {taken.duplicates:,} seen before, {taken.rejected:,} rejected: "
        f"{totals.exchanges:,} exchanges, {totals.exchanges - totals.orphans:,} logged by both sides, "
        f"{totals.orphans:,} by one"
    )

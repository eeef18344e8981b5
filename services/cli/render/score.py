"""What ``peyvand score`` shows a person: the government, then whoever loses most, always with bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.core.codec import ExchangeVolume
from services.core.model import LOSS_STAGES, Indicator, IndicatorKind, Register
from services.indicator.index import Snapshot

__all__ = ["percent", "show"]

WORST = 10
"""How many of a kind are shown, worst lower bound first."""


def show(register: Register, snapshot: Snapshot, volumes: Sequence[ExchangeVolume]) -> None:
    """Print the snapshot's only window."""
    (window,) = snapshot.windows
    console = Console(highlight=False)
    until = datetime.fromtimestamp(snapshot.as_of, ZoneInfo(register.policy.timezone)).isoformat(" ", "minutes")
    console.print(f"Cross-agency Integration Index, {window} days up to {until}")
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for name in ("index", "interval", "bounds", "known", "strict", "links", "absent"):
        table.add_column(name, justify="right")
    for stage in LOSS_STAGES:
        table.add_column(stage.replace("_", " "), justify="right")
    for kind in (
        IndicatorKind.GOVERNMENT,
        IndicatorKind.SECTOR,
        IndicatorKind.PROVIDER,
        IndicatorKind.CONSUMER,
        IndicatorKind.SERVICE,
        IndicatorKind.LINK,
        IndicatorKind.ENDPOINT,
    ):
        rows = sorted(snapshot.rows(kind, window), key=lambda row: row.lower)
        _section(table, kind, rows)
    console.print(table)
    if volumes:
        console.print(_exchanges(volumes))
    read = f", evidence up to message {snapshot.evidence_sequence}" if snapshot.evidence_sequence else ""
    console.print(f"register {snapshot.register_version[:12]}, method {snapshot.method_version}{read}")


def _section(table: Table, kind: IndicatorKind, rows: Sequence[Indicator]) -> None:
    if not rows:
        return
    left_out = len(rows) - WORST
    more = f" (worst {WORST} of {len(rows)})" if left_out > 0 else ""
    table.add_section()
    table.add_row(Text(kind.label + more, style="bold"))
    for row in rows[:WORST]:
        strict = "" if row.strict is None else percent(row.strict.point)
        links = (
            ("", "")
            if kind is IndicatorKind.ENDPOINT
            else (f"{row.links_known}/{row.links_required}", str(row.links_absent))
        )
        losses = (getattr(row.losses, stage) for stage in LOSS_STAGES)
        table.add_row(
            Text(f"  {row.id}"),
            percent(row.point),
            "" if row.interval is None else f"{percent(row.interval.low)} to {percent(row.interval.high)}",
            f"{percent(row.lower)} to {percent(row.upper)}",
            percent(row.known_share),
            strict,
            *links,
            *("" if row.point is None else percent(loss) for loss in losses),
        )


def _exchanges(volumes: Iterable[ExchangeVolume]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("exchanges", "of", "count", "ok", "bus failed", "provider failed"):
        table.add_column(name, justify="left" if name in ("exchanges", "of") else "right")
    for volume in volumes:
        numbers = (volume.count, volume.ok, volume.bus_failures, volume.provider_failures)
        meta = " (meta services)" if volume.meta else ""
        table.add_row(Text(volume.consumer), Text(volume.provider + meta), *(f"{number:,}" for number in numbers))
    return table


def percent(share: float | None) -> str:
    """A share as a percentage; one that is not publishable is shown as such."""
    return "n/a" if share is None else f"{share:.1%}"

"""What ``peyvand score --sensitivity`` prints: rank bands of agencies, and which choice of method moves ranks how far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.render.score import percent
from services.core import codec
from services.core.model import IndicatorKind, RankSensitivity, Register, Sensitivity
from services.indicator.index import Snapshot
from services.indicator.sensitivity import Ranking

__all__ = ["print_json", "show_sensitivity"]


def show_sensitivity(register: Register, snapshot: Snapshot, rankings: Sequence[Ranking]) -> None:
    """Print the snapshot's only window: per role every agency by rank, and the switches by how far they move ranks."""
    (window,) = snapshot.windows
    console = Console(highlight=False)
    until = datetime.fromtimestamp(snapshot.as_of, ZoneInfo(register.policy.timezone)).isoformat(" ", "minutes")
    console.print(f"Rank bands and what moves them, {window} days up to {until}")
    for ranking in rankings:
        console.print(_agencies(snapshot, ranking, window))
        moved = ranking.moved
        console.print(f"{moved.cases} cases, moving an agency by {moved.mean_rank_shift:.2f} ranks on average; why:")
        console.print(_switches(moved))
    if not any("volume" in ranking.moved.switches[0].states for ranking in rankings):
        console.print("No weights by volume: no exchange of a single link in the window (--exchanges).")
    console.print(f"register {snapshot.register_version[:12]}, method {snapshot.method_version}")


def print_json(snapshot: Snapshot, rankings: Sequence[Ranking]) -> None:
    """Print the snapshot's Indicators one a line, agencies with their rank bands, then one line with the Sensitivity."""
    (window,) = snapshot.windows
    bands = {ranking.kind: ranking.bands for ranking in rankings}
    for row in (row for kind in IndicatorKind for row in snapshot.rows(kind, window)):
        typer.echo(codec.indicator_to_json(replace(row, rank_band=bands.get(row.kind, {}).get(row.id))))
    typer.echo(
        codec.sensitivity_to_json(
            Sensitivity(
                window_days=window,
                as_of=snapshot.as_of,
                ranks=tuple(ranking.moved for ranking in rankings),
                register_version=snapshot.register_version,
                probe_version=snapshot.probe_version,
                method_version=snapshot.method_version,
            )
        )
    )


def _agencies(snapshot: Snapshot, ranking: Ranking, window: int) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(f"as {ranking.kind.label}", overflow="fold")
    for name in ("rank", "band", "index", "bounds"):
        table.add_column(name, justify="right")
    order = sorted(ranking.ranks, key=lambda agency: (ranking.ranks[agency], agency))
    for row in snapshot.rows(ranking.kind, window, order):
        band = ranking.bands[row.id]
        table.add_row(
            Text(f"  {row.id}"),
            str(ranking.ranks[row.id]),
            f"{band.low} to {band.high}",
            percent(row.point),
            f"{percent(row.lower)} to {percent(row.upper)}",
        )
    return table


def _switches(moved: RankSensitivity) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("switch", "states"):
        table.add_column(name)
    for name in ("total order", "±", "first order", "±"):
        table.add_column(name, justify="right")
    for one in moved.switches:
        numbers = (one.total_order, one.total_order_error, one.first_order, one.first_order_error)
        applies = len(one.states) > 1
        table.add_row(
            one.switch,
            ", ".join(one.states) if applies else "does not apply",
            *(f"{number:.3f}" if applies else "" for number in numbers),
        )
    return table

"""Renders indicators with their bounds, or rank bands and what moves them, for ``peyvand score``. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from services.cli.render.format import (
    Wrapped,
    known_percent,
    name_of,
    new_table,
    number,
    percent,
    share_range,
    stage_name,
)
from services.core import codec
from services.core.codec import ExchangeVolume
from services.core.model import LOSS_STAGES, Indicator, IndicatorKind, RankSensitivity, Register, Sensitivity
from services.core.texts import plural
from services.indicator.index import Snapshot
from services.indicator.sensitivity import Ranking

MAX_ROWS = 10
"""How many entities of a kind are shown, those with the lowest lower bound first."""

_STRICT_WIDTH, _LOSSES_WIDTH = 100, 140
"""Widths of a terminal from which the strict share, and the losses at each stage, have room beside the rest."""

_KINDS = (
    IndicatorKind.GOVERNMENT,
    IndicatorKind.SECTOR,
    IndicatorKind.PROVIDER,
    IndicatorKind.CONSUMER,
    IndicatorKind.SERVICE,
    IndicatorKind.LINK,
    IndicatorKind.ENDPOINT,
)


def score_tables(register: Register, snapshot: Snapshot, volumes: Sequence[ExchangeVolume], width: int) -> Group:
    """Return the only window of a snapshot, and what agencies exchanged, in the columns with room in ``width``."""
    (window,) = snapshot.windows
    shown = ["index", "interval", "bounds", "known", "links", "absent"]
    if width >= _STRICT_WIDTH:
        shown.insert(4, "strict")
    if width >= _LOSSES_WIDTH:
        shown += map(stage_name, LOSS_STAGES)
    table = _table("", *shown)
    for kind in _KINDS:
        _add_section(table, snapshot, kind, _names(register, kind), shown)
    read = f", evidence up to message {snapshot.evidence_sequence}" if snapshot.evidence_sequence else ""
    return Group(
        Text(f"Cross-agency Integration Index, {plural(window, 'day')} up to {_end(register, snapshot)}"),
        table,
        *([_exchanges(volumes, _names(register, IndicatorKind.CONSUMER))] if volumes else ()),
        Text(_versions(snapshot) + read),
    )


def sensitivity_tables(register: Register, snapshot: Snapshot, rankings: Sequence[Ranking]) -> Group:
    """Return the only window of a snapshot: per role every agency by rank, and the switches by how far they move ranks."""
    (window,) = snapshot.windows
    parts: list[RenderableType] = [
        Text(f"Rank bands and what moves them, {plural(window, 'day')} up to {_end(register, snapshot)}")
    ]
    for ranking in rankings:
        moved = ranking.moved
        parts += [
            _ranks(snapshot, ranking, _names(register, ranking.kind), window),
            Text(f"{moved.cases} cases, moving an agency by {moved.mean_rank_shift:.2f} ranks on average; why:"),
            _switches(moved),
        ]
    if not any("volume" in ranking.moved.switches[0].states for ranking in rankings):
        parts.append(Text("No weights by volume: no exchange of a single link in the window (--exchanges)."))
    return Group(*parts, Text(_versions(snapshot)))


def sensitivity_json(snapshot: Snapshot, rankings: Sequence[Ranking]) -> Iterator[str]:
    """Yield lines of JSON: the Indicators of the only window, agencies with their rank bands, then the Sensitivity."""
    (window,) = snapshot.windows
    bands = {ranking.kind: ranking.bands for ranking in rankings}
    for row in (row for kind in IndicatorKind for row in snapshot.rows(kind, window)):
        yield codec.indicator_to_json(replace(row, rank_band=bands.get(row.kind, {}).get(row.id, row.rank_band)))
    yield codec.sensitivity_to_json(
        Sensitivity(
            window_days=window,
            as_of=snapshot.as_of,
            ranks=tuple(ranking.moved for ranking in rankings),
            register_version=snapshot.register_version,
            probe_version=snapshot.probe_version,
            method_version=snapshot.method_version,
        )
    )


def _table(first: str, *numbers: str) -> Table:
    return new_table(None, Column(first), *map(number, numbers), gap=1)


def _names(register: Register, kind: IndicatorKind) -> Mapping[str, str]:
    """Return the names of agencies or services by id; of other kinds none."""
    if kind in (IndicatorKind.PROVIDER, IndicatorKind.CONSUMER):
        return {name: name_of(agency) for name, agency in register.agencies.items()}
    if kind is IndicatorKind.SERVICE:
        return {name: name_of(service) for name, service in register.services.items()}
    return {}


def _add_section(
    table: Table, snapshot: Snapshot, kind: IndicatorKind, names: Mapping[str, str], shown: Sequence[str]
) -> None:
    (window,) = snapshot.windows
    columns = snapshot.columns[kind, window]
    places = np.flatnonzero(columns.applies)
    if not len(places):
        return
    title = f"{kind.label}, worst {MAX_ROWS} of {len(places)}" if len(places) > MAX_ROWS else kind.label
    table.add_section()
    table.add_row(Wrapped(title, style="bold"))
    worst = places[np.argsort(columns.lower[places], kind="stable")][:MAX_ROWS]
    for row in snapshot.rows(kind, window, [columns.ids[place] for place in worst]):
        cells = _cells(row)
        table.add_row(Wrapped(row.id, names.get(row.id, "")), *(cells.get(name, "") for name in shown))


def _cells(row: Indicator) -> dict[str, str]:
    """Return the cells of an indicator, by the headings of columns."""
    cells = {
        "index": _percent(row.point),
        "bounds": share_range(row.lower, row.upper),
        "known": known_percent(row.known_share),
    }
    if row.interval is not None:
        cells["interval"] = share_range(row.interval.low, row.interval.high)
    if row.strict is not None:
        cells["strict"] = _percent(row.strict.point)
    if row.kind is not IndicatorKind.ENDPOINT:
        cells |= {"links": f"{row.links_known}/{row.links_required}", "absent": str(row.links_absent)}
    if row.point is not None:
        cells |= {stage_name(stage): _percent(getattr(row.losses, stage)) for stage in LOSS_STAGES}
    return cells


def _exchanges(volumes: Iterable[ExchangeVolume], names: Mapping[str, str]) -> Table:
    counts = (Column(heading, justify="right") for heading in ("count", "ok", "bus failed", "provider failed"))
    table = Table("exchanges", "of", *counts, box=None, pad_edge=False)
    for volume in volumes:
        numbers = (volume.count, volume.ok, volume.bus_failures, volume.provider_failures)
        consumer, provider = (Wrapped(one, names.get(one, "")) for one in (volume.consumer, volume.provider))
        asked = Group(provider, Text("(meta services)", "dim")) if volume.meta else provider
        table.add_row(consumer, asked, *(f"{number:,}" for number in numbers))
    return table


def _ranks(snapshot: Snapshot, ranking: Ranking, names: Mapping[str, str], window: int) -> Table:
    table = _table(f"as {ranking.kind.label}", "rank", "band", "index", "bounds")
    order = sorted(ranking.ranks, key=lambda agency: (ranking.ranks[agency], agency))
    for row in snapshot.rows(ranking.kind, window, order):
        band, cells = ranking.bands[row.id], _cells(row)
        ranks = str(ranking.ranks[row.id]), f"{band.low} to {band.high}"
        table.add_row(Wrapped(row.id, names.get(row.id, "")), *ranks, cells["index"], cells["bounds"])
    return table


def _switches(moved: RankSensitivity) -> Table:
    numbers = (Column(heading, justify="right") for heading in ("total order", "±", "first order", "±"))
    table = Table("switch", "states", *numbers, box=None, pad_edge=False)
    for switch in moved.switches:
        orders = (switch.total_order, switch.total_order_error, switch.first_order, switch.first_order_error)
        applies = len(switch.states) > 1
        table.add_row(
            switch.switch,
            ", ".join(switch.states) if applies else "does not apply",
            *(f"{order:.3f}" if applies else "" for order in orders),
        )
    return table


def _end(register: Register, snapshot: Snapshot) -> str:
    return datetime.fromtimestamp(snapshot.as_of, ZoneInfo(register.policy.timezone)).isoformat(" ", "minutes")


def _versions(snapshot: Snapshot) -> str:
    return f"register {snapshot.register_version[:12]}, method {snapshot.method_version}"


def _percent(share: float | None) -> str:
    return "n/a" if share is None else percent(share)

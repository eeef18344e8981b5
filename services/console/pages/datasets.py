"""Defines the tables of data: the rows of each and the sentence that explains it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.console.pages import findings, structure
from services.console.pages.page import NoSuchPageError, Visit
from services.console.pages.trends import span_of
from services.console.queries import LINK_FIELDS, collected, figures_of, government_figure
from services.console.texts import FIGURE_COLUMNS, VERSION_COLUMNS, Row, figure_row, iso, version_row
from services.core.codec import ANNOUNCEMENT_KINDS, indicator_from_message
from services.core.errors import ApiNotApplicableError
from services.core.model import OTHER, IndicatorKind

_BATCH = 500
"""Rows that are made without a rest: other pages wait for as long, some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One table of data.

    ``about`` is a message that explains it; ``query`` lists the parameters of its address. A table that ``is_long`` may
    have as many rows as a register has links: it gives them in batches.
    """

    name: str
    about: str
    columns: tuple[str, ...]
    rows: Callable[[Visit], Awaitable[list[Row]] | AsyncIterator[list[Row]]]
    is_public: bool = True
    is_long: bool = False
    query: tuple[str, ...] = ()


async def _government(visit: Visit) -> list[Row]:
    figures = [await government_figure(visit.api, days) for days in visit.names.windows_days]
    rows = [figure_row(indicator_from_message(one)) for one in figures if one is not None]
    if not rows:
        raise ApiNotApplicableError("no inquiry is in force in any window")
    return rows


async def _kind(visit: Visit, kind: IndicatorKind) -> list[Row]:
    return [figure_row(one) for one in await figures_of(visit.api.indicators(kind, window_days=visit.window))]


async def _agencies(visit: Visit) -> list[Row]:
    side = visit.chosen("side", "provider", "consumer")
    rows = await _kind(visit, IndicatorKind.PROVIDER if side == "provider" else IndicatorKind.CONSUMER)
    return [row | _named(visit.names.agencies.get(row["id"]), *_NAMES, "sector") for row in rows]


async def _services(visit: Visit) -> AsyncIterator[list[Row]]:
    async for batch in _batches(visit.api.indicators(IndicatorKind.SERVICE, window_days=visit.window)):
        rows = map(figure_row, map(indicator_from_message, batch))
        yield [row | _named(visit.names.services.get(row["id"]), "agency", *_NAMES) for row in rows]


def _named(one: object, *names: str) -> Row:
    """Return what the register says of an agency or a service, empty texts where it has none."""
    return {name: getattr(one, name) if one else "" for name in names}


async def _links(visit: Visit) -> AsyncIterator[list[Row]]:
    async for batch in _batches(visit.api.links(window_days=visit.window)):
        yield [_link_row(status) for status in batch]


def _link_row(status: Any) -> Row:
    link = status.link
    row = figure_row(indicator_from_message(status.indicator)) if status.HasField("indicator") else {"id": link.id}
    return row | {name: getattr(link, name) for name in LINK_FIELDS}


async def _batches(messages: AsyncIterator[Any]) -> AsyncIterator[list[Any]]:
    """Yield messages in lists, at least one of them."""
    batch: list[Any] = []
    async for one in messages:
        batch.append(one)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


async def _pairs(visit: Visit) -> list[Row]:
    answer = await visit.api.pairs(window_days=visit.window)
    return [
        {
            "consumer": pair.consumer,
            "provider": pair.provider,
            "point": pair.index.point if pair.index.HasField("point") else None,
            "lower": pair.index.lower,
            "upper": pair.index.upper,
            "known_share": pair.index.known_share,
            "links_required": pair.index.links,
            "links_known": pair.links_known,
            "links_absent": pair.links_absent,
            **version_row(answer),
        }
        for pair in answer.pairs
    ]


async def _rounds(visit: Visit) -> list[Row]:
    answer = await visit.api.rounds()
    rows = []
    for one in answer.rounds:
        overall = one.overall_percent if one.HasField("overall_percent") else None
        scores: Iterable[tuple[str, float | None]] = [
            ("", overall),
            *((s.dimension, s.percent) for s in one.dimensions),
        ]
        rows += [
            {"round": one.round, "held": one.held, "model": one.model, "dimension": dimension, "percent": percent}
            for dimension, percent in scores
        ]
    return rows


async def _history(visit: Visit) -> list[Row]:
    kind = visit.chosen("kind", "government", "sector", "consumer", "provider")
    entity = "" if kind == "government" else visit.query.get("id", "")
    if (kind == "government") is bool(entity):
        raise NoSuchPageError
    _, start, _ = span_of(visit)
    history = visit.api.history(IndicatorKind[kind.upper()], entity, visit.window, since=start)
    try:
        return [figure_row(one) for one in await figures_of(history)]
    except ApiNotApplicableError as error:
        raise NoSuchPageError from error


async def _announcements(visit: Visit) -> list[Row]:
    return [
        {
            "id": one.id,
            "kind": ANNOUNCEMENT_KINDS.get(one.kind, OTHER),
            "from": iso(getattr(one, "from").seconds),
            "until": iso(one.until.seconds) if one.HasField("until") else None,
            "title_en": one.title_en,
            "title_fa": one.title_fa,
            "text_en": one.text_en,
            "text_fa": one.text_fa,
            "agencies": " ".join(one.agencies),
            "links": " ".join(one.links),
        }
        for one in await collected(visit.api.announcements())
    ]


async def _updates(visit: Visit) -> list[Row]:
    return [
        {"announcement": one.id, "time": iso(update.time.seconds), "text_en": update.text_en, "text_fa": update.text_fa}
        for one in await collected(visit.api.announcements())
        for update in one.updates
    ]


_NAMES = ("name_en", "name_fa")

DATASETS = (
    Dataset("government", "The index of the whole government, one row for each window.", FIGURE_COLUMNS, _government),
    Dataset(
        "sectors",
        "The index of each sector, by the agencies that ask.",
        FIGURE_COLUMNS,
        partial(_kind, kind=IndicatorKind.SECTOR),
        query=("window",),
    ),
    Dataset(
        "agencies",
        "The index of each agency, as it answers others or as others answer it, with its range of ranks.",
        (*FIGURE_COLUMNS, *_NAMES, "sector"),
        _agencies,
        query=("window", "side"),
    ),
    Dataset(
        "pairs",
        "The index of each pair of agencies in which one must ask the other.",
        (
            *("consumer", "provider", "point", "lower", "upper", "known_share"),
            *("links_required", "links_known", "links_absent", *VERSION_COLUMNS),
        ),
        _pairs,
        query=("window",),
    ),
    Dataset(
        "structure",
        "How the agencies are connected: one row for each measure.",
        ("measure", "value", *VERSION_COLUMNS),
        structure.measure_rows,
        query=("window",),
    ),
    Dataset(
        "islands",
        "The agencies of each island, the largest island first; an agency alone is an island of one.",
        ("island", "agency", *VERSION_COLUMNS),
        structure.island_rows,
        query=("window",),
    ),
    Dataset(
        "providers",
        "What depends on each agency that must answer: its share of the weight, and what falls if it answers nobody.",
        ("provider", "links", "share", "loss", "strict_loss", *VERSION_COLUMNS),
        structure.provider_rows,
        query=("window",),
    ),
    Dataset(
        "findings",
        "What the logs of real exchanges show: changes that go on, and those that ended in the last four weeks.",
        findings.COLUMNS,
        findings.finding_rows,
    ),
    Dataset(
        "rounds",
        "The scores of the official rounds as announced, in per cent.",
        ("round", "held", "model", "dimension", "percent"),
        _rounds,
    ),
    Dataset(
        "history",
        "What was published over time of the government, a sector or an agency, hour by hour.",
        FIGURE_COLUMNS,
        _history,
        query=("window", "span", "kind", "id"),
    ),
    Dataset(
        "announcements",
        "What the keepers of the register announced.",
        ("id", "kind", "from", "until", "title_en", "title_fa", "text_en", "text_fa", "agencies", "links"),
        _announcements,
    ),
    Dataset(
        "updates",
        "What was added to announcements later, one row for each addition.",
        ("announcement", "time", "text_en", "text_fa"),
        _updates,
    ),
    Dataset(
        "services",
        "The index of each service.",
        (*FIGURE_COLUMNS, "agency", *_NAMES),
        _services,
        is_public=False,
        is_long=True,
        query=("window",),
    ),
    Dataset(
        "links",
        "The index of each required inquiry.",
        (*FIGURE_COLUMNS, *LINK_FIELDS),
        _links,
        is_public=False,
        is_long=True,
        query=("window",),
    ),
)
"""Every table of data, in the order in which the page lists them."""

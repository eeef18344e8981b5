"""Shows the official rounds beside what is declared and measured today, and the rounds frozen from evidence.

Official rounds are shown as announced. None is merged with another.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.console.pages.government import ThreeBars, three_bars_of
from services.console.pages.page import Page, Visit
from services.console.queries import RoundFile
from services.core.codec import indicator_from_message
from services.core.model import Indicator


@dataclass(frozen=True, slots=True)
class DimensionScore:
    """The score of one dimension as announced, in per cent; None where none was stated."""

    name_en: str
    name_fa: str
    aim: str
    percent: float | None


@dataclass(frozen=True, slots=True)
class Announced:
    """An agency as a round names it, with its id where the register has it."""

    name_en: str
    name_fa: str
    agency: str


@dataclass(frozen=True, slots=True)
class Round:
    """One round as announced; None or empty is not stated. ``cited`` has numbers of ``sources``, from 1, by field."""

    number: int
    held: str
    agencies: int | None
    services: int | None
    overall: float | None
    more_than: float | None
    growth_more_than: float | None
    dimensions: tuple[DimensionScore, ...]
    figures: tuple[tuple[str, str, float], ...]
    top: tuple[Announced, ...]
    weakest: tuple[Announced, ...]
    also: tuple[str, ...]
    next_step: str
    concerns: tuple[str, ...]
    note: str
    sources: tuple[str, ...]
    cited: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Frozen:
    """One frozen round, and the files of it that the reader may have.

    ``corrected_by`` is empty while no other round corrects it; ``command`` verifies it.
    """

    id: str
    title: str
    figure: Indicator
    provisional: bool
    corrects: str
    why: str
    corrected_by: str
    previous: str
    command: str
    sums_sha256: str
    files: tuple[RoundFile, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class RoundsView:
    """Every round, the newest first, and the three bars of today."""

    note: str
    rounds: tuple[Round, ...]
    frozen: tuple[Frozen, ...]
    bars: ThreeBars


async def gather(visit: Visit) -> RoundsView:
    """Fetch the rounds and the three bars."""
    answer, frozen, structure = await asyncio.gather(
        visit.api.rounds(), visit.api.frozen_rounds(), visit.api.structure(visit.window)
    )
    return RoundsView(
        note=answer.note,
        rounds=tuple(_round(one, answer.dimensions) for one in reversed(answer.rounds)),
        frozen=await asyncio.to_thread(_frozen, visit, tuple(frozen.rounds)),
        bars=three_bars_of(structure.three_bars),
    )


def _round(one: Any, dimensions: Iterable[Any]) -> Round:
    stated = {score.dimension: score.percent for score in one.dimensions}
    sources = tuple(dict.fromkeys(source for each in one.sources for source in each.sources))

    def given(name: str) -> Any:
        return getattr(one, name) if one.HasField(name) else None

    return Round(
        number=one.round,
        held=one.held,
        agencies=given("agencies"),
        services=given("services_and_subservices"),
        overall=given("overall_percent"),
        more_than=given("overall_percent_more_than"),
        growth_more_than=given("growth_since_round_1_percent_more_than"),
        dimensions=tuple(
            DimensionScore(dimension.name_en, dimension.name_fa, dimension.aim, stated.get(dimension.id))
            for dimension in dimensions
            if dimension.model == one.model and (stated or one.model)
        ),
        figures=tuple((figure.name_en, figure.name_fa, figure.value) for figure in one.also_stated),
        top=tuple(Announced(who.name_en, who.name_fa, who.agency) for who in one.announced_top_agencies),
        weakest=tuple(Announced(who.name_en, who.name_fa, who.agency) for who in one.announced_weakest_agencies),
        also=tuple(one.also_taken_into_account),
        next_step=one.stated_next_step,
        concerns=tuple(one.stated_concerns),
        note=one.note,
        sources=sources,
        cited={each.field: tuple(sources.index(source) + 1 for source in each.sources) for each in one.sources},
    )


def _frozen(visit: Visit, rounds: tuple[Any, ...]) -> tuple[Frozen, ...]:
    corrections = {one.corrects: one.id for one in reversed(rounds)}  # the newest counts
    views = []
    for one in rounds:
        files = visit.round_files.all_of(one.id)
        shown = tuple(file for file in files if file.is_public or visit.sees_everything)
        views.append(
            Frozen(
                id=one.id,
                title=visit.either(one.title_en, one.title_fa),
                figure=indicator_from_message(one.government),
                provisional=one.provisional,
                corrects=one.corrects,
                why=one.why,
                corrected_by=corrections.get(one.id, ""),
                previous=one.previous,
                command=f"peyvand round verify {one.id} --key {shlex.quote(one.key)}",
                sums_sha256=one.sums_sha256,
                files=shown,
                is_whole=len(shown) == len(files),
            )
        )
    return tuple(views)


PAGE = Page("rounds", "/rounds", gather)

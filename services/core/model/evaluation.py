"""The official evaluation of agencies as values: its model and what its rounds announced (docs/register.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of the official evaluation's maturity model, and its ``aim``."""

    id: str
    name_en: str
    name_fa: str
    aim: str = ""


@dataclass(frozen=True, slots=True)
class AnnouncedAgency:
    """An agency as an official round names it."""

    name_en: str
    name_fa: str


@dataclass(frozen=True, slots=True)
class EvaluationRound:
    """One round of the official evaluation, as announced; None means not stated.

    Percentages are in 0 … 100, ``dimension_percent`` by dimension id. ``held`` is a month (YYYY-MM), two with ``/``
    between them, or empty. ``announced_top_agencies`` are in the order announced, which is no ranking.
    """

    round: int
    held: str = ""
    agencies: int | None = None
    services_and_subservices: int | None = None
    overall_percent: float | None = None
    growth_since_round_1_percent_more_than: float | None = None
    dimension_percent: Mapping[str, float | None] = field(default_factory=dict)
    also_taken_into_account: tuple[str, ...] = ()
    announced_top_agencies: tuple[AnnouncedAgency, ...] = ()
    stated_next_step: str = ""
    stated_concerns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The official evaluation of a ``country`` (ISO 3166 code): its model and its rounds, in order of their numbers.

    ``note`` is a remark on the figures, such as where they come from.
    """

    country: str
    dimensions: tuple[Dimension, ...]
    rounds: tuple[EvaluationRound, ...]
    note: str = ""

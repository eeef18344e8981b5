"""The official evaluation of agencies as values: its models and what its rounds announced (docs/register.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of a model of the official evaluation, and its ``aim``.

    ``model`` is the id of that model, empty when all rounds share one. No two dimensions have the same ``id``, whatever
    their models.
    """

    id: str
    name_en: str
    name_fa: str
    aim: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class AnnouncedAgency:
    """An agency as an official round names it."""

    name_en: str
    name_fa: str


@dataclass(frozen=True, slots=True)
class StatedFigure:
    """A named figure that a round announced beside its scores."""

    name_en: str
    name_fa: str
    value: float


@dataclass(frozen=True, slots=True)
class EvaluationRound:
    """One round of the official evaluation, as announced; None and empty mean not stated.

    ``model`` is the id of the model used. Percentages are in 0 … 100, ``dimension_percent`` by dimension id. ``held``
    is a month (YYYY-MM), or two with ``/`` between them. Announced agencies are in the order announced, which is no
    ranking. ``sources`` gives the sources of other fields, by field name; ``note`` is a remark on the round.
    """

    round: int
    model: str = ""
    held: str = ""
    agencies: int | None = None
    services_and_subservices: int | None = None
    overall_percent: float | None = None
    overall_percent_more_than: float | None = None
    growth_since_round_1_percent_more_than: float | None = None
    dimension_percent: Mapping[str, float | None] = field(default_factory=dict)
    also_stated: tuple[StatedFigure, ...] = ()
    also_taken_into_account: tuple[str, ...] = ()
    announced_top_agencies: tuple[AnnouncedAgency, ...] = ()
    announced_weakest_agencies: tuple[AnnouncedAgency, ...] = ()
    stated_next_step: str = ""
    stated_concerns: tuple[str, ...] = ()
    note: str = ""
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The official evaluation of a ``country`` (ISO 3166 code): the dimensions of its models, and its rounds in order of
    their numbers.

    ``note`` is a remark on the figures, such as where they come from.
    """

    country: str
    dimensions: tuple[Dimension, ...]
    rounds: tuple[EvaluationRound, ...]
    note: str = ""

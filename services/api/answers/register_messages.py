"""Converts parts of the register to peyvand.v1 messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from peyvand.v1 import register_pb2, register_service_pb2
from services.core.codec import copied_fields
from services.core.model import (
    ALWAYS,
    Agency,
    AnnouncedAgency,
    Dimension,
    EvaluationRound,
    LegalBasis,
    Link,
    Register,
    Service,
    StatedFigure,
)
from services.register.rounds import Growth, agencies_by_name, growths, match_agency

_agency_fields = copied_fields(Agency, "until")
_service_fields, _dimension_fields, _figure_fields = map(copied_fields, (Service, Dimension, StatedFigure))
_link_fields = copied_fields(Link, "required_from", "required_until", "live_from", "params", "legal_basis")
_growth_fields = copied_fields(Growth, "points")
_round_fields = copied_fields(
    EvaluationRound,
    *("dimension_percent", "also_stated", "announced_top_agencies", "announced_weakest_agencies", "sources"),
)


def agency_message(agency: Agency) -> register_pb2.Agency:
    """Return one agency as a message."""
    return register_pb2.Agency(until=_day(agency.until), **_agency_fields(agency))


def service_message(service: Service, *, required: int, absent: int) -> register_pb2.Service:
    """Return one service as a message, with how many links the register lists for it and how many of those are absent."""
    return register_pb2.Service(links_required=required, links_absent=absent, **_service_fields(service))


def link_message(register: Register, link: Link) -> register_pb2.Link:
    """Return one link as a message."""
    return register_pb2.Link(
        consumer=register.consumer(link),
        required_from=_day(link.required_from),
        required_until=_day(link.required_until),
        live_from="always" if link.live_from == ALWAYS else _day(link.live_from),
        absent=link.absent,
        legal_basis=_legal_basis_message(link.legal_basis),
        **_link_fields(link),
    )


def _legal_basis_message(basis: LegalBasis | None) -> register_pb2.LegalBasis | None:
    if basis is None:
        return None
    return register_pb2.LegalBasis(law=basis.law, article=basis.article, date=basis.passed.isoformat())


def evaluation_message(register: Register) -> register_service_pb2.ListEvaluationRoundsResponse:
    """Return the official rounds; an empty message where the register lists none."""
    evaluation = register.evaluation
    if evaluation is None:
        return register_service_pb2.ListEvaluationRoundsResponse()
    names = agencies_by_name(register)
    return register_service_pb2.ListEvaluationRoundsResponse(
        country=evaluation.country,
        note=evaluation.note,
        dimensions=[register_pb2.Dimension(**_dimension_fields(one)) for one in evaluation.dimensions],
        rounds=[_round_message(names, held) for held in evaluation.rounds],
        growth=[
            register_pb2.RoundGrowth(percentage_points=growth.points, **_growth_fields(growth))
            for growth in growths(evaluation)
        ],
    )


def _round_message(
    names: Mapping[tuple[str, str], frozenset[str]], held: EvaluationRound
) -> register_pb2.EvaluationRound:
    def announced(agencies: tuple[AnnouncedAgency, ...]) -> list[register_pb2.AnnouncedAgency]:
        return [
            register_pb2.AnnouncedAgency(
                name_en=agency.name_en, name_fa=agency.name_fa, agency=match_agency(names, agency)
            )
            for agency in agencies
        ]

    return register_pb2.EvaluationRound(
        dimensions=[
            register_pb2.DimensionScore(dimension=name, percent=percent)
            for name, percent in held.dimension_percent.items()
            if percent is not None
        ],
        also_stated=[register_pb2.StatedFigure(**_figure_fields(figure)) for figure in held.also_stated],
        announced_top_agencies=announced(held.announced_top_agencies),
        announced_weakest_agencies=announced(held.announced_weakest_agencies),
        sources=[register_pb2.StatedSource(field=field, sources=cited) for field, cited in held.sources.items()],
        **_round_fields(held),
    )


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()

"""Converts parts of the register to peyvand.v1 messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from peyvand.v1 import register_pb2, register_service_pb2
from services.core.model import ALWAYS, Agency, AnnouncedAgency, EvaluationRound, LegalBasis, Link, Register, Service
from services.register.rounds import agencies_by_name, growths, match_agency


def agency_message(agency: Agency) -> register_pb2.Agency:
    """Return one agency as a message."""
    return register_pb2.Agency(
        id=agency.id,
        name_en=agency.name_en,
        name_fa=agency.name_fa,
        sector=agency.sector,
        staff=agency.staff,
        satisfaction=agency.satisfaction,
        until=_day(agency.until),
        merged_into=agency.merged_into or "",
    )


def service_message(service: Service, *, required: int, absent: int) -> register_pb2.Service:
    """Return one service as a message, with how many links the register lists for it and how many of those are absent."""
    return register_pb2.Service(
        id=service.id,
        agency=service.agency,
        name_en=service.name_en,
        name_fa=service.name_fa,
        channel=service.channel,
        weight=service.weight,
        links_required=required,
        links_absent=absent,
    )


def link_message(register: Register, link: Link) -> register_pb2.Link:
    """Return one link as a message."""
    return register_pb2.Link(
        id=link.id,
        service=link.service,
        consumer=register.consumer(link),
        provider=link.provider,
        data_item=link.data_item,
        required_from=_day(link.required_from),
        required_until=_day(link.required_until),
        live_from="always" if link.live_from == ALWAYS else _day(link.live_from),
        absent=link.absent,
        weight=link.weight,
        slo=link.slo,
        probe=link.probe,
        target=link.target,
        vantages=link.vantages,
        latency_ms=link.latency_ms,
        max_age_s=link.max_age_s,
        legal_basis=_legal_basis_message(link.legal_basis),
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
        dimensions=[
            register_pb2.Dimension(
                id=dimension.id,
                name_en=dimension.name_en,
                name_fa=dimension.name_fa,
                aim=dimension.aim,
                model=dimension.model,
            )
            for dimension in evaluation.dimensions
        ],
        rounds=[_round_message(names, held) for held in evaluation.rounds],
        growth=[
            register_pb2.RoundGrowth(
                from_round=growth.from_round,
                to_round=growth.to_round,
                dimension=growth.dimension,
                percentage_points=growth.points,
                percent=growth.percent,
            )
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
        round=held.round,
        model=held.model,
        held=held.held,
        agencies=held.agencies,
        services_and_subservices=held.services_and_subservices,
        overall_percent=held.overall_percent,
        overall_percent_more_than=held.overall_percent_more_than,
        growth_since_round_1_percent_more_than=held.growth_since_round_1_percent_more_than,
        dimensions=[
            register_pb2.DimensionScore(dimension=name, percent=percent)
            for name, percent in held.dimension_percent.items()
            if percent is not None
        ],
        also_stated=[
            register_pb2.StatedFigure(name_en=figure.name_en, name_fa=figure.name_fa, value=figure.value)
            for figure in held.also_stated
        ],
        also_taken_into_account=held.also_taken_into_account,
        announced_top_agencies=announced(held.announced_top_agencies),
        announced_weakest_agencies=announced(held.announced_weakest_agencies),
        stated_next_step=held.stated_next_step,
        stated_concerns=held.stated_concerns,
        note=held.note,
        sources=[register_pb2.StatedSource(field=field, sources=cited) for field, cited in held.sources.items()],
    )


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()

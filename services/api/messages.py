"""The register as peyvand.v1 messages."""

from __future__ import annotations

from datetime import date

from peyvand.v1 import register_pb2
from services.core.model import ALWAYS, Agency, Link, Register, Service

__all__ = ["agency_message", "link_message", "service_message"]


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
    )


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()

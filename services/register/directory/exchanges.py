"""members.csv, exchange.csv and maintenance.csv."""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from services.core.model import ExchangeRoute, Maintenance, Member
from services.register.directory.agencies import AGENCIES
from services.register.directory.links import LINKS
from services.register.reading import CsvTable, FaultList, fold, read_moment, read_name, read_party, read_table

MEMBERS = "members.csv"
EXCHANGE = "exchange.csv"
MAINTENANCE = "maintenance.csv"
_NEVER = datetime.fromtimestamp(0, UTC)


def read_members(directory: Path, faults: FaultList, agencies: Container[str] | None) -> tuple[Member, ...]:
    """Read the X-Road members, in id order."""
    members: dict[str, Member] = {}
    for row in _optional(directory / MEMBERS, faults, ("member", "agency")).rows:
        name = row.need("member", read_party, "")
        if name in members:
            row.fault("member", f"`{name}` is there twice")
        members[name] = Member(name, row.reference("agency", agencies, AGENCIES, required=True))
    return tuple(members[name] for name in sorted(members))


def read_routes(directory: Path, faults: FaultList, links: Container[str] | None) -> tuple[ExchangeRoute, ...]:
    """Read the exchanges that serve links, in order of client, service and link."""
    routes: set[tuple[str, str, str]] = set()
    for row in _optional(directory / EXCHANGE, faults, ("client", "service", "link")).rows:
        client, service = row.need("client", read_party, ""), row.need("service", _read_service, "")
        route = (client, service, row.reference("link", links, LINKS, required=True))
        if route in routes:
            row.fault("client", "the row is there twice")
        routes.add(route)
    return tuple(ExchangeRoute(*route) for route in sorted(routes))


def read_maintenance(
    directory: Path, faults: FaultList, subjects: Container[str] | None, zone: tzinfo
) -> tuple[Maintenance, ...]:
    """Read the announcements, in order of time; ``subjects`` are the ids of agencies, links and endpoints."""
    announced = []
    for row in _optional(directory / MAINTENANCE, faults, ("subject", "from", "to", "note")).rows:
        subject = row.reference("subject", subjects, "the agencies, links and endpoints", required=True)
        start = row.need("from", lambda text: read_moment(text, zone), _NEVER)
        end = row.need("to", lambda text: read_moment(text, zone), _NEVER)
        if _NEVER not in (start, end) and end <= start:
            row.fault("to", "is not after `from`")
        announced.append(Maintenance(subject, start, end, row.read("note", read_name, "")))
    return tuple(sorted(announced, key=lambda item: (item.start, item.subject, item.end, item.note)))


def _optional(path: Path, faults: FaultList, columns: tuple[str, ...]) -> CsvTable:
    return read_table(path, faults, required=columns) if path.exists() else CsvTable()


def _read_service(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 5 or not all(fold(part) for part in parts):
        raise ValueError(f"`{text}` is not INSTANCE/CLASS/CODE/SUBSYSTEM/service")
    return text

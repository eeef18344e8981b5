"""Reads the notices of the register's keepers: announcements.yaml, objections.csv and maintenance.csv."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path

from services.core.model import (
    Announcement,
    AnnouncementKind,
    AnnouncementUpdate,
    LegalBasis,
    Maintenance,
    Objection,
    ObjectionState,
)
from services.register.faults import FaultList
from services.register.reading import (
    CsvRow,
    YamlMapping,
    read_choice,
    read_day,
    read_document,
    read_id,
    read_moment,
    read_name,
    read_optional_table,
)

ANNOUNCEMENTS = "announcements.yaml"
OBJECTIONS = "objections.csv"
MAINTENANCE = "maintenance.csv"

_TEXTS = ("text_en", "text_fa")
_ANNOUNCEMENT = ("kind", "from", "until", "title_en", "title_fa", *_TEXTS, "agencies", "links", "updates")
_NEVER = datetime.fromtimestamp(0, UTC)

ReadMoment = Callable[[str], datetime]


def read_legal_basis(text: str) -> LegalBasis:
    """Read ``law; article; date``; the article may be empty."""
    parts = [part.strip() for part in text.split(";")]
    if len(parts) != 3 or not parts[0] or not parts[2]:
        raise ValueError(f"`{text}` is not `law; article; YYYY-MM-DD` (the article may be empty)")
    return LegalBasis(parts[0], parts[1], read_day(parts[2]))


def read_announcements(
    directory: Path, faults: FaultList, agencies: Container[str] | None, links: Container[str] | None, zone: tzinfo
) -> tuple[Announcement, ...]:
    """Read the announcements, in id order; ``agencies`` and ``links`` are all ids, None when unknown."""
    path = directory / ANNOUNCEMENTS
    document = read_document(path, faults, keys=None) if path.exists() else None
    if document is None:
        return ()
    moment = partial(read_moment, zone=zone)
    announcements: dict[str, Announcement] = {}
    for key in document.nodes:
        name = faults.attempt(document.key_at(key), "id", read_id, key, "")
        if name in announcements:
            faults.add(document.key_at(key), f"id: `{key}` is there twice")
        given = document.mapping(key, _ANNOUNCEMENT)
        if given is not None:
            announcements[name] = _announcement(name, given, agencies, links, moment)
    return tuple(announcements[name] for name in sorted(announcements))


def _announcement(
    name: str, given: YamlMapping, agencies: Container[str] | None, links: Container[str] | None, moment: ReadMoment
) -> Announcement:
    start = given.need("from", moment, _NEVER)
    end = given.read("until", moment, None)
    if end is not None and end <= start:
        given.fault("until", "is not after `from`")
    updates = (
        AnnouncementUpdate(update.need("time", moment, _NEVER), *_both(update, "text"))
        for update in given.mappings("updates", ("time", *_TEXTS))
    )
    return Announcement(
        name,
        given.need(
            "kind", lambda text: AnnouncementKind(read_choice(text, *AnnouncementKind)), AnnouncementKind.INCIDENT
        ),
        start,
        end,
        *_both(given, "title"),
        *_both(given, "text"),
        agencies=_ids(given, "agencies", agencies),
        links=_ids(given, "links", links),
        updates=tuple(sorted(updates, key=lambda update: update.time)),
    )


def _both(given: YamlMapping, key: str) -> tuple[str, str]:
    """Read a text in both languages, since readers of either need it."""
    return given.need(f"{key}_en", read_name, ""), given.need(f"{key}_fa", read_name, "")


def _ids(given: YamlMapping, key: str, known: Container[str] | None) -> tuple[str, ...]:
    def read(text: str) -> str:
        name = read_id(text)
        if known is not None and name not in known:
            raise ValueError(f"`{text}` is not in {key}.csv")
        return name

    return tuple(sorted(set(given.read_list(key, read, ""))))


def read_objections(
    directory: Path, faults: FaultList, links: Container[str] | None, zone: tzinfo
) -> tuple[Objection, ...]:
    """Read the objections, in order of link and time; ``links`` are all ids, None when unknown."""
    required, optional = ("link", "from", *_TEXTS, "state"), ("to", "answer_en", "answer_fa")
    table = read_optional_table(directory / OBJECTIONS, faults, required, optional)
    objections = (_objection(row, links, partial(read_moment, zone=zone)) for row in table.rows)
    return tuple(sorted(objections, key=lambda objection: (objection.link, objection.start)))


def _objection(row: CsvRow, links: Container[str] | None, moment: ReadMoment) -> Objection:
    start, end = row.need("from", moment, _NEVER), row.read("to", moment, None)
    _check_order(row, start, end)
    state = row.need("state", lambda text: ObjectionState(read_choice(text, *ObjectionState)), ObjectionState.OPEN)
    answer = row.need if state is not ObjectionState.OPEN else row.read
    return Objection(
        link=row.reference("link", links, "links.csv", required=True),
        start=start,
        end=end,
        text_en=row.need("text_en", read_name, ""),
        text_fa=row.need("text_fa", read_name, ""),
        answer_en=answer("answer_en", read_name, ""),
        answer_fa=answer("answer_fa", read_name, ""),
        state=state,
    )


def read_maintenance(
    directory: Path, faults: FaultList, subjects: Container[str] | None, zone: tzinfo
) -> tuple[Maintenance, ...]:
    """Read announced maintenance, in order of time; ``subjects`` are the ids of agencies, links and endpoints."""
    moment = partial(read_moment, zone=zone)
    announced = []
    for row in read_optional_table(directory / MAINTENANCE, faults, ("subject", "from", "to"), ("note",)).rows:
        subject = row.reference("subject", subjects, "the agencies, links and endpoints", required=True)
        start, end = row.need("from", moment, _NEVER), row.need("to", moment, _NEVER)
        _check_order(row, start, end)
        announced.append(Maintenance(subject, start, end, row.read("note", read_name, "")))
    return tuple(sorted(announced, key=lambda item: (item.start, item.subject, item.end, item.note)))


def _check_order(row: CsvRow, start: datetime, end: datetime | None) -> None:
    if end is not None and _NEVER not in (start, end) and end <= start:
        row.fault("to", "is not after `from`")

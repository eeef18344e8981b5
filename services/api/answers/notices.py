"""Lists notices of the register's keepers: announcements, objections and maintenance, as peyvand.v1 messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from peyvand.v1 import register_pb2
from peyvand.v1 import register_service_pb2 as messages
from services.api.access import SUBJECTS, current_caller
from services.api.errors import UnknownEntityError
from services.api.model import ReadModel
from services.api.paging import page_of
from services.core.codec import copied_fields, to_timestamp
from services.core.model import Announcement, AnnouncementUpdate, IndicatorKind, Maintenance, Objection

Notice = TypeVar("Notice", Objection, Maintenance)

_announcement_fields = copied_fields(Announcement, "kind", "start", "end", "links", "updates")
_objection_fields = copied_fields(Objection, "start", "end", "state")


class NoticeAnswers:
    """Lists the notices of the register in force that the caller may see. Every method raises RequestError."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model

    def announcements(self, request: messages.ListAnnouncementsRequest) -> messages.ListAnnouncementsResponse:
        """Return one page of announcements in id order."""
        register, caller = self._model.view.register, current_caller()
        by_id = {announcement.id: announcement for announcement in register.announcements}
        page = page_of(sorted(by_id), ("ListAnnouncements",), size=request.page_size, token=request.page_token)
        visible = partial(caller.sees, IndicatorKind.LINK, register=register)
        announcements, next_token = page.bounded(
            _announcement_message(by_id[name], filter(visible, by_id[name].links)) for name in page.ids
        )
        return messages.ListAnnouncementsResponse(announcements=announcements, next_page_token=next_token)

    def objections(self, request: messages.ListObjectionsRequest) -> messages.ListObjectionsResponse:
        """Return one page of objections by link and time, to one link or to one agency's links if given."""
        view, caller = self._model.view, current_caller()
        register = view.register
        for kind, entity in ((IndicatorKind.LINK, request.link), (IndicatorKind.CONSUMER, request.agency)):
            if entity:
                view.entity(kind, entity)
        by_key = _by_key((one.link, one.start, one.text_en, one.text_fa, one) for one in register.objections)

        def wanted(key: str) -> bool:
            link = register.links[by_key[key].link]
            return (
                request.link in ("", link.id)
                and request.agency in ("", register.consumer(link), link.provider)
                and caller.sees(IndicatorKind.LINK, link.id, register)
            )

        query = ("ListObjections", request.link, request.agency)
        page = page_of(sorted(by_key), query, size=request.page_size, token=request.page_token, visible=wanted)
        objections, next_token = page.bounded(objection_message(by_key[key]) for key in page.ids)
        return messages.ListObjectionsResponse(objections=objections, next_page_token=next_token)

    def maintenance(self, request: messages.ListMaintenanceRequest) -> messages.ListMaintenanceResponse:
        """Return one page of announced maintenance by subject and time, of one subject if that is given."""
        view, caller = self._model.view, current_caller()
        if request.subject and not any(view.knows(kind, request.subject) for kind in SUBJECTS):
            raise UnknownEntityError(
                "SUBJECT_UNKNOWN",
                f"the register in force knows no agency, link or endpoint `{request.subject}`",
                subject=request.subject,
            )
        by_key = _by_key((one.subject, one.start, one.note, str(one.end), one) for one in view.register.maintenance)

        def wanted(key: str) -> bool:
            subject = by_key[key].subject
            return request.subject in ("", subject) and caller.sees_subject(subject, view.register)

        query = ("ListMaintenance", request.subject)
        page = page_of(sorted(by_key), query, size=request.page_size, token=request.page_token, visible=wanted)
        maintenance, next_token = page.bounded(_maintenance_message(by_key[key]) for key in page.ids)
        return messages.ListMaintenanceResponse(maintenance=maintenance, next_page_token=next_token)


def _by_key(notices: Iterable[tuple[str, datetime, str, str, Notice]]) -> dict[str, Notice]:
    """Return notices, each given with its subject, its start and two texts, by keys that sort by subject and time.

    A key follows from these alone, so that it stays the same when other notices are added to the register or removed.
    """
    equal: Counter[str] = Counter()
    keyed: dict[str, Notice] = {}
    for subject, start, *texts, notice in notices:
        content = blake2b("\0".join(texts).encode(), digest_size=8).hexdigest()
        key = f"{subject} {start.isoformat()} {content}"
        keyed[f"{key} {equal[key]:06}"] = notice
        equal[key] += 1
    return keyed


def _announcement_message(announcement: Announcement, links: Iterable[str]) -> register_pb2.Announcement:
    """Return one announcement as a message; ``links`` are the affected ones that the caller may see."""
    return register_pb2.Announcement(
        kind=register_pb2.AnnouncementKind.Value(f"ANNOUNCEMENT_KIND_{announcement.kind.name}"),
        until=_optional_moment(announcement.end),
        links=links,
        updates=map(_update_message, announcement.updates),
        # A Python keyword cannot be the name of an argument.
        **_announcement_fields(announcement) | {"from": _moment(announcement.start)},
    )


def _update_message(update: AnnouncementUpdate) -> register_pb2.AnnouncementUpdate:
    return register_pb2.AnnouncementUpdate(time=_moment(update.time), text_en=update.text_en, text_fa=update.text_fa)


def objection_message(objection: Objection) -> register_pb2.Objection:
    """Return one objection as a message."""
    return register_pb2.Objection(
        to=_optional_moment(objection.end),
        state=register_pb2.ObjectionState.Value(f"OBJECTION_STATE_{objection.state.name}"),
        **_objection_fields(objection) | {"from": _moment(objection.start)},
    )


def _maintenance_message(maintenance: Maintenance) -> register_pb2.Maintenance:
    """Return one announced maintenance as a message."""
    return register_pb2.Maintenance(
        subject=maintenance.subject,
        to=_moment(maintenance.end),
        note=maintenance.note,
        **{"from": _moment(maintenance.start)},
    )


def _moment(moment: datetime) -> Timestamp:
    return to_timestamp(moment.timestamp())


def _optional_moment(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else _moment(moment)

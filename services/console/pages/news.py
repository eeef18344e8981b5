"""Shows what the keepers of the register tell readers: announcements with their updates, and announced maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.console.pages.page import Page, Visit
from services.console.queries import NamedLink, collected, named_links
from services.core.codec import ANNOUNCEMENT_KINDS
from services.core.model import OTHER


@dataclass(frozen=True, slots=True)
class Update:
    """A later addition to an announcement; ``text`` is Markdown."""

    moment: int
    text: str


@dataclass(frozen=True, slots=True)
class AnnouncementView:
    """One announcement, if possible in the reader's language; ``text`` is Markdown, ``end`` is None while open."""

    id: str
    kind: str
    start: int
    end: int | None
    title: str
    text: str
    agencies: tuple[str, ...]
    links: tuple[str, ...]
    updates: tuple[Update, ...]

    @property
    def changed(self) -> int:
        """When it last changed: its start or its latest update."""
        return max([self.start, *(update.moment for update in self.updates)])

    def in_force(self, moment: int) -> bool:
        """Return whether it applies at a moment."""
        return self.start <= moment and (self.end is None or moment < self.end)


@dataclass(frozen=True, slots=True)
class MaintenanceView:
    """Announced work on an agency, a link or an endpoint; it excludes nothing. ``link`` is None for the other two."""

    subject: str
    link: NamedLink | None
    start: int
    end: int
    note: str


@dataclass(frozen=True, slots=True)
class NewsView:
    """Current, future and past announcements, each newest first, and maintenance that is not over.

    ``links`` are the inquiries that announcements name, by id.
    """

    now: tuple[AnnouncementView, ...]
    ahead: tuple[AnnouncementView, ...]
    past: tuple[AnnouncementView, ...]
    links: Mapping[str, NamedLink]
    maintenance: tuple[MaintenanceView, ...]


async def announcements_of(visit: Visit) -> tuple[AnnouncementView, ...]:
    """Return every announcement, the last changed first."""
    found = [_announcement(visit, one) async for one in visit.api.announcements()]
    return tuple(sorted(found, key=lambda one: (-one.changed, one.id)))


async def maintenance_of(visit: Visit) -> tuple[MaintenanceView, ...]:
    """Return announced maintenance that is not over, the next one first."""
    return await maintenance_views(visit, await collected(visit.api.maintenance()))


async def maintenance_views(
    visit: Visit, messages: Iterable[Any], since: int | None = None
) -> tuple[MaintenanceView, ...]:
    """Return the work of messages Maintenance that is not over, or was not at ``since``, the first one first."""
    moment = visit.edition.as_of if since is None else since
    ahead = [one for one in messages if one.to.seconds > moment]
    links = (one.subject for one in ahead if one.subject not in visit.names.agencies)
    named = await named_links(visit.api, links) if visit.sees_links else {}
    found = [
        MaintenanceView(one.subject, named.get(one.subject), getattr(one, "from").seconds, one.to.seconds, one.note)
        for one in ahead
    ]
    return tuple(sorted(found, key=lambda one: (one.start, one.subject)))


async def gather(visit: Visit) -> NewsView:
    """Fetch announcements and maintenance."""
    announcements, maintenance = await asyncio.gather(announcements_of(visit), maintenance_of(visit))
    moment = visit.edition.as_of
    links = (link for one in announcements for link in one.links)
    return NewsView(
        now=tuple(one for one in announcements if one.in_force(moment)),
        ahead=tuple(one for one in announcements if one.start > moment),
        past=tuple(one for one in announcements if one.start <= moment and not one.in_force(moment)),
        links=await named_links(visit.api, links) if visit.sees_links else {},
        maintenance=maintenance,
    )


def _announcement(visit: Visit, one: Any) -> AnnouncementView:
    return AnnouncementView(
        id=one.id,
        kind=ANNOUNCEMENT_KINDS.get(one.kind, OTHER),
        start=getattr(one, "from").seconds,
        end=one.until.seconds if one.HasField("until") else None,
        title=visit.either(one.title_en, one.title_fa),
        text=visit.either(one.text_en, one.text_fa),
        agencies=tuple(one.agencies),
        links=tuple(one.links),
        updates=tuple(
            Update(update.time.seconds, visit.either(update.text_en, update.text_fa))
            for update in reversed(one.updates)
        ),
    )


PAGE = Page("news", "/news", gather)

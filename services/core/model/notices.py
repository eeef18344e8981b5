"""Notices of the register's keepers to readers, beside the evidence (docs/register.md). None changes a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class LegalBasis:
    """The rule that requires an inquiry: a ``law``, its ``article`` (empty for the whole), and the day it was ``passed``."""

    law: str
    article: str
    passed: date


class AnnouncementKind(StrEnum):
    """What an announcement is about; the values are those of announcements.yaml."""

    INCIDENT = "incident"
    MAINTENANCE = "maintenance"
    CHANGE_OF_METHOD = "change-of-method"


@dataclass(frozen=True, slots=True)
class AnnouncementUpdate:
    """An addition to an announcement at some moment, in Markdown."""

    time: datetime
    text_en: str
    text_fa: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that readers should know from ``start`` until ``end`` (None while that is open); texts are Markdown.

    ``agencies`` and ``links`` are the ids of those affected; ``updates`` are in order of time.
    """

    id: str
    kind: AnnouncementKind
    start: datetime
    end: datetime | None
    title_en: str
    title_fa: str
    text_en: str
    text_fa: str
    agencies: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    updates: tuple[AnnouncementUpdate, ...] = ()


class ObjectionState(StrEnum):
    """The state of an objection; the values are those of objections.csv."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Objection:
    """An agency's objection to the evidence of a link from ``start`` to ``end`` (None while that continues).

    The answers are empty while the objection is open.
    """

    link: str
    start: datetime
    end: datetime | None
    text_en: str
    text_fa: str
    answer_en: str
    answer_fa: str
    state: ObjectionState


@dataclass(frozen=True, slots=True)
class Maintenance:
    """An announced maintenance of a target or agency: shown, never excluded."""

    subject: str
    start: datetime
    end: datetime
    note: str

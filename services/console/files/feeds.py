"""Serves announcements and maintenance as feeds: Atom, JSON Feed and iCalendar, one of each per language."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from xml.etree import ElementTree as ET

from services.console.pages import AnnouncementView, Content, File, Visit, announcements_of, maintenance_of
from services.console.texts import LANGUAGES, iso, texts_of, write_markdown

_ATOM = "http://www.w3.org/2005/Atom"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_FOLD = 74
"""The most bytes of a line of iCalendar, which continues on the next line after them (RFC 5545 §3.1)."""


async def atom(visit: Visit) -> Content:
    """Return the announcements as Atom (RFC 4287)."""
    announcements = await announcements_of(visit)
    ET.register_namespace("", _ATOM)
    feed = ET.Element(f"{{{_ATOM}}}feed", {_XML_LANG: visit.language})
    page = _address(visit)
    _add(feed, "id", page)
    _add(feed, "title", _title(visit))
    _add(feed, "updated", iso(max((one.changed for one in announcements), default=_published(visit))))
    ET.SubElement(_add(feed, "author"), f"{{{_ATOM}}}name").text = visit.names.government(visit.language)
    _add(feed, "link", rel="alternate", type="text/html", href=page)
    _add(feed, "link", rel="self", type="application/atom+xml", href=f"{visit.base}/feeds/{visit.language}.atom")
    for one in announcements:
        entry = _add(feed, "entry")
        _add(entry, "id", f"{page}#{one.id}")
        _add(entry, "title", one.title)
        _add(entry, "published", iso(one.start))
        _add(entry, "updated", iso(one.changed))
        _add(entry, "category", term=one.kind)
        _add(entry, "link", rel="alternate", type="text/html", href=f"{page}#{one.id}")
        _add(entry, "content", _html(one), type="html")
    return Content("application/atom+xml; charset=utf-8", ET.tostring(feed, "unicode", xml_declaration=True))


async def json_feed(visit: Visit) -> Content:
    """Return the announcements as JSON Feed 1.1."""
    page = _address(visit)
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _title(visit),
        "home_page_url": page,
        "feed_url": f"{visit.base}/feeds/{visit.language}.json",
        "language": visit.language,
        "items": [
            {
                "id": f"{page}#{one.id}",
                "url": f"{page}#{one.id}",
                "title": one.title,
                "content_html": _html(one),
                "date_published": iso(one.start),
                "date_modified": iso(one.changed),
                "tags": [one.kind],
            }
            for one in await announcements_of(visit)
        ],
    }
    return Content("application/feed+json; charset=utf-8", json.dumps(feed, ensure_ascii=False, indent=1))


async def calendar(visit: Visit) -> Content:
    """Return announcements and maintenance as iCalendar (RFC 5545)."""
    announcements, maintenance = await asyncio.gather(announcements_of(visit), maintenance_of(visit))
    stamp = _basic(_published(visit))
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Peyvand//Console//EN", f"X-WR-CALNAME:{_text(_title(visit))}"]
    for one in announcements:
        lines += _event(one.id, stamp, one.start, one.end, one.title, one.text, one.kind)
    for work in maintenance:
        name = visit.agency(work.subject) if work.link is None else visit.service(work.link.service)
        lines += _event(f"{work.subject}-{work.start}", stamp, work.start, work.end, name, work.note, "maintenance")
    lines.append("END:VCALENDAR")
    return Content("text/calendar; charset=utf-8", "".join(map(_folded, lines)))


def _event(name: str, stamp: str, start: int, end: int | None, title: str, text: str, kind: str) -> list[str]:
    """Return the lines of an event, which is open where ``end`` is None."""
    ended = [] if end is None else [f"DTEND:{_basic(end)}"]
    return [
        *("BEGIN:VEVENT", f"UID:{name}@peyvand", f"DTSTAMP:{stamp}", f"DTSTART:{_basic(start)}", *ended),
        *(f"SUMMARY:{_text(title)}", f"DESCRIPTION:{_text(text)}", f"CATEGORIES:{kind}", "END:VEVENT"),
    ]


def _published(visit: Visit) -> int:
    """Return when the register was published, or when its figures were, if the api does not know."""
    return visit.edition.published or visit.edition.as_of


def _address(visit: Visit) -> str:
    return f"{visit.base}/{visit.language}/news"


def _title(visit: Visit) -> str:
    return f"{texts_of(visit.language).message('Peyvand')} · {visit.names.government(visit.language)}"


def _html(one: AnnouncementView) -> str:
    return "".join(map(write_markdown, [one.text, *(update.text for update in one.updates)]))


def _add(parent: ET.Element, name: str, text: str | None = None, /, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, f"{{{_ATOM}}}{name}", attributes)
    element.text = None if text is None else _speakable(text)
    return element


def _speakable(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return "".join(
        character for character in text if character in "\t\n" or (character >= " " and character not in "\ufffe\uffff")
    )


def _basic(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    """Return a text as a value of iCalendar."""
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\r", "")
    return _speakable(escaped).replace("\n", "\\n")


def _folded(line: str) -> str:
    """Return a line of iCalendar with its line ending, folded between characters."""
    parts, part, size = [], "", 0
    for character in line:
        width = len(character.encode())
        if size + width > _FOLD:
            parts.append(part)
            part, size = "", 1
        part, size = part + character, size + width
    return "\r\n ".join([*parts, part]) + "\r\n"


async def _in_language(code: str, made: Callable[[Visit], Awaitable[Content]], visit: Visit) -> Content:
    return await made(replace(visit, language=code))


FILES = tuple(
    File(f"news.{suffix}", f"/feeds/{code}.{suffix}", partial(_in_language, code, made))
    for code in LANGUAGES
    for suffix, made in (("atom", atom), ("json", json_feed), ("ics", calendar))
)

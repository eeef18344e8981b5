"""Announcements and maintenance as feeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from services.register.directory import load_register
from tests.support.console.case import Console
from tests.support.registers import ANNOUNCEMENTS, write_register

_ATOM = {"a": "http://www.w3.org/2005/Atom"}


async def test_feeds_are_well_formed_and_say_the_same(console: Console) -> None:
    """Atom, JSON Feed and iCalendar list the announcements with stable ids and absolute addresses."""
    for code, title in (("en", "Late answers"), ("fa", "پاسخ‌های دیر")):
        atom = ET.fromstring((await console.get(f"/feeds/{code}.atom")).content)
        entries = atom.findall("a:entry", _ATOM)
        feed = json.loads((await console.get(f"/feeds/{code}.json")).text)
        assert feed["version"] == "https://jsonfeed.org/version/1.1"
        ids = [one.findtext("a:id", namespaces=_ATOM) for one in entries]
        assert ids == [one["id"] for one in feed["items"]]
        assert ids[0] == f"http://console.test/{code}/news#late-answers"
        assert entries[0].findtext("a:title", namespaces=_ATOM) == title
        calendar = (await console.get(f"/feeds/{code}.ics")).text
        assert calendar.startswith("BEGIN:VCALENDAR\r\n")
        assert calendar.count("BEGIN:VEVENT") == 2
        assert all(len(line.encode()) <= 75 for line in calendar.split("\r\n"))
        unfolded = calendar.replace("\r\n ", "")
        assert f"SUMMARY:{title}\r\n" in unfolded


async def test_a_feed_is_well_formed_whatever_a_title_holds(empty_api: Any, make_console: Any, tmp_path: Path) -> None:
    """Characters that XML cannot hold, which a text that was pasted may bring, are left out."""
    title = '"Late\\uFFFE ans\\uFFFFw\\x0Bers"'
    hostile = ANNOUNCEMENTS.replace("title_en: Late answers", f"title_en: {title}")
    empty_api.take_register(load_register(write_register(tmp_path / "register", announcements_yaml=hostile)))
    empty_api.take_blocks()
    console = await make_console()
    atom = ET.fromstring((await console.get("/feeds/en.atom")).content)
    titles = [one.findtext("a:title", namespaces=_ATOM) for one in atom.findall("a:entry", _ATOM)]
    assert "Late answers" in titles
    assert "SUMMARY:Late answers\r\n" in (await console.get("/feeds/en.ics")).text

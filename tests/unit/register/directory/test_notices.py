"""announcements.yaml, objections.csv and legal bases are read strictly and published, but are part of no version."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from services.core.errors import InputError
from services.core.model.notices import (
    Announcement,
    AnnouncementKind,
    AnnouncementUpdate,
    LegalBasis,
    Objection,
    ObjectionState,
)
from services.register.bus.chunks import join_chunks, split_register
from services.register.directory.load import load_register
from services.register.versions.diff import diff_registers
from services.register.versions.rows import with_versions
from tests.support.registers import ANNOUNCEMENTS, LEGAL_BASES, OBJECTIONS, write_register

NOTICES = {"announcements_yaml": ANNOUNCEMENTS, "objections_csv": OBJECTIONS, "links_csv": LEGAL_BASES}


def faults(tmp_path: Path, **changes: str) -> list[str]:
    """Return the faults of a register with these files, without its path."""
    directory = write_register(tmp_path, **cast(Any, changes))
    with pytest.raises(InputError) as refused:
        load_register(directory)
    return [str(fault).removeprefix(f"{directory}/") for fault in refused.value.faults]


def test_announcements_are_kept_as_written(tmp_path: Path) -> None:
    """Announcements are in id order and updates in time order. A day begins at midnight in the policy's timezone."""
    register = load_register(write_register(tmp_path, announcements_yaml=ANNOUNCEMENTS))
    first, second = register.announcements
    assert first == Announcement(
        id="bus-upgrade",
        kind=AnnouncementKind.MAINTENANCE,
        start=datetime(2026, 2, 28, 20, 30, tzinfo=UTC),
        end=datetime(2026, 3, 1, 20, 30, tzinfo=UTC),
        title_en="The data bus is upgraded",
        title_fa="ارتقای گذرگاه داده",
        text_en="Answers may be *late*.",
        text_fa="پاسخ‌ها شاید *دیر* برسند.",
        agencies=("civil-registry", "tax-office"),
        links=("deed-tax",),
        updates=(
            AnnouncementUpdate(datetime(2026, 3, 1, 8, tzinfo=UTC), "Half is done.", "نیمی انجام شد."),
            AnnouncementUpdate(datetime(2026, 3, 1, 9, tzinfo=UTC), "Done.", "انجام شد."),
        ),
    )
    assert (second.id, second.kind, second.end) == ("late-answers", AnnouncementKind.INCIDENT, None)
    assert (second.agencies, second.links, second.updates) == ((), (), ())


def test_every_fault_of_an_announcement_has_its_place(tmp_path: Path) -> None:
    """Missing texts in either language, times in the wrong order, and unknown ids are faults."""
    text = """\
Bus:
  kind: party
  from: 2026-03-02
  until: 2026-03-01
  title_en: Upgrade
  title_fa: " "
  text_fa: متن
  agencies: [tax-office, nobody]
  links: [no-link]
  updates:
    - {time: soon, text_en: x, text_fa: ب}
    - {text_en: x, colour: red}
x: words
"""
    assert faults(tmp_path, announcements_yaml=text) == [
        "announcements.yaml:1:1: id: `Bus` is not an id: at most 63 of a-z, 0-9 and `-`, beginning with a letter or a digit",
        "announcements.yaml:2:3: key `text_en` is missing",
        "announcements.yaml:2:9: kind: `party` is not one of incident, maintenance, change-of-method",
        "announcements.yaml:4:10: until: is not after `from`",
        "announcements.yaml:6:13: title_fa: is empty",
        "announcements.yaml:8:26: agencies: `nobody` is not in agencies.csv",
        "announcements.yaml:9:11: links: `no-link` is not in links.csv",
        "announcements.yaml:11:14: time: `soon` is not a time: write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+hh:mm",
        "announcements.yaml:12:7: key `text_fa` is missing",
        "announcements.yaml:12:7: key `time` is missing",
        "announcements.yaml:12:20: key `colour` is unknown; known are time, text_en, text_fa",
        "announcements.yaml:13:4: x: is not a mapping of keys to values",
    ]


def test_an_announcement_is_there_once(tmp_path: Path) -> None:
    """Ids that differ only in the script of their digits are the same id."""
    one = "  kind: incident\n  from: 2026-03-01\n" + "".join(
        f"  {key}: x\n" for key in ("title_en", "title_fa", "text_en", "text_fa")
    )
    text = f"bus-1:\n{one}bus-۱:\n{one}"
    assert faults(tmp_path, announcements_yaml=text) == ["announcements.yaml:8:1: id: `bus-۱` is there twice"]


def test_objections_are_kept_as_written(tmp_path: Path) -> None:
    """Objections are ordered by link and time. An open one has no end and no answer."""
    register = load_register(write_register(tmp_path, objections_csv=OBJECTIONS))
    accepted, still_open = register.objections
    assert accepted == Objection(
        link="deed-civil",
        start=datetime(2026, 2, 28, 20, 30, tzinfo=UTC),
        end=datetime(2026, 3, 1, 10, tzinfo=UTC),
        text_en="The test record was withdrawn.",
        text_fa="رکورد آزمون پس گرفته شده بود.",
        answer_en="It is replaced in the next register.",
        answer_fa="در نسخهٔ بعدی دفتر جایگزین می‌شود.",
        state=ObjectionState.ACCEPTED,
    )
    assert (still_open.link, still_open.state, still_open.end) == ("deed-tax", ObjectionState.OPEN, None)
    assert (still_open.answer_en, still_open.answer_fa) == ("", "")


def test_every_fault_of_an_objection_has_its_place(tmp_path: Path) -> None:
    """A closed objection needs an answer in both languages. Optional columns may be left out."""
    text = """\
link,from,to,text_en,text_fa,answer_en,answer_fa,state
no-link,2026-03-02,2026-03-01,x,,,,open
deed-tax,,,x,ب,no,,rejected
deed-tax,2026-03-01,soon,x,ب,,,settled
,2026-03-01,,x,ب,,,
"""
    assert faults(tmp_path, objections_csv=text) == [
        "objections.csv:2:1: link: `no-link` is not in links.csv",
        "objections.csv:2:20: to: is not after `from`",
        "objections.csv:2:33: text_fa: is empty",
        "objections.csv:3:10: from: is empty",
        "objections.csv:3:19: answer_fa: is empty",
        "objections.csv:4:21: to: `soon` is not a time: write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+hh:mm",
        "objections.csv:4:32: state: `settled` is not one of open, accepted, rejected",
        "objections.csv:5:1: link: is empty",
        "objections.csv:5:20: state: is empty",
    ]
    short = "link,from,text_en,text_fa,state\ndeed-tax,2026-03-01,x,ب,open\n"
    assert len(load_register(write_register(tmp_path / "short", objections_csv=short)).objections) == 1


def test_legal_bases_name_law_article_and_date(tmp_path: Path) -> None:
    """The article may be empty, and the date may have any digits. A cell that is not such a citation is a fault."""
    links = load_register(write_register(tmp_path, links_csv=LEGAL_BASES)).links
    assert links["birth-tax"].legal_basis == LegalBasis("قانون مدیریت خدمات", "ماده ۴۰", date(2007, 9, 30))
    assert links["deed-civil"].legal_basis == LegalBasis("Decision 12 of the council", "", date(2024, 3, 20))
    assert links["deed-tax"].legal_basis is None
    for cell, reason in (
        ("Law; 1", "`Law; 1` is not `law; article; YYYY-MM-DD` (the article may be empty)"),
        ("; 1; 2024-01-01", "`; 1; 2024-01-01` is not `law; article; YYYY-MM-DD` (the article may be empty)"),
        ("Law; 1; 1386", "`1386` is not a date: write YYYY-MM-DD"),
    ):
        changed = LEGAL_BASES.replace("Decision 12 of the council;;2024-03-20", cell)
        assert faults(tmp_path / cell, links_csv=changed) == [f"links.csv:3:149: legal_basis: {reason}"]


def test_misspelt_files_are_found(tmp_path: Path) -> None:
    """A file that nobody would read is a fault that suggests the right name."""
    assert faults(tmp_path, announcement_yaml="", objection_csv="") == [
        "announcement.yaml: no such file is read: is it meant to be announcements.yaml?",
        "objection.csv: no such file is read: is it meant to be objections.csv?",
    ]


def test_notices_are_in_neither_version_and_reach_readers(tmp_path: Path) -> None:
    """Notices change neither version. The bus carries all of them, and a diff names each."""
    bare = load_register(write_register(tmp_path / "bare"))
    noted = load_register(write_register(tmp_path / "noted", **NOTICES))
    assert (noted.register_version, noted.probe_version) == (bare.register_version, bare.probe_version)
    assert with_versions(join_chunks(split_register(noted).values())) == noted
    diff = diff_registers(bare, noted)
    assert diff.sections["announcements"].added == ("bus-upgrade", "late-answers")
    assert len(diff.sections["objections"].added) == 2
    assert set(diff.sections["links"].changed) == {"birth-tax", "deed-civil"}
    json.dumps(diff.to_json())
    text = ANNOUNCEMENTS.replace("Done.", "Done at last.")
    later = load_register(write_register(tmp_path / "later", **{**NOTICES, "announcements_yaml": text}))
    assert set(diff_registers(noted, later).sections["announcements"].changed) == {"bus-upgrade"}

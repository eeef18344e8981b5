# ruff: noqa: RUF001 - the Persian texts are Persian on purpose
"""Makes simulated announcements, objections and maintenance in both languages, labelled as invented. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.sandbox.scenario import BUS, Scenario

OBJECTION_COLUMNS = "link from to text_en text_fa answer_en answer_fa state"
MAINTENANCE_COLUMNS = "subject from to note"

_BUS_OPERATOR = "national-post"
_UPGRADE = (timedelta(days=1), timedelta(days=1, hours=2))
"""The start and the end of the work on the bus, after the start of the run."""


def make_announcements(scenario: Scenario, start: datetime) -> dict[str, object]:
    """Return the content of announcements.yaml of a run that starts at ``start``: one of each kind."""
    first, last = (start + span for span in _UPGRADE)
    on_bus = [served.link for served in scenario.served_links if served.on_bus]
    return {
        "simulated-faults": {
            "kind": "incident",
            "from": start.isoformat(),
            "title_en": "Faults are injected on purpose",
            "title_fa": "خطاها عمدی تزریق می‌شوند",
            "text_en": "Simulated: this government is fictional. Its servers fail, answer late and answer wrongly **by plan**, "
            "so that what is measured can be compared with the truth.",
            "text_fa": "آزمایشی: این دولت ساختگی است. سامانه‌های آن **طبق برنامه** از کار می‌افتند، دیر پاسخ می‌دهند یا پاسخ نادرست "
            "می‌دهند تا بتوان نتیجهٔ سنجش را با واقعیت مقایسه کرد.",
            "updates": [
                {
                    "time": (start + timedelta(minutes=1)).isoformat(),
                    "text_en": "Simulated: the first faults have begun.",
                    "text_fa": "آزمایشی: نخستین خطاها آغاز شده‌اند.",
                }
            ],
        },
        "bus-upgrade": {
            "kind": "maintenance",
            "from": first.isoformat(),
            "until": last.isoformat(),
            "title_en": "The national data bus is upgraded",
            "title_fa": "ارتقای گذرگاه ملی داده",
            "text_en": "Simulated: inquiries over the bus may be answered late for two hours. Verdicts are given as always.",
            "text_fa": "آزمایشی: ممکن است به مدت دو ساعت استعلام‌هایی که از گذرگاه می‌گذرند با تأخیر پاسخ داده شوند. "
            "سنجش مانند همیشه انجام می‌شود.",
            "agencies": [_BUS_OPERATOR],
            "links": on_bus[:3],
        },
        "rank-ranges": {
            "kind": "change-of-method",
            "from": (start - timedelta(days=30)).isoformat(),
            "until": start.isoformat(),
            "title_en": "Ranks are published as ranges",
            "title_fa": "رتبه‌ها به صورت بازه منتشر می‌شوند",
            "text_en": "Simulated: an agency's rank is a range that follows from the intervals of all agencies. "
            "No index changed.",
            "text_fa": "آزمایشی: رتبهٔ هر دستگاه بازه‌ای است که از بازه‌های اطمینان همهٔ دستگاه‌ها به دست می‌آید. "
            "هیچ شاخصی تغییر نکرده است.",
        },
    }


def make_objections(scenario: Scenario, start: datetime) -> Iterator[tuple[str, ...]]:
    """Yield the rows of objections.csv, in OBJECTION_COLUMNS: one in each state, on two live links and one on paper."""
    live = [link.id for link in scenario.links if not link.absent]
    absent = next(link.id for link in scenario.links if link.absent)
    since, before = start.isoformat(), (start - timedelta(days=2)).isoformat()
    yield (
        *(scenario.sample_link, since, ""),
        "Simulated: the limit of latency is shorter than our contract with the consumer says.",
        "آزمایشی: سقف زمان پاسخ از آنچه در تفاهم‌نامه با دستگاه استعلام‌کننده آمده کوتاه‌تر است.",
        *("", "", "open"),
    )
    yield (
        *(absent, before, since),
        "Simulated: this link has been built; the register still lists it as on paper.",
        "آزمایشی: این استعلام الکترونیکی شده است، ولی فهرست استعلام‌ها هنوز آن را کاغذی می‌داند.",
        "Simulated: the next register will list it as live from the day it was accepted.",
        "آزمایشی: نسخهٔ بعدی فهرست آن را از روز تحویل برقرار می‌داند.",
        "accepted",
    )
    yield (
        *(next(link for link in live if link != scenario.sample_link), before, since),
        "Simulated: the failures were those of the monitor.",
        "آزمایشی: خطا از خود سامانهٔ سنجش بوده است.",
        "Simulated: the control targets answered throughout, and so did this provider's other links.",
        "آزمایشی: هدف‌های کنترل در همهٔ این مدت پاسخ داده‌اند و استعلام‌های دیگر همین دستگاه نیز پاسخ داده‌اند.",
        "rejected",
    )


def make_maintenance(start: datetime) -> Iterator[tuple[str, ...]]:
    """Yield the rows of maintenance.csv, in MAINTENANCE_COLUMNS: the bus, at the announced times."""
    first, last = (start + span for span in _UPGRADE)
    yield BUS, first.isoformat(), last.isoformat(), "ارتقای گذرگاه ملی داده (upgrade of the national data bus)"

"""Numbers, moments and Markdown as a language writes them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from services.console.texts import texts_of, write_markdown
from services.console.texts.moments import write_months
from services.core.model import ENDLESS

TEHRAN = ZoneInfo("Asia/Tehran")
NOON = 1_795_768_200  # 2026-11-27 08:30 UTC


@pytest.mark.parametrize(
    ("language", "share", "text"),
    [
        ("en", 0.779, "77.9%"),
        ("fa", 0.779, "۷۷٫۹٪"),
        ("en", -0.0004, "0.0%"),
        ("en", -0.05, "−5.0%"),
        ("fa", -0.05, "\N{LEFT-TO-RIGHT MARK}−۵٫۰٪"),
        ("en", 1.0, "100.0%"),
    ],
)
def test_percentages(language: str, share: float, text: str) -> None:
    """Marks and digits are those of the language, and a number that rounds to zero has no sign."""
    assert texts_of(language).plain_percent(share) == text


@pytest.mark.parametrize(
    ("share", "decimals", "text"),
    [(0.79996, 1, "79.9%"), (0.79996, 0, "79%"), (0.8, 1, "80.0%"), (0.29, 1, "29.0%"), (0.9999, 1, "99.9%"), (1.0, 0, "100%")],
)  # fmt: skip
def test_what_is_known_is_rounded_down(share: float, decimals: int, text: str) -> None:
    """Less than a threshold is not written as the threshold, and less than all is not written as all."""
    assert texts_of("en").plain_known(share, decimals) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.8, "80%"), (0.825, "82.5%"), (0.9999, "99.99%"), (1.0, "100%"), (0.0, "0%")]
)
def test_what_somebody_stated_keeps_its_decimals(share: float, text: str) -> None:
    """A limit is not rounded, because a number beside it would then seem to be on its other side."""
    assert texts_of("en").stated(share).striptags() == text


def test_thousands_are_grouped() -> None:
    """Each language has its own mark between thousands."""
    assert texts_of("en").plain_number(1234567) == "1,234,567"
    assert texts_of("fa").plain_number(1234567) == "۱٬۲۳۴٬۵۶۷"


def test_numbers_carry_their_value() -> None:
    """Machines read the number to its last digit, from left to right in either language."""
    assert texts_of("fa").percent(0.1 + 0.2) == '<data value="0.30000000000000004" dir="ltr">۳۰٫۰٪</data>'
    assert "no value" in texts_of("en").percent(None)


@pytest.mark.parametrize(
    ("share", "english", "persian"),
    [
        (0.0079, "+0.79", "+۰٫۷۹"),
        (0.25, "+25.00", "+۲۵٫۰۰"),
        (0.0000123, "+0.0012", "+۰٫۰۰۱۲"),
        (2.5e-7, "+0.000025", "+۰٫۰۰۰۰۲۵"),
        (0.0, "0.00", "۰٫۰۰"),
        (1e-17, "+0.00", "+۰٫۰۰"),
        (-0.00004, "−0.0040", "\N{LEFT-TO-RIGHT MARK}−۰٫۰۰۴۰"),
    ],
)
def test_a_small_gain_is_told_from_nothing(share: float, english: str, persian: str) -> None:
    """The gain of one link among a million still has two digits."""
    assert texts_of("en").points(share).striptags() == english
    assert texts_of("fa").points(share).striptags() == persian
    assert texts_of("en").gain(share).striptags() == english.removeprefix("+")


def test_sizes_are_in_units_that_are_short() -> None:
    """Large sizes are in gigabytes and smaller ones in megabytes, in either language."""
    assert texts_of("en").size(11_811_160_064).striptags() == "11.8 GB"
    assert texts_of("fa").size(11_811_160_064).striptags() == "۱۱٫۸ گیگابایت"
    assert texts_of("en").size(2_147_483).striptags() == "2.1 MB"


@pytest.mark.parametrize(
    ("seconds", "decimals", "english", "persian"),
    [
        (0.0203, 0, "20 ms", "۲۰ میلی‌ثانیه"),
        (0.001, 0, "1 ms", "۱ میلی‌ثانیه"),
        (0.0009, 0, "under 1 ms", "کمتر از ۱ میلی‌ثانیه"),
        (0.0, 0, "under 1 ms", "کمتر از ۱ میلی‌ثانیه"),
        (0.0009, 1, "0.9 ms", "۰٫۹ میلی‌ثانیه"),
        (0.00004, 1, "under 0.1 ms", "کمتر از ۰٫۱ میلی‌ثانیه"),
    ],
)
def test_a_short_time_is_not_written_as_none(seconds: float, decimals: int, english: str, persian: str) -> None:
    """A time that is shorter than the last digit is under it, in either language."""
    assert texts_of("en").milliseconds(seconds, decimals).striptags() == english
    assert texts_of("fa").milliseconds(seconds, decimals).striptags() == persian


def test_moments_are_of_the_calendar_of_the_language() -> None:
    """Persian has Jalali days and English Gregorian ones, in the register's timezone, with a machine-readable time."""
    assert texts_of("en", TEHRAN).moment(NOON) == (
        '<time datetime="2026-11-27T08:30:00Z">27 November 2026, 12:00</time>'
    )
    assert texts_of("fa", TEHRAN).moment(NOON).striptags() == "۶ آذر ۱۴۰۵، ۱۲:۰۰"
    assert texts_of("en", TEHRAN, seconds=True).plain_clock(NOON) == "12:00:00"


@pytest.mark.parametrize("zone", ["Asia/Tehran", "UTC", "America/New_York"])
def test_a_certificate_may_have_no_end(zone: str) -> None:
    """The last second of the year 9999 is beyond the calendars and is shown as without end."""
    last = 253_402_300_799
    assert texts_of("en", ZoneInfo(zone)).moment(last) == '<time datetime="9999-12-31T23:59:59Z">without end</time>'
    assert texts_of("fa", ZoneInfo(zone)).moment(last).striptags() == "بدون پایان"
    for code, year in (("en", "9998"), ("fa", "۹۳۷۷")):
        assert year in texts_of(code, ZoneInfo(zone)).moment(ENDLESS - 86_400 * 2).striptags()


@pytest.mark.parametrize(
    ("held", "english", "persian"),
    [
        ("2024-11", "November 2024", "آبان و آذر ۱۴۰۳"),
        ("2017-01/2017-02", "January to February 2017", "بهمن ۱۳۹۵"),
        ("2020-03/2020-09", "March to September 2020", "فروردین تا شهریور ۱۳۹۹"),
        ("2024-12/2025-01", "December 2024 to January 2025", "دی ۱۴۰۳"),
    ],
)
def test_months_of_rounds(held: str, english: str, persian: str) -> None:
    """The months of a round are written in the calendar of the language."""
    assert write_months(held, "en") == english
    assert write_months(held, "fa") == persian


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1 second"),
        (59, "59 seconds"),
        (300, "5 minutes"),
        (7200, "2 hours"),
        (259200, "3 days"),
        (90, "90 seconds"),
    ],
)
def test_spans_have_one_unit(seconds: float, text: str) -> None:
    """A span of time is written in its largest whole unit."""
    assert texts_of("en").seconds_long(seconds).striptags() == text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](http://elsewhere.example/x.png)"]
)
def test_markdown_runs_nothing(text: str) -> None:
    """Markdown cannot run, load or frame anything."""
    written = write_markdown(text)
    assert "<script" not in written
    assert "<img" not in written
    assert 'href="javascript' not in written


def test_markdown_is_written() -> None:
    """Emphasis and links are written."""
    assert write_markdown("*late* [more](https://a.example/)") == (
        '<p><em>late</em> <a href="https://a.example/">more</a></p>\n'
    )


def test_latin_words_in_persian_are_isolated() -> None:
    """Runs of Latin words with the brackets around them stay whole in a Persian text; everything is escaped."""
    texts = texts_of("fa")
    assert texts.mixed("ماده ۳ (art. 3)، قانون ICT<b>") == (
        "<bdi>ماده ۳ <bdi>(art. 3)</bdi>، قانون <bdi>ICT</bdi>&lt;b&gt;</bdi>"
    )
    assert texts.mixed("دور 2026-spring") == "<bdi>دور <bdi>2026-spring</bdi></bdi>"
    assert texts.mixed("Decision 12 of the council") == "<bdi><bdi>Decision 12 of the council</bdi></bdi>"

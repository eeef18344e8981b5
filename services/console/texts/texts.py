"""Writes everything that a page says in one language, for templates and charts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from functools import cache
from string import Formatter
from typing import Protocol

from babel.support import NullTranslations
from markupsafe import Markup, escape

from services.console.texts.catalogues import LANGUAGES, Language, translations_of
from services.console.texts.moments import iso, local_day, write_clock, write_day, write_months
from services.console.texts.numbers import telling_decimals, write_decimal, write_digits, write_percent
from services.console.texts.words import WORDS
from services.core.model import ENDLESS, round_down, stated_decimals

DECIMALS = 1
"""Decimals of a percentage: a tenth of a percent is one inquiry in a thousand."""


_LATIN = re.compile(r"\([^()]*[A-Za-z][^()]*\)|(?:[0-9]+[.-])*[A-Za-z][A-Za-z0-9 .,'/&-]*[A-Za-z0-9.]")
"""Words in Latin letters, with the brackets around them and the digits that are joined to them."""


class Bounded(Protocol):
    """Anything with bounds, which are shares of 1."""

    @property
    def lower(self) -> float:
        """The lower bound."""

    @property
    def upper(self) -> float:
        """The upper bound."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Writes messages, numbers and moments in one language; days and clocks are those of ``zone``.

    Methods named after what they write return markup with the value for machines. Methods that begin with ``plain``
    return text.
    """

    language: Language
    translations: NullTranslations
    zone: tzinfo = UTC
    seconds: bool = False
    """Whether clocks show seconds, as when slots are shorter than a minute."""

    def message(self, text: str, /, **values: object) -> Markup:
        """Return a message with values in its ``{places}``, escaped."""
        if not values:
            return _said(self.translations, text)
        return _filled(str(self.translations.ugettext(text)), values)

    def count(self, one: str, many: str, number: int, /, **values: object) -> Markup:
        """Return the message for a number, which fills ``{n}``."""
        return _filled(str(self.translations.ungettext(one, many, number)), {"n": self.number(number), **values})

    def word(self, vocabulary: str, key: str) -> str:
        """Return the name of a key of a vocabulary, such as a stage or a reason; the key itself if it has none."""
        word = WORDS[vocabulary].get(key)
        return key if word is None else str(self.translations.ugettext(word))

    def plain_percent(self, share: float, decimals: int = DECIMALS) -> str:
        """Return a share of 1 as a percentage."""
        return write_percent(share, decimals, self.language.code)

    def plain_known(self, share: float, decimals: int = DECIMALS) -> str:
        """Return a known share of 1 as a percentage, rounded down.

        So a share below the publish threshold is not written as the threshold, and only 1 is written as 100%.
        """
        return self.plain_percent(round_down(share, decimals), decimals)

    def plain_number(self, value: float, decimals: int = 0) -> str:
        """Return a number."""
        return write_decimal(value, decimals, self.language.code)

    def plain_of_hundred(self, share: float) -> str:
        """Return a share of 1 as a number out of 100."""
        return self.plain_number(100 * share, DECIMALS)

    def percent(self, share: float | None, decimals: int = DECIMALS) -> Markup:
        """Return a share of 1 as a percentage with its value; a dash for None."""
        return self._data(share, self.plain_percent(share, decimals)) if share is not None else self.none()

    def known(self, share: float, decimals: int = DECIMALS) -> Markup:
        """Return a known share of 1 as a percentage, rounded down, with its value."""
        return self._data(share, self.plain_known(share, decimals))

    def stated(self, share: float) -> Markup:
        """Return a share of 1 that somebody stated as a percentage, with the decimals that it has."""
        return self._data(share, self.plain_percent(share, stated_decimals(share)))

    def of_hundred(self, share: float | None) -> Markup:
        """Return a share of 1 as a number out of 100."""
        return self._data(share, self.plain_of_hundred(share)) if share is not None else self.none()

    def bounds(self, figure: Bounded) -> Markup:
        """Return the bounds of a figure as numbers out of 100."""
        lower, upper = self.of_hundred(figure.lower), self.of_hundred(figure.upper)
        return Markup(f'<span class="range">{lower}<span class="to">{self.message("to")}</span>{upper}</span>')  # noqa: S704  # all of it is markup

    def points(self, share: float | None) -> Markup:
        """Return a difference of shares in hundredths, with its sign."""
        if share is None:
            return self.none()
        return self._data(share, f"{'+' if share > 0 else ''}{self._plain_points(share)}")

    def gain(self, share: float) -> Markup:
        """Return what an index gains in hundredths, without a sign."""
        return self._data(share, self._plain_points(share))

    def _plain_points(self, share: float) -> str:
        return self.plain_number(100 * share, telling_decimals(100 * share))

    def number(self, value: float | None, decimals: int = 0) -> Markup:
        """Return a number with its value."""
        return self._data(value, self.plain_number(value, decimals)) if value is not None else self.none()

    def milliseconds(self, seconds: float, decimals: int = 0) -> Markup:
        """Return a span of time in milliseconds; one that is shorter than their last digit is not written as nothing."""
        shown, least = 1000 * seconds, 10.0**-decimals
        if shown < least:
            return self.message("under {n} ms", n=self._data(shown, self.plain_number(least, decimals)))
        return self.message("{n} ms", n=self.number(shown, decimals))

    def size(self, octets: int) -> Markup:
        """Return bytes as megabytes or, if many, as gigabytes, with the bytes as the value."""
        if octets >= 1e9:
            return self.message("{n} GB", n=self._data(octets, self.plain_number(octets / 1e9, 1)))
        return self.message("{n} MB", n=self._data(octets, self.plain_number(octets / 1e6, 1)))

    def digits(self, text: object) -> str:
        """Return a text with the digits of the language."""
        return write_digits(str(text), self.language.code)

    @staticmethod
    def mixed(text: str) -> Markup:
        """Return a text of Persian and Latin words, with each run of Latin ones isolated so that none is torn apart."""
        parts, end = list[Markup](), 0
        for found in _LATIN.finditer(text):
            parts += [escape(text[end : found.start()]), Markup("<bdi>{}</bdi>").format(found[0])]
            end = found.end()
        return Markup("<bdi>{}</bdi>").format(Markup().join([*parts, escape(text[end:])]))

    def none(self) -> Markup:
        """Return the sign for a missing number."""
        return _dash(self.message("no value"))

    def _data(self, value: float, text: str) -> Markup:
        # Both are digits and their marks; Markup.format would take ten times as long.
        return Markup(f'<data value="{value!r}" dir="ltr">{text}</data>')  # noqa: S704  # see above

    def plain_moment(self, moment: float) -> str:
        """Return epoch seconds as day and time of day, or words if there is no end, which no calendar has."""
        if moment >= ENDLESS:
            return str(self.message("without end"))
        day = write_day(local_day(moment, self.zone), self.language.code)
        return f"{day}{self.message(', ')}{self.plain_clock(moment)}"

    def plain_clock(self, moment: float) -> str:
        """Return the time of day of epoch seconds."""
        return write_clock(moment, self.zone, self.language.code, seconds=self.seconds)

    def plain_end(self, start: float, moment: float) -> str:
        """Return the end of a span in epoch seconds: its time of day, and its day unless the span starts on it."""
        same = local_day(start, self.zone) == local_day(moment, self.zone)
        return self.plain_clock(moment) if same else self.plain_moment(moment)

    def plain_day(self, moment: float) -> str:
        """Return the day of epoch seconds."""
        return write_day(local_day(moment, self.zone), self.language.code)

    def moment(self, moment: float | None) -> Markup:
        """Return day and time of day of epoch seconds."""
        if moment is None:
            return self.none()
        return _time(moment, self.plain_moment(moment))

    def end(self, start: float, moment: float) -> Markup:
        """Return the end of a span, as ``plain_end``."""
        return _time(moment, self.plain_end(start, moment))

    def day(self, text: str) -> Markup:
        """Return a day that is written YYYY-MM-DD."""
        return Markup('<time datetime="{}">{}</time>').format(
            text, write_day(date.fromisoformat(text), self.language.code)
        )

    def months(self, held: str) -> Markup:
        """Return a month that is written YYYY-MM, or two with ``/`` between them."""
        return escape(write_months(held, self.language.code))

    def seconds_long(self, seconds: float) -> Markup:
        """Return a span of time, rounded to the largest unit that it contains at least twice."""
        size, one, many = next((unit for unit in UNITS if seconds >= _LEAST * unit[0]), UNITS[-1])
        return self.count(one, many, round(seconds / size))


def _time(moment: float, text: str) -> Markup:
    # Digits, months and marks; Markup.format would take ten times as long.
    return Markup(f'<time datetime="{iso(moment)}">{text}</time>')  # noqa: S704  # see above


@cache
def _dash(said: Markup) -> Markup:
    return Markup('<span aria-hidden="true">\N{EN DASH}</span><span class="hidden">{}</span>').format(said)


def _filled(text: str, values: dict[str, object]) -> Markup:
    filled = "".join([part if name is None else escape(values[name]) for part, name in _parts(text)])
    return Markup(filled)  # noqa: S704  # every piece of it is escaped


@cache
def _said(translations: NullTranslations, text: str) -> Markup:
    """Return a message without places, cached because a page has hundreds."""
    return _filled(str(translations.ugettext(text)), {})


@cache
def _parts(text: str) -> tuple[tuple[Markup, str | None], ...]:
    """Return a message in pieces: escaped text without a name, and the names of places."""
    pieces: list[tuple[Markup, str | None]] = []
    for literal, name, _, _ in Formatter().parse(text):
        pieces.append((escape(literal), None))
        if name is not None:
            pieces.append((Markup(), name))
    return tuple(pieces)


_LEAST = 2
"""The least number of a unit, so that rounding does not take half of one away."""

UNITS = (
    (86400, "{n} day", "{n} days"),
    (3600, "{n} hour", "{n} hours"),
    (60, "{n} minute", "{n} minutes"),
    (1, "{n} second", "{n} seconds"),
)


@cache
def texts_of(code: str, zone: tzinfo = UTC, *, seconds: bool = False) -> Texts:
    """Return the texts of a language."""
    return Texts(LANGUAGES[code], translations_of(code), zone, seconds)

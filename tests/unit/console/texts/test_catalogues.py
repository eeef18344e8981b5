"""Both languages have every message."""

from __future__ import annotations

import re

import pytest

from services.console.texts import LANGUAGES, texts_of
from services.console.texts.words import WORDS
from services.core.model import OTHER, PHASES, STAGES, Outcome, Reason
from tests.support.console.messages import catalogue, messages

TRANSLATED = [code for code in LANGUAGES if code != "en"]
_PLACES = re.compile(r"\{\w*\}")


def _forms(message: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else tuple(message or ())


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_message_is_translated(code: str) -> None:
    """Every message of a page has a translation other than itself, and no translation is left over."""
    translations = {one.id: one.string for one in catalogue(code) if one.id}
    assert set(translations) == set(messages())
    for message, translated in translations.items():
        strings = _forms(translated)
        assert strings, message
        assert all(strings), message
        assert not set(strings) & set(_forms(message)), message


@pytest.mark.parametrize("code", TRANSLATED)
def test_translations_have_the_places_of_their_messages(code: str) -> None:
    """Each value that a message shows is shown in its translation."""
    for one in catalogue(code):
        if not one.id:
            continue
        strings = _forms(one.string)
        wanted = {place for form in _forms(one.id) for place in _PLACES.findall(form)}
        assert all(set(_PLACES.findall(string)) == wanted for string in strings), one.id


def test_one_persian_word_for_each_thing() -> None:
    """Bounds are کمترین and بیشترین, a slot is a نوبت, a file a فایل: as in the brief, on dashboards and in open data."""
    words = "\n".join(string for one in catalogue("fa") if one.id for string in _forms(one.string))
    assert "کمترین و بیشترین" in words
    assert "آخرین نوبت" in words
    assert not re.search(r"کران|کم‌ترین|بیش‌ترین|هر بازه |پرونده(?!ٔ مالیاتی)", words)


def test_values_are_escaped_and_messages_are_not_formats() -> None:
    """A value cannot become markup, and braces in a value are not replaced."""
    texts = texts_of("en")
    said = texts.message("{consumer} asks {provider}", consumer="<b>", provider="{consumer}")
    assert said == "&lt;b&gt; asks {consumer}"


def test_counts_have_their_forms() -> None:
    """English has two forms, Persian one; the number is in the digits of the language."""
    assert texts_of("en").count("{n} agency", "{n} agencies", 1).striptags() == "1 agency"
    assert texts_of("en").count("{n} agency", "{n} agencies", 2).striptags() == "2 agencies"
    assert texts_of("fa").count("{n} agency", "{n} agencies", 2).striptags() == "۲ دستگاه"


def test_every_judgement_has_a_word() -> None:
    """Every reason, outcome, stage and phase of the api has words."""
    assert {*(one.label for one in Reason), OTHER} == WORDS["reason"].keys()
    assert {one.label for one in Outcome} == WORDS["verdict"].keys()
    assert set(STAGES) == WORDS["stage"].keys()
    assert set(PHASES) == WORDS["phase"].keys()

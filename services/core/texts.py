"""Numbers of things in English sentences, and texts as they are compared. Pure."""

from __future__ import annotations

_FOLD = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩يىك", "01234567890123456789ییک")


def plural(number: int, noun: str, many: str = "") -> str:
    """Return a number and its noun, such as "1 link" or "1,200 links"; ``many`` is an irregular plural of the noun."""
    return f"{number:,} {noun if number == 1 else many or f'{noun}s'}"


def fold(text: str) -> str:
    """Normalise a text for comparison: Persian and Arabic digits to 0-9, Arabic yeh and kaf to Persian, ends stripped."""
    return text.translate(_FOLD).strip()


def name_key(name: str) -> str:
    """Normalise a name for matching: folded, with one space for white space or a zero-width non-joiner."""
    return " ".join(fold(name).replace("\N{ZERO WIDTH NON-JOINER}", " ").split()).casefold()

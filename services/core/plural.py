"""Numbers of things in English sentences. Pure."""

from __future__ import annotations


def plural(number: int, noun: str, many: str = "") -> str:
    """Return a number and its noun, such as "1 link" or "1,200 links"; ``many`` is an irregular plural of the noun."""
    return f"{number:,} {noun if number == 1 else many or f'{noun}s'}"

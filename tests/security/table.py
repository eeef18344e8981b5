"""The table that ``make attack`` prints, 80 columns wide. Pure: attempts in, lines out."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

__all__ = ["Attempt", "Table"]

_WIDTHS = (24, 13, 31, 9)
_HEADS = ("attack", "who, what", "expected", "verdict")
_WIDTH = sum(_WIDTHS) + len(_WIDTHS) - 1
_VERDICTS = ("held", "broke", "not tried")
_MOST_HAPPENED = 400  # characters of what happened instead: the whole is in the test's own report


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt and how it ended; ``happened`` is empty when the expected happened."""

    file: str
    about: str
    attack: str
    who: str
    expected: str
    verdict: str
    happened: str


class Table:
    """Attempts by file, in the order in which they are made."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._last: Attempt | None = None

    def add(self, attempt: Attempt) -> list[str]:
        """Return the lines of an attempt: with a heading where its file begins, without the words of the row above."""
        lines: list[str] = []
        last = self._last
        if last is None or last.file != attempt.file:
            lines += ["", attempt.file, *textwrap.wrap(attempt.about, _WIDTH), "", *_row(_HEADS), "-" * _WIDTH]
            last = None
        same = last is not None and last.attack == attempt.attack
        attack, expected = ("", "") if same else (attempt.attack, attempt.expected)
        verdict = attempt.verdict.upper() if attempt.verdict == "broke" else attempt.verdict
        lines += _row((attack, attempt.who, expected, verdict))
        if attempt.happened:
            lines += textwrap.wrap(
                textwrap.shorten(attempt.happened, _MOST_HAPPENED, placeholder=" …"),
                _WIDTH,
                initial_indent="  > ",
                subsequent_indent="    ",
            )
        self._counts.setdefault(attempt.file, Counter())[attempt.verdict] += 1
        self._last = attempt
        return lines

    def summary(self) -> list[str]:
        """Return the number of attempts by file and verdict."""
        total = sum(self._counts.values(), Counter())
        rows = [*self._counts.items(), ("all", total)]
        head = "".join(f"{verdict:>10}" for verdict in _VERDICTS)
        lines = ["", f"{'attempts':<40}{head}", "-" * _WIDTH]
        lines += [f"{name:<40}" + "".join(f"{counts[verdict]:>10}" for verdict in _VERDICTS) for name, counts in rows]
        return lines


def _row(cells: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a row, each cell wrapped to its column."""
    columns = [textwrap.wrap(cell, width) for cell, width in zip(cells, _WIDTHS, strict=True)]
    for line in zip_longest(*columns, fillvalue=""):
        yield " ".join(part.ljust(width) for part, width in zip(line, _WIDTHS, strict=True)).rstrip()

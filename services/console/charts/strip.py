"""Draws a strip of slots, the earliest at the left; equal slots in a row are one piece with a title."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from services.console.charts.svg import element, picture
from services.console.charts.time_axis import time_axis
from services.console.texts import Texts

_HEIGHT, _BAR = 64.0, 36.0


@dataclass(frozen=True, slots=True)
class VerdictRun:
    """Slots in a row with one verdict and reason, from ``start`` to ``end`` in epoch seconds; ``slots`` counts them."""

    start: int
    end: int
    slots: int
    verdict: str
    reason: str


def runs_of(slots: Iterable[tuple[int, str, str]], slot_seconds: int) -> tuple[VerdictRun, ...]:
    """Return the runs of slots, given in order by their start in epoch seconds, their verdict and their reason."""
    runs: list[VerdictRun] = []
    for start, verdict, reason in slots:
        last = runs[-1] if runs else None
        if last is not None and (last.verdict, last.reason, last.end) == (verdict, reason, start):
            runs[-1] = VerdictRun(last.start, start + slot_seconds, last.slots + 1, verdict, reason)
        else:
            runs.append(VerdictRun(start, start + slot_seconds, 1, verdict, reason))
    return tuple(runs)


def strip_chart(texts: Texts, title: str, runs: Sequence[VerdictRun]) -> Markup:
    """Return the strip of runs from the first one's start to the last one's end."""
    start, end = runs[0].start, runs[-1].end

    def share(moment: int) -> float:
        return (moment - start) / (end - start)

    pieces = [
        element(
            "rect",
            element("title", name_of_run(texts, run)),
            x=f"{100 * share(run.start):.3f}%",
            width=f"{100 * (share(run.end) - share(run.start)):.3f}%",
            y="0",
            height=_BAR,
            class_=f"slot {run.verdict}",
            data_start=run.start,
        )
        for run in runs
    ]
    return picture(_HEIGHT, title, *pieces, *time_axis(texts, start, end, _HEIGHT - 8), class_="chart strip")


def name_of_run(texts: Texts, run: VerdictRun) -> Markup:
    """Return the name of a run: from when to when, its verdict, and why."""
    return texts.message(
        "{start} to {end}: {verdict}, {reason}",
        start=texts.plain_moment(run.start),
        end=texts.plain_end(run.start, run.end),
        verdict=texts.word("verdict", run.verdict),
        reason=texts.word("reason", run.reason),
    )

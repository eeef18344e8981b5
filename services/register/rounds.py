"""Computes the growth of scores over the official rounds, and matches the agencies that they announce. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.core.model import AnnouncedAgency, Evaluation, Register
from services.core.texts import name_key

INTEGRATION = "integration"
"""The dimension that is compared with the declared coverage and the measured index (docs/method.md §7.4)."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Growth of a dimension's score, or of the overall score (``dimension`` empty), from one round to a later one.

    ``points`` are percentage points; ``percent`` is the same in percent of the earlier score, None when that was 0.
    """

    from_round: int
    to_round: int
    dimension: str
    points: float
    percent: float | None


def growths(evaluation: Evaluation) -> Iterator[Growth]:
    """Yield the growth of each score from a round that states it to the next such round of the same model, in order.

    Scores that were not stated are skipped and never guessed, not even from a quoted growth. If there are several
    models, the overall score of a round without a stated model is skipped too.
    """
    several = any(each.model for each in evaluation.dimensions)
    before: dict[tuple[str, str], tuple[int, float]] = {}
    for result in evaluation.rounds:
        overall = None if several and not result.model else result.overall_percent
        scores = {("", result.model): overall}
        scores |= {(each.id, each.model): result.dimension_percent.get(each.id) for each in evaluation.dimensions}
        for key, score in scores.items():
            if score is None:
                continue
            if key in before:
                earlier, base = before[key]
                points = score - base
                yield Growth(earlier, result.round, key[0], points, 100 * points / base if base else None)
            before[key] = result.round, score


def agencies_by_name(register: Register) -> Mapping[tuple[str, str], frozenset[str]]:
    """Return the ids of agencies by language (``en``, ``fa``) and normalised name (``name_key``)."""
    by_name: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for agency in register.agencies.values():
        for language, name in (("en", agency.name_en), ("fa", agency.name_fa)):
            by_name[language, name_key(name)].add(agency.id)
    return {name: frozenset(ids) for name, ids in by_name.items() if name[1]}


def match_agency(names: Mapping[tuple[str, str], frozenset[str]], announced: AnnouncedAgency) -> str:
    """Return the id of the agency with an announced name, English or Persian; empty unless there is exactly one.

    ``names`` come from ``agencies_by_name``.
    """
    english = names.get(("en", name_key(announced.name_en)), frozenset())
    ids = english | names.get(("fa", name_key(announced.name_fa)), frozenset())
    return next(iter(ids)) if len(ids) == 1 else ""

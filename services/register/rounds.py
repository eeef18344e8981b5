"""What follows from what the official rounds state, and nothing beyond it: growth, and who is announced. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.core.model import AnnouncedAgency, Evaluation, Register
from services.register.reading import name_key

__all__ = ["INTEGRATION", "Growth", "agencies_by_name", "growths", "match_agency"]

INTEGRATION = "integration"
"""The dimension whose score stands beside the declared coverage and the measured index (docs/method.md §7, Three bars)."""


@dataclass(frozen=True, slots=True)
class Growth:
    """From one round to a later one, of the overall score (``dimension`` empty) or of a dimension.

    ``points`` are percentage points; ``percent`` is the same in percent of the earlier score, None when that was 0.
    """

    from_round: int
    to_round: int
    dimension: str
    points: float
    percent: float | None


def growths(evaluation: Evaluation) -> Iterator[Growth]:
    """Yield the growth of each score from the round that stated it last to the next that states it, round by round.

    Scores that were not stated are passed over, never guessed: not even from a growth that is quoted.
    """
    before: dict[str, tuple[int, float]] = {}
    for one in evaluation.rounds:
        scores = {"": one.overall_percent, **{it.id: one.dimension_percent.get(it.id) for it in evaluation.dimensions}}
        for dimension, score in scores.items():
            if score is None:
                continue
            if dimension in before:
                earlier, base = before[dimension]
                points = score - base
                yield Growth(earlier, one.round, dimension, points, 100 * points / base if base else None)
            before[dimension] = one.round, score


def agencies_by_name(register: Register) -> Mapping[tuple[str, str], frozenset[str]]:
    """Return the ids of agencies by language (``en``, ``fa``) and name as names are matched (``name_key``)."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for agency in register.agencies.values():
        for language, name in (("en", agency.name_en), ("fa", agency.name_fa)):
            found[language, name_key(name)].add(agency.id)
    return {name: frozenset(ids) for name, ids in found.items() if name[1]}


def match_agency(names: Mapping[tuple[str, str], frozenset[str]], announced: AnnouncedAgency) -> str:
    """Return the id of the one agency with an announced name, English or Persian; empty when there is none, or several.

    ``names`` are those of ``agencies_by_name``.
    """
    none: frozenset[str] = frozenset()
    english = names.get(("en", name_key(announced.name_en)), none)
    persian = names.get(("fa", name_key(announced.name_fa)), none)
    found = english | persian
    return next(iter(found)) if len(found) == 1 else ""

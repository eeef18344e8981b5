"""Arranges the matrix of who asks whom: consumers in rows, providers in columns, an index in each cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SHADES = (0.5, 0.8, 0.95, 0.99)
"""The points at which a cell's shade changes; a cell shows its number too."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One pair with required links; ``point`` is None when too little is known."""

    consumer: str
    provider: str
    point: float | None
    lower: float
    upper: float
    links: int
    absent: int

    @property
    def shade(self) -> str:
        """Its colour class."""
        return shade_of(self.point)


@dataclass(frozen=True, slots=True)
class MatrixLine:
    """One row: a consumer and its cells in the order of the columns, None where nothing is required."""

    consumer: str
    cells: tuple[MatrixCell | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The columns in order, and the rows in the same order."""

    columns: tuple[str, ...]
    lines: tuple[MatrixLine, ...]


def shade_of(point: float | None) -> str:
    """Return the colour class of a point: `s0` (lowest) to `s4`, or `unknown`."""
    return "unknown" if point is None else f"s{sum(point >= edge for edge in SHADES)}"


def arrange_matrix(cells: Iterable[MatrixCell], order: Sequence[str]) -> Matrix:
    """Return the cells as a matrix; both sides have the ids in ``order`` that occur in cells, in that order."""
    by_pair: Mapping[tuple[str, str], MatrixCell] = {(cell.consumer, cell.provider): cell for cell in cells}
    consumers = {consumer for consumer, _ in by_pair}
    providers = {provider for _, provider in by_pair}
    columns = tuple(one for one in order if one in providers)
    return Matrix(
        columns,
        tuple(
            MatrixLine(consumer, tuple(by_pair.get((consumer, provider)) for provider in columns))
            for consumer in order
            if consumer in consumers
        ),
    )

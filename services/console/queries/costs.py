"""Gives the links that would raise an index most, and the providers where it loses, as rows of several pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.console.queries.names import NamedLink, naming
from services.core.model import largest_loss


@dataclass(frozen=True, slots=True)
class LinkGain(NamedLink):
    """A link, and how much higher the index would be if it were always answered."""

    gain: float
    index_if_fixed: float
    lost_at: str


@dataclass(frozen=True, slots=True)
class LossAt:
    """The part of the index that is lost at one provider."""

    provider: str
    loss: float
    links: int
    lost_at: str


def link_gains(explanation: Any) -> tuple[LinkGain, ...]:
    """Return the links of an explanation with a known slot, the largest gain first; the gain of others is a guess."""
    return tuple(
        LinkGain(
            **naming(cost.link),
            gain=cost.index_if_fixed - explanation.estimate,
            index_if_fixed=cost.index_if_fixed,
            lost_at=largest_loss(cost.losses),
        )
        for cost in explanation.links
        if cost.known_share > 0
    )


def provider_losses(explanation: Any) -> tuple[LossAt, ...]:
    """Return the providers of an explanation, the largest loss first."""
    return tuple(
        LossAt(one.provider, one.loss, one.links, largest_loss(one.losses))
        for one in explanation.providers
        if one.loss > 0
    )


def by_lower_bound(figures: Iterable[Any]) -> list[Any]:
    """Return indicators in the order that ranks use: the lowest lower bound first, then by id."""
    return sorted(figures, key=lambda figure: (figure.lower, figure.id))

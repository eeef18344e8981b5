"""Queries of the components that a reader of the pipeline's dashboard has chosen."""

from __future__ import annotations

__all__ = ["OF", "increase", "quantile", "rate"]

OF = 'job=~"$job",instance=~"$instance"'
"""Selects the components chosen."""


def rate(name: str, by: str = "") -> str:
    """Return how often a counter counts, per second, in all or ``by`` a label."""
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({name}{{{OF}}}[$__rate_interval]))"


def increase(name: str) -> str:
    """Return how often a counter counted in the time shown: it tells of what happened while nobody scraped, as a rate would not."""
    return f"sum(increase({name}{{{OF}}}[$__range]))"


def quantile(share: float, name: str, by: str = "") -> str:
    """Return the value of a histogram that a share of what it holds does not exceed."""
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({name}_bucket{{{OF}}}[$__rate_interval])))"

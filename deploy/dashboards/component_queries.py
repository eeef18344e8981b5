"""Makes queries of the components that a reader of the pipeline's dashboard has chosen."""

from __future__ import annotations

__all__ = ["OF", "increase", "quantile", "rate"]

OF = 'job=~"$job",instance=~"$instance"'
"""Selects the chosen components."""


def rate(name: str, by: str = "") -> str:
    """Return a query of a counter's rate per second, in total or ``by`` a label."""
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({name}{{{OF}}}[$__rate_interval]))"


def increase(name: str) -> str:
    """Return a query of a counter's increase in the shown time; unlike a rate, it has what happened between scrapes."""
    return f"sum(increase({name}{{{OF}}}[$__range]))"


def quantile(share: float, name: str, by: str = "") -> str:
    """Return a query of the value that a share of a histogram's observations does not exceed."""
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({name}_bucket{{{OF}}}[$__rate_interval])))"

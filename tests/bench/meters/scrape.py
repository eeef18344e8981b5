"""Read the numbers that a component exposes at one moment, and their growth until a later one."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Samples", "quantile_bound", "scrape", "since"]

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Value by sample name and sorted labels."""


def scrape(where: str) -> Samples:
    """Return every sample of http://HOST:PORT/metrics. Raises OSError when nothing answers."""
    with urlopen(f"http://{where}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def since(before: Samples, after: Samples, name: str, label: str = "") -> dict[str, float]:
    """Return by how much each sample of this name grew, by the value of one label."""
    return {
        dict(labels).get(label, ""): value - before.get((sample, labels), 0.0)
        for (sample, labels), value in after.items()
        if sample == name
    }


def quantile_bound(buckets: dict[str, float], share: float) -> str:
    """Return the bound of the first bucket that holds this share of all. ``buckets`` is cumulative, by ``le``."""
    ordered: Iterable[tuple[str, float]] = sorted(buckets.items(), key=lambda bucket: float(bucket[0]))
    total = buckets.get("+Inf", 0.0)
    return next((bound for bound, count in ordered if total and count >= share * total), "none")

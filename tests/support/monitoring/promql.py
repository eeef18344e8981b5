"""Parse PromQL expressions: the metrics and labels that they select and group by."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import promql_parser

from services.core.metrics.table import EVERY, TABLE

__all__ = ["faults", "labels_of"]

_ADDED = {"job", "instance"}
"""Labels that Prometheus adds to every scraped series."""


def _nodes(text: str) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(text), found.append)
    return found


def _selectors(text: str) -> Iterator[promql_parser.VectorSelector]:
    return (node for node in _nodes(text) if isinstance(node, promql_parser.VectorSelector))


def _grouped(text: str) -> Iterator[str]:
    """Yield the labels of by, without, on, ignoring, group_left and group_right."""
    for node in _nodes(text):
        modifier = getattr(node, "modifier", None)
        if modifier is None:
            continue
        yield from getattr(modifier, "labels", None) or ()
        yield from getattr(modifier, "group_labels", None) or ()
        yield from getattr(getattr(modifier, "matching", None), "labels", None) or ()


def labels_of(name: str, recorded: Mapping[str, Collection[str]]) -> set[str] | None:
    """The labels of a metric of the table, of a recording rule or of Prometheus itself; None for an unknown metric."""
    if name == "up":
        return set(_ADDED)
    if name in recorded:
        return set(recorded[name])
    row = TABLE.get(name)
    if row is not None and row.type != "histogram":
        return {*row.labels, *_ADDED}
    for ending, more in (("_bucket", {"le"}), ("_sum", set()), ("_count", set())):
        row = TABLE.get(name.removesuffix(ending))
        if name.endswith(ending) and row is not None and row.type == "histogram":
            return {*row.labels, *_ADDED, *more}
    return None


def faults(text: str, recorded: Mapping[str, Collection[str]] | None = None) -> list[str]:
    """Return why an expression can have no result: unknown metrics, labels that a metric lacks, unknown jobs."""
    known: set[str] = set()
    found = []
    jobs = {row.component for row in TABLE.values()} - {EVERY}
    for one in _selectors(text):
        labels = labels_of(str(one.name), recorded or {})
        if labels is None:
            found.append(f"nobody exposes {one.name}")
            continue
        known |= labels
        found += [f"{one.name} has no label {each.name}" for each in one.matchers.matchers if each.name not in labels]
        wanted = (each.value.split("|") for each in one.matchers.matchers if each.name == "job")
        found += [f"no component is called {name}" for names in wanted for name in names if name not in jobs]
    return found + [f"nothing in it has the label {label}" for label in _grouped(text) if label not in known]

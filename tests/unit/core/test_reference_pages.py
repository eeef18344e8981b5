"""The reference pages of metrics and settings equal the tables in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.core.metrics import counter, gauge, histogram
from services.core.metrics.table import TABLE, UNITS, Metric
from services.core.reference_pages import PAGES
from services.core.settings import Settings
from tests.support.paths import ROOT

_METRIC = re.compile(r"(peyvand|probe)_[a-z0-9_]+")
_COMPATIBLE = {"probe_success", "probe_ssl_earliest_cert_expiry"}
"""Named as dashboards written for other probers expect them."""


def _texts(file: Path) -> Iterator[str]:
    """Yield every text in the code of a module that could be a metric's name, except docstrings and ``__all__``."""
    statements = ast.parse(file.read_text("utf-8")).body
    code = [one for one in statements if not (isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "__all__")]
    for node in (node for one in code for node in ast.walk(one)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _METRIC.fullmatch(node.value):
            yield node.value


def _used() -> set[str]:
    files = [file for file in (ROOT / "services").rglob("*.py") if file != ROOT / "services/core/metrics/table.py"]
    fields = {"probe_version", "probe_crashed", "probe_files"}  # a field, an event of the log, a setting
    return {text for file in files for text in _texts(file)} - fields


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_the_one_made_from_the_code(page: str) -> None:
    """The page is the output of `make docs`."""
    assert (ROOT / "docs" / page).read_text("utf-8") == PAGES[page]()


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_names_follow_prometheus(row: Metric) -> None:
    """Names have lower case, a prefix and base units, and `_total` only for counters."""
    assert _METRIC.fullmatch(row.name)
    assert row.name.endswith("_total") == (row.type == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent|count)(_|$)", row.name)
    if row.type == "histogram":
        assert row.name.endswith("_seconds")
        assert row.buckets
    if "epoch seconds" in row.help:
        assert row.name.endswith("_timestamp_seconds") or row.name in _COMPATIBLE
    assert all(re.fullmatch(r"[a-z_]+", label) and label not in ("le", "quantile") for label in row.labels)


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_units_agree_with_names(row: Metric) -> None:
    """A name that ends with a unit, also before `_total`, has that unit, and such a unit is in the name.
    A metric without a unit is a count.
    """
    suffixes = {
        "epoch seconds": "_timestamp_seconds",
        "seconds": "_seconds",
        "bytes": "_bytes",
        "ratio": "_ratio",
        "flag": "_info",
    }
    assert row.unit in UNITS
    name = row.name.removesuffix("_total")
    said = next((unit for unit, suffix in suffixes.items() if name.endswith(suffix)), "")
    assert (said or "count") == row.unit if row.type == "counter" else said in ("", row.unit)
    if row.unit in ("seconds", "epoch seconds", "bytes"):
        assert said or row.name in _COMPATIBLE
    if row.unit == "count":
        assert not re.match(r"(1 |Share|Point|Stage|Level|Lower|Upper|Loss)", row.help)
    assert (row.unit == "flag") == bool(re.match(r"1 (while|when|with|for)", row.help))


def test_the_table_and_the_code_name_the_same_metrics() -> None:
    """Components make every metric of the table, and no other."""
    assert _used() == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_every_row_makes_its_metric(name: str) -> None:
    """prometheus_client accepts each row, and exposes it under the name the table gives."""
    registry = CollectorRegistry()
    metric = {"counter": counter, "gauge": gauge, "histogram": histogram}[TABLE[name].type](name, registry)
    if TABLE[name].labels:
        metric = metric.labels(*TABLE[name].labels)
    assert {sample.name for family in registry.collect() for sample in family.samples} & {
        name,
        f"{name}_bucket",
    }


def test_every_setting_says_what_it_is_for() -> None:
    """The table of settings has a meaning in every row."""
    assert all(setting.metadata["help"] for setting in fields(Settings))

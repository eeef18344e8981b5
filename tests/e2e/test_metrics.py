"""Every component's /metrics, as real Prometheus tools see them."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.core.metrics.table import TABLE
from tests.support.monitoring.prometheus import ask, prometheus
from tests.support.programs import program
from tests.support.system import COMPONENTS, System
from tests.support.waiting import DEADLINE, until

SERIES_LIMIT = 20_000  # docs/design.md §8
HISTOGRAM_SAMPLES = ("_bucket", "_sum", "_count")
WITHOUT_BUS = {"console", "sandbox"}
WHEN_THERE_ARE_ANY = {
    "peyvand_archive_batch_faults",
    "peyvand_bus_certificate_expiry_timestamp_seconds",
    "peyvand_bus_exchanges",
    "peyvand_console_answers_total",
    "peyvand_console_page_seconds",
    "peyvand_control_failed",
    "peyvand_data_bus_stage",
    "peyvand_exchange_health_duration_seconds",
    "peyvand_exchange_health_requests",
    "peyvand_exchange_newest_timestamp_seconds",
    "peyvand_exchange_position_timestamp_seconds",
    "peyvand_exchanges",
    "peyvand_findings",
    "peyvand_link_burn",
    "peyvand_link_exchanges",
    "peyvand_link_findings",
    "peyvand_link_reason",
    "peyvand_undeclared_exchanges",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A running system that has published its first index."""
    one = System(tmp_path_factory.mktemp("metrics") / "data", ("--slot", "3s", "--for", "10m"))
    one.start()
    try:
        one.until_serving()
        one.until(lambda: "\npeyvand_index{" in one.page("scorer", "/metrics")[1], what="an index was exposed")
        yield one
        assert one.stop() == 0
    finally:
        one.stop()


@pytest.fixture(params=COMPONENTS)
def exposed(request, running):
    """Each component in turn, with the text that it exposes."""
    status, text = running.page(request.param, "/metrics")
    assert status == 200
    return request.param, text


def families_of(text):
    """Return metric families by their name in the table."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in text_string_to_metric_families(text)
    }


def labels_of(family):
    """Return the label names of a family's samples, without a histogram's own."""
    return {tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples}


@contextmanager
def scraping(system, folder):
    """Run a real Prometheus that scrapes every component each second; yield its address."""
    jobs = [{"job_name": name, "static_configs": [{"targets": [system.metrics(name)]}]} for name in COMPONENTS]
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}), "utf-8")
    with prometheus(config) as where:
        yield where


def scraped(where):
    """Return whether Prometheus has scraped every component; one that is late in a second is scraped in the next."""
    targets = (ask(where, "targets", state="active") or {}).get("activeTargets", [])
    return sorted(target["labels"]["job"] for target in targets if target["health"] == "up") == sorted(COMPONENTS)


def test_every_component_says_that_it_serves(running):
    """In a system that publishes an index, every component says SERVING."""
    assert {name: running.page(name, "/health") for name in COMPONENTS} == dict.fromkeys(COMPONENTS, (200, "SERVING\n"))


def test_promtool_finds_nothing_to_say(exposed):
    """Names, types, units and help texts follow Prometheus's conventions."""
    _, text = exposed
    lint = subprocess.run(
        [program("promtool", "prometheus"), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")


def test_what_is_exposed_is_what_the_table_says(exposed):
    """A component exposes the metrics of its rows and no others, with their types, labels, help and number of series."""
    component, text = exposed
    found = families_of(text)
    shared = {"peyvand_serving", "peyvand_start_timestamp_seconds"}
    shared |= set() if component in WITHOUT_BUS else {"peyvand_bus_connected"}
    rows = {name: row for name, row in TABLE.items() if row.component == component or name in shared}
    assert found.keys() == rows.keys()
    for name, family in found.items():
        row = rows[name]
        assert (family.type, family.documentation) == (row.type, row.help)
        if family.samples or name not in WHEN_THERE_ARE_ANY:
            assert labels_of(family) == {tuple(sorted(row.labels))}, name
        if row.series.isdigit() and name not in WHEN_THERE_ARE_ANY:
            assert len(family.samples) == int(row.series), name
        if row.type == "histogram":
            per_labels = len(row.buckets) + len(HISTOGRAM_SAMPLES)
            assert len(family.samples) % per_labels == 0, name


def test_no_process_exposes_more_than_its_share(exposed):
    """The series of one process stay few enough to be scraped without harm."""
    _, text = exposed
    assert 0 < sum(len(family.samples) for family in families_of(text).values()) < SERIES_LIMIT


def test_a_real_prometheus_answers_with_the_index(running, tmp_path):
    """Prometheus scrapes every component without an error, and a dashboard's query for the index has an answer."""
    with scraping(running, tmp_path) as where:
        until(lambda: scraped(where), "every component was scraped")
        result = until(
            lambda: (ask(where, "query", query='peyvand_index{kind="government"}') or {}).get("result"),
            "the index was found",
        )
    assert result
    for series in result:
        assert 0.0 <= float(series["value"][1]) <= 1.0
        assert series["metric"]["job"] == "scorer"

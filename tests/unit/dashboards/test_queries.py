"""The queries of dashboard panels ask for exposed metrics, in the ways that Grafana's linter accepts."""

from __future__ import annotations

import re
from typing import Any

import promql_parser

from services.core.metrics.table import TABLE
from tests.dashboards.grafana import dashboard, interpolated, queries
from tests.support.cases.dashboards.panels import ASKED, EVERY, values_of
from tests.support.monitoring.promql import faults

INSTANCES = {"pipeline"}
"""Dashboards about processes. The others show agencies and links, whichever process exposes them."""


def test_a_sector_narrows_whom_to_turn_to():
    """Every query of the government's last row is limited to the chosen sectors; the others never are."""
    narrowed = {one.id.rpartition("/")[0] for one in queries("government") if "$sector" in one.expression}
    whole = {one.id.rpartition("/")[0] for one in queries("government") if "$sector" not in one.expression}
    assert narrowed == {
        f"government/{title}" for title in ("Worst providers", "Worst consumers", "Sectors", "Costliest links")
    }
    assert narrowed.isdisjoint(whole)


def test_processes_are_told_apart_where_they_matter(name):
    """template-job-rule, template-instance-rule, target-job-rule, target-instance-rule: dashboards about processes."""
    variables = {one["name"] for one in dashboard(name)["templating"]["list"]}
    assert ({"job", "instance"} <= variables) == (name in INSTANCES)
    for one in queries(name):
        for node in _selectors(one):
            matched = {each.name for each in node.matchers.matchers}
            assert ({"job", "instance"} <= matched) == (name in INSTANCES), one.id


def test_a_query_asks_for_what_is_exposed(asked):
    """target-promql-rule: a query parses and uses metrics of the table with labels that they have."""
    assert faults(interpolated(asked.expression, values_of(asked.dashboard))) == []


def test_a_query_invents_nothing(asked):
    """No constant stands in for a missing answer."""
    assert not re.search(r"vector\(|absent\(|scalar\(", asked.expression)


def test_rates_follow_the_interval(asked):
    """target-rate-interval-rule, except for counts over the whole time shown."""
    for function, spans in re.findall(r"\b(rate|irate|deriv|increase)\(.*?\[([^\]]+)\]", asked.expression):
        assert spans == ("$__range" if function == "increase" else "$__rate_interval")


def test_counters_are_rated_and_histograms_summed(asked):
    """target-counter-agg-rule, target-histogram-rule: no counter is shown raw, and buckets keep their bounds."""
    parsed = promql_parser.parse(interpolated(asked.expression, values_of(asked.dashboard)))
    rated: set[str] = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.Call) and node.func.name in ("rate", "irate", "increase"):
            rated.update(_names(node))

    promql_parser.walk(parsed, visit)
    asked_for = set(_names(parsed))
    assert {one for one in asked_for if one.endswith(("_total", "_bucket"))} <= rated
    if any(one.endswith("_bucket") for one in asked_for):
        assert re.search(r"sum by \([^)]*\ble\b", asked.expression)


def test_a_series_has_a_name(asked):
    """A legend uses labels that the answer has; a table needs none."""
    if asked.legend in ("", "__auto"):
        return
    for label in re.findall(r"\{\{(\w+)\}\}", asked.legend):
        assert re.search(rf"\b{label}\b", asked.expression), asked.legend


def test_links_are_not_counted_by_their_series(asked):
    """Only some links have a stage series above ten thousand links, so the number of links comes from the scorer."""
    assert not re.search(r"\b(count|count_values|sum)\b.*peyvand_link_stage", asked.expression)


def test_processes_have_names_of_their_own(asked):
    """A legend of series by process names the process, so that two of a kind are told apart."""
    if asked.legend not in ("", "__auto") and re.search(r"\bby \([^)]*\binstance\b", asked.expression):
        assert "{{instance}}" in asked.legend


def test_every_metric_an_operator_needs_is_shown():
    """Every exposed metric is on a dashboard, except the sandbox's and those in NOT_SHOWN."""
    elsewhere = {row.name for row in TABLE.values() if row.component == "sandbox"}
    used = {name for one in ASKED.values() for name in _names_of_text(one)}
    assert {name for name in TABLE if name not in used | elsewhere | NOT_SHOWN} == set()
    assert TABLE.keys() >= NOT_SHOWN


NOT_SHOWN = {
    "peyvand_links",  # the verdict not_live of peyvand_links_now tells more
    "peyvand_bus_exchanges",  # the commands `exchange` and `explain` tell more
    "peyvand_undeclared_exchanges",
    "peyvand_link_findings",
    "peyvand_exchange_source_failures_total",  # a source that fails is shown as failing; its log says how
    "peyvand_exchange_health_requests",  # of security servers that share health data
    "peyvand_exchange_health_duration_seconds",
    "peyvand_start_timestamp_seconds",  # a date; an alert counts its changes
    "peyvand_slot_seconds",  # set by the policy; alerts use it
    "peyvand_stream_lost_messages_total",  # zero unless attacked; an alert watches it
    "peyvand_bus_unsafe",  # a state; an alert watches it
    "peyvand_batches_missing",  # zero unless a bus or a prober lost something; an alert watches it
    "peyvand_batches_broken",  # zero unless attacked; likewise
    "peyvand_spool_kept_bytes",  # bounded by settings
    "peyvand_spool_sent_again_total",  # zero unless a bus lost something, which an alert watches
    "peyvand_scorer_series_left_out",  # series that only the api has; depends on the size of the register
    "peyvand_scorer_standing_by",  # a state, not a trend
    "peyvand_spool_damaged_files",  # zero unless a disk fails
    "peyvand_scorer_damaged_files",  # likewise
    "peyvand_collector_damaged_files",  # likewise
    "peyvand_measurements_refused_total",  # zero unless a prober lies; an alert watches it
    "peyvand_settled_slots_changed_total",  # likewise
    "peyvand_stream_limit_bytes",  # alerts compare it with what is stored
    "peyvand_summaries_rejected_total",  # zero unless a collector fails; an alert watches it
    "peyvand_api_revocations_end_timestamp_seconds",  # a date; an alert compares it
    "peyvand_bus_certificate_expiry_timestamp_seconds",  # likewise
    "peyvand_console_answers_total",  # about pages, not figures; alerts watch them
    "peyvand_console_page_seconds",
    "peyvand_console_aged_total",
    "peyvand_console_api_connected",
    "peyvand_archive_batch_faults",  # zero unless attacked or a spool was full; an alert watches it
    "peyvand_archive_missing_messages",  # zero unless attacked or a disk failed; an alert watches it
    "peyvand_archive_sealed_total",  # one a day; days that should be sealed are shown
    "peyvand_console_info",  # every dashboard links to the address in it
    "peyvand_control_failed",  # a blind vantage is shown; its log and `peyvand up` name the target
    "peyvand_vantage_unresolved",  # the reasons of unknown probes show it; an alert watches it
    "peyvand_conntrack_ratio",  # where the kernel tracks connections; an alert watches it
}


def _selectors(asked):
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(interpolated(asked.expression, values_of(asked.dashboard))), found.append)
    return [node for node in found if isinstance(node, promql_parser.VectorSelector)]


def _names(node):
    found: list[Any] = []
    promql_parser.walk(node, found.append)
    return [str(one.name) for one in found if isinstance(one, promql_parser.VectorSelector)]


def _names_of_text(asked):
    return [re.sub(r"_(bucket|sum|count)$", "", name) for name in (str(one.name) for one in _selectors(asked))]


def test_agencies_are_named_in_tables():
    """A table of agencies shows each name beside the id; the first query brings the name along."""
    tables = [panel for panel in EVERY.values() if panel["type"] == "table" and panel["title"].startswith("Worst")]
    assert len(tables) == 2
    for panel in tables:
        (places,) = (one["options"]["indexByName"] for one in panel["transformations"] if one["id"] == "organize")
        assert (places["id"], places["name_fa"]) == (0, 1)
        assert "group_left (name_fa)" in panel["targets"][0]["expr"]

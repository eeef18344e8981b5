"""The rules of Grafana's dashboard linter, and some of our own, on every dashboard that is provisioned."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import Any

import promql_parser
import pytest

from deploy.dashboards.catalogue import DASHBOARDS, rendered
from services.console.pages import PAGES
from services.core.metrics.table import TABLE
from tests.dashboards.grafana import FOLDER, View, dashboard, interpolated, names, panels, queries
from tests.support.monitoring.promql import faults

UNITS = {"bytes", "none", "ops", "percentunit", "reqps", "s", "short"}
PERSIAN = re.compile(r"[\u0600-\u06ff]{2,}")
LATIN = re.compile(r"[A-Za-z]{3,}")
VIEW = View(0, 86_400, {})
INSTANCES = {"pipeline"}
"""Dashboards about processes. What the others show is of agencies and links: which process says so must not matter."""

EVERY = {(name, panel["title"]): panel for name in names() for panel in panels(dashboard(name))}
ASKED = {one.id: one for name in names() for one in queries(name)}


def values_of(name):
    """Values of the variables of a dashboard as Grafana puts them in; several, or all, are a pattern."""
    own = {one["name"]: ".+" if one.get("multi") else "one" for one in dashboard(name)["templating"]["list"]}
    return {**VIEW.values, **own, "job": "prober|scorer"}


@pytest.fixture(params=names())
def name(request):
    return request.param


@pytest.fixture(params=EVERY.values(), ids=["/".join(key) for key in EVERY])
def panel(request):
    return request.param


@pytest.fixture(params=list(ASKED.values()), ids=list(ASKED))
def asked(request):
    return request.param


def test_what_is_committed_is_what_the_code_makes():
    """Nobody edits the JSON, nobody forgets `make dashboards`, and no dashboard that is gone is left behind."""
    assert names() == sorted(DASHBOARDS)
    for one in DASHBOARDS:
        assert (FOLDER / f"{one}.json").read_text("utf-8") == rendered(one)


def test_the_data_source_is_a_variable(name):
    """template-datasource-rule: one data source, named as Grafana's linter wants it, and labelled so, with Persian beside it."""
    found = [one for one in dashboard(name)["templating"]["list"] if one["type"] == "datasource"]
    assert [(one["name"], one["query"]) for one in found] == [("datasource", "prometheus")]
    assert found[0]["label"].startswith("Data source · ")
    assert PERSIAN.search(found[0]["label"])


def test_every_window_can_be_chosen():
    """The menu of windows asks for what every window has: points are absent where too little is known, bounds never."""
    asked = {
        str(one["query"]["query"])
        for each in names()
        for one in dashboard(each)["templating"]["list"]
        if one["name"] == "window"
    }
    assert asked == {"label_values(peyvand_index_lower, window)"}


def test_variables_can_be_asked_for(name):
    """template-label-promql-rule, template-on-time-change-reload-rule: label_values of metrics that have the label."""
    for one in dashboard(name)["templating"]["list"]:
        if one["type"] != "query":
            continue
        assert one["refresh"] == 2, "read again when the time range changes"
        assert one["datasource"]["uid"] == "${datasource}"
        assert (one.get("allValue") is not None) == one["includeAll"] == one["multi"]
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"])
        assert found, one["query"]
        selector = interpolated(found[1], values_of(name))
        assert faults(f"count by ({found[2]}) ({selector})") == []
        assert PERSIAN.search(one["label"])


def test_the_variables_chain():
    """A sector narrows its agencies, an agency its links, a job its instances; a variable follows those it asks for."""
    asks = {"agency": {"sector"}, "link": {"agency"}, "instance": {"job"}}
    for one in names():
        before: set[str] = set()
        for variable in dashboard(one)["templating"]["list"]:
            uses = set(re.findall(r"\$(\w+)", str(variable["query"])))
            assert uses == asks.get(variable["name"], set())
            assert uses <= before
            before.add(variable["name"])
    assert {"sector", "agency", "link"} <= {one["name"] for one in dashboard("link")["templating"]["list"]}


def test_a_sector_narrows_whom_to_turn_to():
    """Every query of the government's last row asks for the sectors chosen, and those about the whole ask for none."""
    narrowed = {one.id.rpartition("/")[0] for one in queries("government") if "$sector" in one.expression}
    whole = {one.id.rpartition("/")[0] for one in queries("government") if "$sector" not in one.expression}
    assert narrowed == {
        f"government/{title}" for title in ("Worst providers", "Worst consumers", "Sectors", "Costliest links")
    }
    assert narrowed.isdisjoint(whole)


def test_processes_are_told_apart_where_they_matter(name):
    """template-job-rule, template-instance-rule, target-job-rule, target-instance-rule: on dashboards about processes."""
    variables = {one["name"] for one in dashboard(name)["templating"]["list"]}
    assert ({"job", "instance"} <= variables) == (name in INSTANCES)
    for one in queries(name):
        for node in _selectors(one):
            matched = {each.name for each in node.matchers.matchers}
            assert ({"job", "instance"} <= matched) == (name in INSTANCES), one.id


def test_a_dashboard_is_not_edited_in_place(name):
    """template-uneditable-rule: what is provisioned is changed in the code."""
    found = dashboard(name)
    assert found["editable"] is False
    assert found["uid"] == f"peyvand-{name}"
    assert found["description"]
    assert "peyvand" in found["tags"]


def test_titles_are_english_and_persian(name):
    """Dashboards, rows and panels have both, the English one first, and no title comes twice."""
    found = dashboard(name)
    titles = [found["title"], *(panel["title"] for panel in found["panels"])]
    for title in titles:
        english, separator, persian = title.partition(" · ")
        assert separator, title
        assert LATIN.search(english), title
        assert PERSIAN.search(persian), title
        assert not PERSIAN.search(english), title
        assert not LATIN.search(persian), f"{title}: words of both scripts after each other are read in the wrong order"
    assert max(Counter(titles).values()) == 1


def test_panels_do_not_overlap(name):
    """Every panel has its place in 24 columns, and rows of panels end flush."""
    taken = [panel["gridPos"] for panel in dashboard(name)["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in taken)
    for one, other in combinations(taken, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart or above
    assert len({panel["id"] for panel in dashboard(name)["panels"]}) == len(taken)


def test_a_panel_says_what_it_shows(panel):
    """panel-title-description-rule, panel-units-rule, panel-datasource-rule, panel-no-targets-rule; thresholds as well."""
    assert panel["title"]
    assert len(panel["description"]) > 30
    assert panel["description"].endswith((".", "?"))
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    assert defaults["thresholds"]["mode"] == "absolute"
    steps = [step["value"] for step in defaults["thresholds"]["steps"]]
    assert steps[0] is None
    assert steps[1:] == sorted(steps[1:])
    for one in (each for override in panel["fieldConfig"]["overrides"] for each in override["properties"]):
        if one["id"] == "thresholds":
            assert one["value"]["mode"] == "absolute"
            assert len(one["value"]["steps"]) > 1
    overridden = (one for override in panel["fieldConfig"]["overrides"] for one in override["properties"])
    assert {one["value"] for one in overridden if one["id"] == "unit"} <= UNITS
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH")[: len(panel["targets"])]


VOLUMES = "how much there is hangs on the country; neither more nor less of it is good"
STATES = "its series are good or bad by what they are, and coloured by that"
WITHOUT_SIDES = {
    ("agency", "Its links by stage"): STATES,
    ("agency", "Exchanges as consumer"): STATES,
    ("agency", "Exchanges as provider"): STATES,
    ("agency", "Whom it asks most"): VOLUMES,
    ("government", "Loss waterfall"): STATES,
    ("link", "Why it was not OK"): STATES,
    ("link", "Exchanges of this link"): STATES,
    ("pipeline", "Probes by outcome"): STATES,
    ("pipeline", "Share of each prober"): VOLUMES,
    ("pipeline", "NATS streams: stored"): VOLUMES,
    ("pipeline", "NATS streams: size"): VOLUMES,  # streams are bounded by age alone
    ("pipeline", "NATS streams: messages"): VOLUMES,
    ("pipeline", "Measurements"): VOLUMES,
    ("pipeline", "Archived"): VOLUMES,
    ("pipeline", "Exchange records"): VOLUMES,
    ("pipeline", "Requests to the api"): VOLUMES,
    ("pipeline", "Watches"): VOLUMES,
}
"""Panels without thresholds, each with the reason."""


def test_what_has_a_good_and_a_bad_side_says_where_they_part():
    """A panel has two thresholds at the least, unless it is named here; none is named that has them, or is gone."""
    plain = {
        (name, panel["title"].partition(" · ")[0])
        for (name, _), panel in EVERY.items()
        if len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) < 2
    }
    assert plain == WITHOUT_SIDES.keys()


def test_links_lead_to_dashboards_with_variables_they_have():
    """Data links drill down: from the government to agencies, from an agency to links, from a link to both its agencies,
    from what is unknown to the pipeline, keeping time and data source. What a link fills in is in the answer. From findings they
    lead to pages of the console.
    """
    led = set()
    pages = {one.path for one in PAGES}
    for (source, title), panel in EVERY.items():
        for url in re.findall(r"'url': '([^']+)'", str(panel)):
            if url.startswith("${console}/en/"):
                page = url.removeprefix("${console}/en")
                assert re.sub(r"\$(\w+)", r"{\1}", page) in pages
                led.add((source, title.partition(" · ")[0], page))
                continue
            found = re.fullmatch(r"/d/peyvand-(\w+)\?\$\{datasource:queryparam\}&\$\{__url_time_range\}(.*)", url)
            assert found, (title, url)
            target = {one["name"] for one in dashboard(found[1])["templating"]["list"]}
            assert set(re.findall(r"var-(\w+)=", found[2])) <= target, (title, url)
            used = set(re.findall(r"\$(\w+)", found[2])) | set(re.findall(r"\$\{(?!__)(\w+)", found[2]))
            assert used <= {one["name"] for one in dashboard(source)["templating"]["list"]}
            for label in re.findall(r"\$\{__(?:field\.labels|data\.fields)\.(\w+)\}", found[2]):
                expressions = [one["expr"] for one in panel["targets"]]
                assert any(re.search(rf"\bby \([^)]*\b{label}\b", one) for one in expressions), (title, label)
            led.add((source, title.partition(" · ")[0], found[1]))
    assert led == LED


@pytest.mark.parametrize(
    ("name", "page"),
    [("government", "/"), ("agency", "/agency/$agency"), ("link", "/link/$link"), ("pipeline", "/monitor")],
)
def test_a_dashboard_leads_to_the_consoles_page_about_the_same(name, page):
    """At the address that the console exposes, by variables that the dashboard has; the console has such a page."""
    found = dashboard(name)
    assert f"${{console}}/en{page}" in {one.get("url") for one in found["links"]}
    (variable,) = [one for one in found["templating"]["list"] if one["name"] == "console"]
    assert variable["query"]["query"] == "label_values(peyvand_console_info, url)"
    assert variable["hide"] == 2
    assert re.sub(r"\$(\w+)", r"{\1}", page) in {one.path for one in PAGES}


LED = {
    ("government", "Findings now", "/findings"),
    ("government", "Findings over time", "/findings"),
    ("agency", "Findings", "/agency/$agency"),
    ("government", "Known share", "pipeline"),
    ("government", "Links now", "pipeline"),
    ("government", "Worst providers", "agency"),
    ("government", "Worst consumers", "agency"),
    ("government", "Sectors", "agency"),
    ("government", "Costliest links", "link"),
    ("government", "Costliest links", "agency"),
    ("agency", "Reasons now, as consumer", "pipeline"),
    ("agency", "Reasons now, as provider", "pipeline"),
    ("agency", "Services of this agency", "link"),
    ("agency", "Its links by stage", "link"),
    ("agency", "Costliest as consumer", "link"),
    ("agency", "Costliest as consumer", "agency"),
    ("agency", "Costliest as provider", "link"),
    ("agency", "Costliest as provider", "agency"),
    ("agency", "Whom it asks most", "agency"),
    ("link", "Last settled slot", "agency"),
    ("link", "Last settled slot", "pipeline"),
    ("link", "Stage by slot", "agency"),
    ("link", "Why it was not OK", "agency"),
    ("link", "Why it was not OK", "pipeline"),
}
"""What leads on where: dashboard, panel, and a dashboard or a page of the console."""


def test_a_query_asks_for_what_is_exposed(asked):
    """target-promql-rule: it parses, of metrics in the table with labels they have."""
    assert faults(interpolated(asked.expression, values_of(asked.dashboard))) == []


def test_a_query_invents_nothing(asked):
    """No constant stands in for an answer that is missing."""
    assert not re.search(r"vector\(|absent\(|scalar\(", asked.expression)


def test_rates_follow_the_interval(asked):
    """target-rate-interval-rule, but for counts over the whole time shown."""
    for function, spans in re.findall(r"\b(rate|irate|deriv|increase)\(.*?\[([^\]]+)\]", asked.expression):
        assert spans == ("$__range" if function == "increase" else "$__rate_interval")


def test_counters_are_rated_and_histograms_summed(asked):
    """target-counter-agg-rule, target-histogram-rule: no counter is shown as it stands, and buckets keep their bounds."""
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
    """Beyond ten thousand links only some have a stage of their own: how many links there are is what the scorer counted."""
    assert not re.search(r"\b(count|count_values|sum)\b.*peyvand_link_stage", asked.expression)


def test_processes_have_names_of_their_own(asked):
    """A legend of what is told apart by process names the process: two of a kind are not two lines of one name."""
    if asked.legend not in ("", "__auto") and re.search(r"\bby \([^)]*\binstance\b", asked.expression):
        assert "{{instance}}" in asked.legend


def test_every_metric_an_operator_needs_is_shown():
    """What components expose is on a dashboard, but for what is shown by another metric, or only of interest in a table."""
    elsewhere = {row.name for row in TABLE.values() if row.component == "sandbox"}
    used = {name for one in ASKED.values() for name in _names_of_text(one)}
    assert {name for name in TABLE if name not in used | elsewhere | NOT_SHOWN} == set()
    assert TABLE.keys() >= NOT_SHOWN


NOT_SHOWN = {
    "peyvand_bus_exchanges",  # the commands `exchange` and `explain` tell more
    "peyvand_undeclared_exchanges",
    "peyvand_link_findings",
    "peyvand_exchange_source_failures_total",  # a source that fails is shown as failing; its log says how
    "peyvand_exchange_health_requests",  # of security servers that share health data
    "peyvand_exchange_health_duration_seconds",
    "peyvand_slot_seconds",  # the policy says it; alerts measure by it
    "peyvand_stream_lost_messages_total",  # zero but for an attack; an alert watches it
    "peyvand_bus_unsafe",  # a state, which an alert watches
    "peyvand_batches_missing",  # zero but for a bus or a prober that lost something; an alert watches it
    "peyvand_batches_broken",  # zero but for an attack; likewise
    "peyvand_spool_kept_bytes",  # bounded by settings
    "peyvand_spool_sent_again_total",  # zero but for a bus that lost something, which an alert watches
    "peyvand_scorer_series_left_out",  # how much the api alone tells, which hangs on the size of the register
    "peyvand_scorer_standing_by",  # a state, not a course
    "peyvand_spool_damaged_files",  # zero but for a disk that fails
    "peyvand_scorer_damaged_files",  # likewise
    "peyvand_collector_damaged_files",  # likewise
    "peyvand_measurements_refused_total",  # zero but for a prober that lies; an alert watches it
    "peyvand_settled_slots_changed_total",  # likewise
    "peyvand_stream_limit_bytes",  # alerts compare it with what is stored
    "peyvand_summaries_rejected_total",  # likewise, but for a collector that fails
    "peyvand_api_revocations_end_timestamp_seconds",  # a date; an alert compares it
    "peyvand_console_answers_total",  # of the pages, not of figures; alerts watch them
    "peyvand_console_page_seconds",
    "peyvand_console_aged_total",
    "peyvand_console_api_connected",
    "peyvand_archive_batch_faults",  # zero but for an attack or a spool that was full; an alert watches it
    "peyvand_archive_missing_messages",  # zero but for an attack or a disk that failed; an alert watches it
    "peyvand_archive_sealed_total",  # one a day; days that should be sealed are shown
    "peyvand_console_info",  # every dashboard leads to the address in it
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
    """A table of agencies has the name of each beside its id, which its first query brings along."""
    tables = [panel for panel in EVERY.values() if panel["type"] == "table" and panel["title"].startswith("Worst")]
    assert len(tables) == 2
    for panel in tables:
        (places,) = (one["options"]["indexByName"] for one in panel["transformations"] if one["id"] == "organize")
        assert (places["id"], places["name_fa"]) == (0, 1)
        assert "group_left (name_fa)" in panel["targets"][0]["expr"]


def test_one_word_for_each_thing():
    """A slot is a نوبت and an interval a بازه on every dashboard, and bounds are کمترین and بیشترین, as in the brief."""
    words = " ".join(title for _, title in EVERY) + " ".join(map(rendered, DASHBOARDS))
    assert "نوبت" in words
    assert "کمترین" in words
    assert "بیشترین" in words
    assert set(re.findall(r"بازه\S*(?: \w+)?", words)) == {"بازهٔ اطمینان"}
    assert not re.search(r"کران|کم‌ترین|بیش‌ترین|اسلات", words)

"""Every provisioned dashboard follows the rules of Grafana's dashboard linter and some of our own."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

import pytest

from deploy.dashboards.catalogue import DASHBOARDS, rendered
from services.console.pages import PAGES
from tests.dashboards.grafana import FOLDER, dashboard, interpolated, names
from tests.support.cases.dashboards.panels import EVERY, values_of
from tests.support.monitoring.promql import faults

UNITS = {"bytes", "none", "ops", "percentunit", "reqps", "s", "short"}
PERSIAN = re.compile(r"[\u0600-\u06ff]{2,}")
LATIN = re.compile(r"[A-Za-z]{3,}")


def test_what_is_committed_is_what_the_code_makes():
    """The committed JSON files are exactly those that `make dashboards` writes, with none left over."""
    assert names() == sorted(DASHBOARDS)
    for one in DASHBOARDS:
        assert (FOLDER / f"{one}.json").read_text("utf-8") == rendered(one)


def test_the_data_source_is_a_variable(name):
    """template-datasource-rule: one data source, with the name and label of Grafana's linter, and Persian beside it."""
    found = [one for one in dashboard(name)["templating"]["list"] if one["type"] == "datasource"]
    assert [(one["name"], one["query"]) for one in found] == [("datasource", "prometheus")]
    assert found[0]["label"].startswith("Data source · ")
    assert PERSIAN.search(found[0]["label"])


def test_every_window_can_be_chosen():
    """The menu of windows reads bounds, which every window has. A point is absent where too little is known."""
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
    """A sector narrows its agencies, an agency its links, a job its instances. A variable uses earlier ones only."""
    asks = {"agency": {"sector"}, "link": {"agency"}, "instance": {"job"}}
    for one in names():
        before: set[str] = set()
        for variable in dashboard(one)["templating"]["list"]:
            uses = set(re.findall(r"\$(\w+)", str(variable["query"])))
            assert uses == asks.get(variable["name"], set())
            assert uses <= before
            before.add(variable["name"])
    assert {"sector", "agency", "link"} <= {one["name"] for one in dashboard("link")["templating"]["list"]}


def test_a_dashboard_is_not_edited_in_place(name):
    """template-uneditable-rule: a provisioned dashboard is changed in the code."""
    found = dashboard(name)
    assert found["editable"] is False
    assert found["uid"] == f"peyvand-{name}"
    assert found["description"]
    assert "peyvand" in found["tags"]


def test_titles_are_english_and_persian(name):
    """Dashboards, rows and panels have titles in English and then Persian, and no title occurs twice."""
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
    """Every panel lies within 24 columns, no two overlap, and each has an id of its own."""
    taken = [panel["gridPos"] for panel in dashboard(name)["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in taken)
    for one, other in combinations(taken, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart or above
    assert len({panel["id"] for panel in dashboard(name)["panels"]}) == len(taken)


def test_a_panel_says_what_it_shows(panel):
    """panel-title-description-rule, panel-units-rule, panel-datasource-rule, panel-no-targets-rule; thresholds too."""
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
    """Every panel has at least two threshold steps, except exactly those that WITHOUT_SIDES names."""
    plain = {
        (name, panel["title"].partition(" · ")[0])
        for (name, _), panel in EVERY.items()
        if len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) < 2
    }
    assert plain == WITHOUT_SIDES.keys()


def test_links_lead_to_dashboards_with_variables_they_have():
    """Data links drill down and keep the time range and the data source. They lead from the government to agencies,
    from an agency to links, from a link to both its agencies, and from unknown results to the pipeline. A label that a
    link fills in is in the panel's answer. Findings lead to pages of the console.
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
    """Each dashboard links to an existing page at the address that the console exposes, by variables that it has."""
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
"""Where the data links lead: dashboard, panel, and a dashboard or a page of the console."""


def test_one_word_for_each_thing():
    """A slot is a نوبت and an interval a بازه on every dashboard. Bounds are کمترین and بیشترین, as in the brief."""
    words = " ".join(title for _, title in EVERY) + " ".join(map(rendered, DASHBOARDS))
    assert "نوبت" in words
    assert "کمترین" in words
    assert "بیشترین" in words
    assert set(re.findall(r"بازه\S*(?: \w+)?", words)) == {"بازهٔ اطمینان"}
    assert not re.search(r"کران|کم‌ترین|بیش‌ترین|اسلات", words)

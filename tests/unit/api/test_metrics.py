"""Metrics of the api about the register, services and links."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.api import metrics
from services.api.answers.link_shares import gather_window
from services.api.metrics import ReadModelMetrics
from services.api.model.read_model import ReadModel
from services.api.model.register_view import RegisterView
from services.core.blocks.read import BlockReader
from services.core.metrics.table import TABLE
from services.core.model.indicator import IndicatorKind
from services.core.model.reconciliation import Reconciliation
from services.indicator.index.explain import explain_index
from tests.support.cases.api.blocks import blocks_of
from tests.support.values.block_columns import encoded
from tests.support.values.findings import SINCE, finding

NAMES = {
    "peyvand_agency_info",
    "peyvand_three_bars",
    "peyvand_service_index",
    "peyvand_service_level",
    "peyvand_link_loss",
    "peyvand_link_gain",
    "peyvand_link_exchanges",
    "peyvand_agency_findings",
}


def exposed(model):
    """Return values by metric and labels, and check that every metric has the labels of the table."""
    registry = CollectorRegistry()
    registry.register(ReadModelMetrics(model))
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            assert set(sample.labels) == set(TABLE[family.name].labels)
            found[family.name, tuple(sample.labels[label] for label in TABLE[family.name].labels)] = sample.value
    return found


@pytest.fixture
def model(register):
    """A model with the register and a first set of blocks."""
    made = ReadModel()
    made.replace_register(RegisterView(register))
    for key, block in blocks_of(register).items():
        made.replace_block(key, BlockReader.of(encoded(block)))
    return made


def test_nothing_is_shown_before_it_is_known(register):
    """Without a register every family is empty. Without blocks only the agencies are shown."""
    model = ReadModel()
    assert exposed(model) == {}
    model.replace_register(RegisterView(register))
    assert {name for name, _ in exposed(model)} == {"peyvand_agency_info"}


def test_each_agency_has_its_sector_and_names(model, register):
    """Agencies have their sector and their names in both languages."""
    shown = {labels for name, labels in exposed(model) if name == "peyvand_agency_info"}
    assert shown == {(one.id, one.sector, one.name_en, one.name_fa) for one in register.agencies.values()}


def test_services_have_the_point_and_level_that_are_published(model, register):
    """Services show the default window; a service without an indicator has no series."""
    window = register.policy.default_window
    published = {
        (name, (one.id, register.services[one.id].agency)): value
        for block in model.whole.values()
        for one in map(block.find, [*block.keys()])
        if one.kind == IndicatorKind.SERVICE and one.window_days == window
        for name, value in (("peyvand_service_index", one.point), ("peyvand_service_level", one.level))
    }
    shown = {key: value for key, value in exposed(model).items() if key[0].startswith("peyvand_service")}
    assert shown == published != {}


def test_losses_of_links_add_up_to_what_the_government_lost(model, register):
    """If no link is left out, the losses of links sum to 1 - index. Each has its consumer and provider."""
    costs = {labels: value for (name, labels), value in exposed(model).items() if name == "peyvand_link_loss"}
    window = register.policy.default_window
    government = model.get(1, "", window).message
    assert sum(costs.values()) == pytest.approx(1 - government.point)
    for link, service, consumer, provider in costs:
        one = register.links[link]
        assert (one.service, register.consumer(one), one.provider) == (service, consumer, provider)


@pytest.fixture
def imputed(model, register):
    """The model in which one link of title-deed always failed and nothing is known of the other."""
    block = blocks_of(register)["consumer.land-registry"]
    links = []
    for one in block.links:
        verdicts = one.verdicts.copy()
        verdicts[one.ids.index("deed-tax")] = (0, 0, 0, 100, 0, 0)
        verdicts[one.ids.index("deed-civil")] = 0
        links.append(replace(one, verdicts=verdicts))
    model.replace_block("consumer.land-registry", BlockReader.of(encoded(replace(block, links=tuple(links)))))
    return model


def told(model, register, limit=100):
    """Return each link's loss and gain in the government's explanation, in its order."""
    found = gather_window(model.view, model.whole, register.policy.default_window)
    government = model.view.arrays.government
    explanation = explain_index(found.shares, found.imputation, IndicatorKind.GOVERNMENT, government, limit=limit)
    assert explanation is not None
    assert explanation.estimate is not None
    return {one.link: (one.loss, one.index_if_fixed - explanation.estimate) for one in explanation.links}


def test_links_show_what_an_explanation_says_they_lose_and_gain(imputed, register):
    """Loss and gain of every link are those of the government's explanation, also with imputed links."""
    shown = exposed(imputed)
    explained = told(imputed, register)
    assert explained["deed-tax"][1] == pytest.approx(explained["deed-tax"][0] + explained["deed-civil"][0])
    for at, name in enumerate(("peyvand_link_loss", "peyvand_link_gain")):
        found = {labels[0]: value for (metric, labels), value in shown.items() if metric == name}
        assert found == {link: pytest.approx(both[at]) for link, both in explained.items()}


def test_of_many_agencies_those_with_the_most_links_have_series(model, register, monkeypatch):
    """The agencies are those on the scorer's metrics page, so that every index there finds its name."""
    links = Counter(side for link in register.links.values() for side in (register.consumer(link), link.provider))
    largest = min(links, key=lambda agency: (-links[agency], agency))
    assert largest != min(register.agencies)
    monkeypatch.setattr(metrics, "AGENCY_SERIES", 1)
    shown = exposed(model)
    for name in ("peyvand_agency_info", "peyvand_agency_findings"):
        assert {labels[0] for metric, labels in shown if metric == name} == {largest}
    assert all(largest in labels[2:] for metric, labels in shown if metric == "peyvand_link_loss")


def test_each_side_shows_the_link_that_gains_most(imputed, register, monkeypatch):
    """With one link per side, both metrics show the link whose repair raises the government's index most."""
    monkeypatch.setattr(metrics, "COSTLIEST_LINKS", 1)
    wanted: set[str] = set()
    seen: set[tuple[str, Any]] = set()
    for name in told(imputed, register):
        link = register.links[name]
        sides = {("consumer", register.consumer(link)), ("provider", link.provider)}
        if sides - seen:
            wanted.add(name)
        seen |= sides
    shown = exposed(imputed)
    for name in ("peyvand_link_loss", "peyvand_link_gain"):
        assert {labels[0] for metric, labels in shown if metric == name} == wanted
    assert "deed-tax" in wanted


def test_each_side_shows_its_costliest_link(model, register, monkeypatch):
    """With one link per side, the costliest of all is shown, and every agency that lost something shows one."""
    every = {labels: value for (name, labels), value in exposed(model).items() if name == "peyvand_link_loss"}
    monkeypatch.setattr(metrics, "COSTLIEST_LINKS", 1)
    few = {labels: value for (name, labels), value in exposed(model).items() if name == "peyvand_link_loss"}
    assert few.items() < every.items()
    assert max(every.values()) == max(few.values())
    for side in (2, 3):
        assert {labels[side] for labels in few} == {labels[side] for labels in every}


def test_bars_are_those_of_the_structure(model, register):
    """The declared bar always exists; measured and official exist only where there is such a figure."""
    window = str(register.policy.default_window)
    bars = {labels: value for (name, labels), value in exposed(model).items() if name == "peyvand_three_bars"}
    government = model.get(1, "", int(window)).message
    assert bars["measured", window] == government.point
    assert ("declared", window) in bars
    assert ("official", window) in bars or register.evaluation is None


def test_exchanges_of_links_are_split_by_result(model, register):
    """Links with exchanges in the default window show how many succeeded and how many did not."""
    window = register.policy.default_window
    link = min(register.links)
    consumer = register.consumer(register.links[link])
    key = f"consumer.{consumer}"
    found = (
        Reconciliation(link, window, 9, shared=False, silent=False, ok=7),
        Reconciliation(max(register.links), window, 0, shared=False, silent=True),
    )
    block = replace(blocks_of(register)[key], reconciliations=found)
    model.replace_block(key, BlockReader.of(encoded(block)))
    shown = {labels: value for (name, labels), value in exposed(model).items() if name == "peyvand_link_exchanges"}
    pair = (link, consumer, register.links[link].provider)
    assert shown == {(*pair, "ok"): 7, (*pair, "failed"): 2}


def test_findings_are_counted_by_agency(model, register):
    """An ongoing finding counts for each agency that it touches, and agencies without one show 0."""
    over = finding(since=SINCE - 3_600, ended_at=SINCE)
    block = replace(blocks_of(register)["government"], findings=(finding(), over))
    model.replace_block("government", BlockReader.of(encoded(block)))
    shown = {labels: value for (name, labels), value in exposed(model).items() if name == "peyvand_agency_findings"}
    assert shown == {("civil-registry",): 1, ("land-registry",): 1, ("tax-office",): 0, ("customs",): 0}


def test_families_are_made_once_per_refresh(model, register):
    """A scrape between two refreshes computes nothing, and one after a refresh shows the new state."""
    standing = ReadModelMetrics(model)
    first = standing.families()
    assert standing.families() is first
    before = {family.name: family for family in standing.collect()}
    for key, block in blocks_of(register, as_of=1_790_000_400, ok=dict.fromkeys(register.links, 50)).items():
        model.replace_block(key, BlockReader.of(encoded(block)))
    second = {family.name: family for family in standing.collect()}
    assert second.keys() == NAMES
    assert second["peyvand_service_index"].samples != before["peyvand_service_index"].samples

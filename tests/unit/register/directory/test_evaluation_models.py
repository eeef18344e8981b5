"""In evaluation_rounds.yaml each round names its model, and each figure has a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.evaluation import AnnouncedAgency, StatedFigure
from services.register.directory.load import load_register, read_directory
from services.register.rounds import Growth, growths
from tests.support.registers import write_register

MODELS = """\
country: XX
model:
  maturity:
    - {id: portal, name_en: Portal}
    - {id: integration, name_en: Integration}
  smart:
    - {id: integrated, name_en: Integrated and smart}
rounds:
"""
ROUNDS = """\
  - {round: 1, overall_percent: 10, sources: {overall_percent: [a]}}
  - {round: 2, model: maturity, overall_percent: 40, dimension_percent: {portal: 50}, sources: &ab {overall_percent: [a], dimension_percent: [a, b]}}
  - {round: 3, model: smart, overall_percent: 20, dimension_percent: {integrated: 30}, sources: *ab}
  - {round: 4, model: maturity, overall_percent_more_than: 60, dimension_percent: {portal: 60, integration: null}, sources: {dimension_percent: [a]}}
  - {round: 5, model: smart, overall_percent: 25, sources: {overall_percent: [c]}}
"""

CITED = (
    *("model", "held", "agencies", "services_and_subservices", "overall_percent", "overall_percent_more_than"),
    *("growth_since_round_1_percent_more_than", "dimension_percent", "also_stated", "also_taken_into_account"),
    *("announced_top_agencies", "announced_weakest_agencies", "stated_next_step", "stated_concerns"),
)


def _faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as refused:
        load_register(write_register(tmp_path, evaluation_rounds_yaml=text))
    return [str(fault).removeprefix(f"{tmp_path}/evaluation_rounds.yaml:") for fault in refused.value.faults]


def test_a_round_has_the_model_it_names(tmp_path: Path) -> None:
    """Dimensions have their model. Figures, bounds, agencies, notes and sources are kept as stated."""
    more = """\
  - round: 6
    model: smart
    also_stated: [{name_en: Indicators, value: 37}]
    announced_weakest_agencies: [{name_en: Tax Office}]
    note: held in spring
    sources: {model: [d], also_stated: [d]}
"""
    evaluation = load_register(write_register(tmp_path, evaluation_rounds_yaml=MODELS + ROUNDS + more)).evaluation
    assert evaluation is not None
    models = [(each.id, each.model) for each in evaluation.dimensions]
    assert models == [("portal", "maturity"), ("integration", "maturity"), ("integrated", "smart")]
    assert [each.model for each in evaluation.rounds] == ["", "maturity", "smart", "maturity", "smart", "smart"]
    fourth, sixth = evaluation.rounds[3], evaluation.rounds[5]
    assert (fourth.overall_percent, fourth.overall_percent_more_than) == (None, 60)
    assert fourth.dimension_percent == {"portal": 60, "integration": None}
    assert sixth.also_stated == (StatedFigure("Indicators", "", 37),)
    assert sixth.announced_weakest_agencies == (AnnouncedAgency("Tax Office", ""),)
    assert (sixth.note, sixth.sources) == ("held in spring", {"model": ("d",), "also_stated": ("d",)})


def test_scores_of_two_models_are_never_compared(tmp_path: Path) -> None:
    """Growth needs two scores of one model. A bound is no score, and a round without a model is compared with none."""
    evaluation = load_register(write_register(tmp_path, evaluation_rounds_yaml=MODELS + ROUNDS)).evaluation
    assert evaluation is not None
    assert list(growths(evaluation)) == [Growth(2, 4, "portal", 10, 20), Growth(3, 5, "", 5, 25)]


def test_every_fault_of_models_and_sources_is_found_at_its_place(tmp_path: Path) -> None:
    """Faults of models, dimensions, bounds, further figures and sources are reported, each at its own value."""
    text = """\
country: XX
model:
  Maturity: [{id: portal, name_en: Portal}]
  smart: [{id: portal, name_en: Portal}, {id: open, name_en: Open}]
  empty: []
  flat: portal
rounds:
  - {round: 1, model: other}
  - {round: 2, dimension_percent: {open: 1}, sources: {dimension_percent: [a]}}
  - {round: 3, model: smart, dimension_percent: {shut: 1}, sources: {dimension_percent: [a]}}
  - {round: 4, overall_percent: 50, overall_percent_more_than: 40, sources: {overall_percent: [a], overall_percent_more_than: [a]}}
  - {round: 5, also_stated: [{name_en: Indicators}, {value: -1}], sources: {also_stated: [a]}}
  - {round: 6, agencies: null, sources: {agencies: [a], colour: [a], held: a}}
  - {round: 7, agencies: 1, sources: {agencies: ["", null]}}
"""
    assert _faults(tmp_path, text) == [
        "3:3: model: `Maturity` is not an id: at most 63 of a-z, 0-9 and `-`, beginning with a letter or a digit",
        "4:16: id: `portal` is there twice",
        "5:10: empty: lists no dimension",
        "6:9: flat: is not a list",
        "8:23: model: `other` is none of the models of this file",
        "9:35: dimension_percent: the round names no `model`: one of Maturity, smart, empty, flat",
        "10:50: dimension_percent: `shut` is no dimension of `smart`",
        "11:64: overall_percent_more_than: the score itself is stated, as `overall_percent`",
        "12:30: key `value` is missing",
        "12:53: one of `name_en` and `name_fa` must be given",
        "12:61: value: `-1` is negative",
        "13:42: sources: the round does not state `agencies`",
        f"13:57: key `colour` is unknown; known are {', '.join(CITED)}",
        "13:70: sources: the round does not state `held`",
        "13:76: held: is not a list",
        "14:50: agencies: is empty",
        "14:54: agencies: is empty",
    ]


def test_an_empty_mapping_of_models_is_a_fault(tmp_path: Path) -> None:
    """A model is a list of dimensions, or lists by id, and is not empty."""
    assert _faults(tmp_path, "country: XX\nmodel: {}\nrounds: [{round: 1}]\n") == ["2:8: model: is not a list"]


def test_a_figure_without_a_source_is_a_warning(tmp_path: Path) -> None:
    """A figure without a source is reported at its place, but the register is still valid."""
    text = (
        "country: XX\nrounds:\n  - {round: 2, held: 2026-01, agencies: 0, overall_percent: 4, dimension_percent: {}}\n"
    )
    found = read_directory(write_register(tmp_path, evaluation_rounds_yaml=text)).warnings
    assert [str(each).removeprefix(f"{tmp_path}/evaluation_rounds.yaml:") for each in found] == [
        "3:41: warning: agencies: has no source: name it under `sources`",
        "3:61: warning: overall_percent: has no source: name it under `sources`",
    ]

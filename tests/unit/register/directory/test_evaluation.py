"""evaluation_rounds.yaml is read strictly and published with the register, but is part of no version."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.evaluation import AnnouncedAgency
from services.core.model.register import Register
from services.register.bus.chunks import join_chunks, split_register
from services.register.directory.load import load_register
from services.register.rounds import Growth, agencies_by_name, growths, match_agency
from services.register.versions.diff import diff_registers
from services.register.versions.rows import to_rows, with_versions
from tests.support.registers import EVALUATION, write_register

ANNOUNCED = """\
# As announced; the weights behind the overall figure are not published.
country: IR
model:                       # dimensions
  - {id: transactional, name_en: Transactional services,  name_fa: خدمات تراکنشی,  aim: "complete it electronically, end to end"}
  - {id: integration,   name_en: Integration of services, name_fa: یکپارچگی خدمات, aim: interactions based on integration}
rounds:
  - round: 1
    held: 2017-01/2017-02     # Bahman 1395
    overall_percent: null     # not stated; round 5 is reported as more than 40 percent above it
  - round: 5
    agencies: 105
    services_and_subservices: 2200
    overall_percent: 62.8     # also quoted rounded
    growth_since_round_1_percent_more_than: 40
    dimension_percent: {transactional: 70.22, integration: 50.19}
    also_taken_into_account: [public satisfaction, size and number of staff of agencies]
    announced_top_agencies:
      - {name_fa: سازمان تنظیم مقررات, name_en: Regulatory Authority (communications)}
      - {name_fa: سازمان جمع‌آوری و فروش اموال تملیکی, name_en: "Organization for Collection, and Sale"}
    stated_next_step: >
      All rounds so far looked inside single agencies; the next step is
      how far services are connected to those of others.
    stated_concerns:
      - data held in islands instead of shared; many separate permits
"""
"""Rounds in the form of the facts kept beside this repository: aligned, with comments and long texts."""


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """Return the register with official rounds."""
    return load_register(write_register(tmp_path / "register", evaluation_rounds_yaml=EVALUATION))


def faults(tmp_path: Path, text: str) -> list[str]:
    """Return the faults of this text as evaluation_rounds.yaml, without the file's name."""
    with pytest.raises(InputError) as refused:
        load_register(write_register(tmp_path, evaluation_rounds_yaml=text))
    found = [str(fault) for fault in refused.value.faults]
    prefix = f"{tmp_path}/evaluation_rounds.yaml:"
    assert all(fault.startswith(prefix) for fault in found)
    return [fault.removeprefix(prefix) for fault in found]


def test_rounds_are_kept_as_stated(register: Register) -> None:
    """Rounds are in order of their numbers. Null or absent values stay unset, and any digits are read."""
    evaluation = register.evaluation
    assert evaluation is not None
    assert (evaluation.country, evaluation.note) == ("XX", "made up for tests")
    assert [one.id for one in evaluation.dimensions] == ["portal", "integration", "participation"]
    assert evaluation.dimensions[1].aim == "inquiries, not papers"
    first, second, third = evaluation.rounds
    assert (first.round, first.held, first.overall_percent, first.agencies) == (1, "2017-01", None, None)
    assert first.dimension_percent == {}
    assert (second.overall_percent, second.growth_since_round_1_percent_more_than) == (50.0, None)
    assert (third.agencies, third.services_and_subservices, third.overall_percent) == (4, 5, 62.5)
    assert third.growth_since_round_1_percent_more_than == 40
    assert third.dimension_percent == {"portal": 80.0, "integration": 50.0, "participation": None}
    assert (third.also_taken_into_account, third.stated_concerns) == (("public satisfaction",), ("islands of data",))
    assert third.announced_top_agencies[2] == AnnouncedAgency("Nobody We Know", "")
    assert third.stated_next_step == "measure links"


def test_facts_as_they_are_kept_are_read(tmp_path: Path) -> None:
    """Comments, columns, folded texts, non-joiners and quoted commas are read as they are meant, round by round."""
    evaluation = load_register(write_register(tmp_path, evaluation_rounds_yaml=ANNOUNCED)).evaluation
    assert evaluation is not None
    transactional, integration = evaluation.dimensions
    assert transactional.aim == "complete it electronically, end to end"
    assert (integration.name_en, integration.name_fa) == ("Integration of services", "یکپارچگی خدمات")
    first, fifth = evaluation.rounds
    assert (first.round, first.held, first.overall_percent) == (1, "2017-01/2017-02", None)
    assert (fifth.round, fifth.agencies, fifth.services_and_subservices, fifth.overall_percent) == (5, 105, 2200, 62.8)
    assert fifth.growth_since_round_1_percent_more_than == 40
    assert fifth.dimension_percent == {"transactional": 70.22, "integration": 50.19}
    assert fifth.also_taken_into_account == ("public satisfaction", "size and number of staff of agencies")
    assert fifth.announced_top_agencies == (
        AnnouncedAgency("Regulatory Authority (communications)", "سازمان تنظیم مقررات"),
        AnnouncedAgency("Organization for Collection, and Sale", "سازمان جمع‌آوری و فروش اموال تملیکی"),
    )
    assert fifth.stated_next_step == (
        "All rounds so far looked inside single agencies; the next step is how far services are connected to those of "
        "others."
    )
    assert fifth.stated_concerns == ("data held in islands instead of shared; many separate permits",)


def test_a_comma_that_is_not_quoted_is_refused_where_it_cuts(tmp_path: Path) -> None:
    """A text that its comma cuts in two is one fault, with file, line and what the rest was read as."""
    text = ANNOUNCED.replace('"complete it electronically, end to end"', "complete it electronically, end to end")
    column = text.splitlines()[3].index("end to end") + 1
    with pytest.raises(InputError) as refused:
        load_register(write_register(tmp_path, evaluation_rounds_yaml=text))
    (fault,) = refused.value.faults
    assert str(fault) == (
        f"{tmp_path}/evaluation_rounds.yaml:4:{column}: key `end to end` is unknown; known are id, name_en, name_fa, aim"
    )


def test_the_file_may_be_missing(tmp_path: Path) -> None:
    """A register without the file has no evaluation."""
    assert load_register(write_register(tmp_path)).evaluation is None


def test_rounds_are_in_neither_version_and_travel_all_the_same(register: Register, tmp_path: Path) -> None:
    """Both hashes are those of the register without rounds, yet chunks and rows keep every round."""
    without = load_register(write_register(tmp_path / "without"))
    assert (without.register_version, without.probe_version) == (register.register_version, register.probe_version)
    assert with_versions(join_chunks(split_register(register).values())) == register
    assert [chunk.agency for chunk in split_register(register) if chunk not in split_register(without)] == [""]
    rows = json.loads(json.dumps(to_rows(register)))
    twice = {**rows, "evaluation": rows["evaluation"] * 2}
    with pytest.raises(ValueError, match="holds 2 official evaluations"):
        join_chunks([json.dumps(twice).encode()])


def test_a_difference_is_told_round_by_round(register: Register) -> None:
    """An added or corrected round is named by its number, and the model by itself."""
    assert register.evaluation is not None
    first, second, third = register.evaluation.rounds
    changed = replace(
        register, evaluation=replace(register.evaluation, rounds=(first, replace(second, overall_percent=51.0)))
    )
    assert list(diff_registers(register, changed).lines())[-3:] == [
        "evaluation: 0 added, 1 removed, 1 changed",
        "  - round 3",
        "  ~ round 2: overall_percent 50.0 -> 51.0",
    ]
    assert diff_registers(replace(register, evaluation=None), register).sections["evaluation"].added == (
        *("model", "round 1", "round 2", f"round {third.round}"),
    )


def test_growth_is_only_what_two_rounds_state(register: Register) -> None:
    """Round 1 states no score, so no growth is computed from it, whatever growth is quoted."""
    assert register.evaluation is not None
    assert list(growths(register.evaluation)) == [Growth(2, 3, "", 12.5, 25.0), Growth(2, 3, "portal", 16.0, 25.0)]
    zero = replace(register.evaluation.rounds[1], overall_percent=0.0)
    rounds = (zero, register.evaluation.rounds[2])
    assert next(growths(replace(register.evaluation, rounds=rounds))) == Growth(2, 3, "", 62.5, None)


def test_announced_agencies_are_found_by_name(register: Register) -> None:
    """Yeh, kaf, spaces and non-joiners do not hide an agency. A name of no agency or of two has no id."""
    assert register.evaluation is not None
    announced = register.evaluation.rounds[2].announced_top_agencies
    names = agencies_by_name(register)
    assert [match_agency(names, one) for one in announced] == ["civil-registry", "tax-office", ""]
    assert match_agency(names, AnnouncedAgency("Customs", "سازمان امور مالیاتی")) == ""
    assert match_agency(names, AnnouncedAgency("", "")) == ""


def test_every_fault_is_found_at_its_place(tmp_path: Path) -> None:
    """All faults of official rounds are reported at once, each at its own value."""
    text = """\
country: Iran
source: somewhere
model:
  - {id: portal, name_en: Portal}
  - {id: portal, name_fa: درگاه}
  - {id: Big Letters}
  - text
rounds:
  - round: 1
    held: 2017-13
    overall_percent: 101
    growth_since_round_1_percent_more_than: 40
  - round: 1
    held: 2017-02/2017-01
    agencies: many
    services_and_subservices: -1
    dimension_percent: {portal: -1, unity: 3}
    stated_concerns: [a, null, ""]
    also_taken_into_account: size
  - held: 1395-11
    overall_percent: high
    growth_since_round_1_percent_more_than: -1
    dimension_percent: [portal]
    announced_top_agencies:
      - {name_en: Tax  Office}
      - {name_en: tax office, name_fa: x}
      - {}
      - {name_en: Y, rank: 1}
"""
    assert faults(tmp_path, text) == [
        "1:10: country: `Iran` is not a country: write the two capital letters of ISO 3166, such as IR",
        "2:1: key `source` is unknown; known are country, note, model, rounds",
        "5:10: id: `portal` is there twice",
        "6:5: one of `name_en` and `name_fa` must be given",
        "6:10: id: `Big Letters` is not an id: at most 63 of a-z, 0-9 and `-`, beginning with a letter or a digit",
        "7:5: model: is not a mapping of keys to values",
        "10:11: held: `2017-13` is not a month of 1900-2199: write YYYY-MM or YYYY-MM/YYYY-MM, Gregorian",
        "11:22: overall_percent: `101` is not between 0 and 100",
        "12:45: growth_since_round_1_percent_more_than: round 1 cannot have grown since itself",
        "13:12: round: 1 is there twice",
        "14:11: held: `2017-02/2017-01` ends before it begins",
        "15:15: agencies: `many` is not a whole number",
        "16:31: services_and_subservices: `-1` is negative",
        "17:33: portal: `-1` is not between 0 and 100",
        "17:37: dimension_percent: `unity` is no dimension of `model`",
        "18:26: stated_concerns: is empty",
        "18:32: stated_concerns: is empty",
        "19:30: also_taken_into_account: is not a list",
        "20:5: key `round` is missing",
        "20:11: held: `1395-11` is not a month of 1900-2199: write YYYY-MM or YYYY-MM/YYYY-MM, Gregorian",
        "21:22: overall_percent: `high` is not a number",
        "22:45: growth_since_round_1_percent_more_than: `-1` is negative",
        "23:24: dimension_percent: is not a mapping of keys to values",
        "26:19: name_en: `tax office` is already announced in line 25",
        "27:9: one of `name_en` and `name_fa` must be given",
        "28:22: key `rank` is unknown; known are name_en, name_fa",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1:1: key `country` is missing"),
        ("country: XX\n", "1:1: key `rounds` is missing"),
        ("country: XX\nrounds: []\n", "2:9: rounds: needs at least one; without any, leave the file out"),
        ("country: XX\nrounds: 5\n", "2:9: rounds: is not a list"),
        ("- round: 1\n", "1:1: the file: is not a mapping of keys to values"),
        (
            "model: [{aim: to the end, to the end}]",
            "1:27: key `to the end` is unknown; known are id, name_en, name_fa, aim",
        ),
    ],
)
def test_what_is_no_evaluation_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    """An empty file, a file without rounds, a list, and a text cut by its comma each have their fault."""
    assert fault in faults(tmp_path, text)

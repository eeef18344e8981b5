"""What the report of a round says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.cli.rounds import report
from services.cli.rounds.derived import RepairGain, RoundNumbers, compute_round
from services.console.texts import texts_of
from services.core.model import IndicatorKind, Interval
from services.core.model.register import Register
from services.dataset.storage import LocalStorage
from services.scorer.archived import ArchivedEvidence
from tests.support.cases.datasets.round_folders import dataset, key
from tests.support.cases.scoring import START
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["dataset", "key", "register"]


def test_only_gains_of_inquiries_that_somebody_saw_are_stated(dataset: LocalStorage, register: Register) -> None:
    """The gain of a link without a known slot rests on what other links do. Ten that gain more crowd out no other."""
    heavy = replace(register.links["deed-tax"], weight=20.0)
    unseen = {name: replace(heavy, id=name) for name in (f"unseen-{number}" for number in range(10, 22))}
    wider = replace(register, links=dict(sorted({**register.links, **unseen}.items())))
    numbers = compute_round(ArchivedEvidence(dataset), wider, as_of=START + 86_400, window_days=2)
    assert numbers.explanation is not None
    assert not all(one.known_share > 0 for one in numbers.explanation.links)
    gains = list(report._gains(texts_of("en"), numbers, report._Names(numbers, "en")))
    assert {one["link"] for one in gains} <= register.links.keys()
    assert len(gains) > 1


@pytest.mark.parametrize(
    ("english", "persian", "said"), [("", "گمرک", ("گمرک", "گمرک")), ("Customs", "", ("Customs", "Customs"))]
)
def test_an_agency_without_a_name_in_a_language_has_its_other_one(
    register: Register, english: str, persian: str, said: tuple[str, str]
) -> None:
    """A register needs one of the two names; one that was imported has no Persian names."""
    agencies = {name: replace(one, name_en=english, name_fa=persian) for name, one in register.agencies.items()}
    nothing = cast(Any, None)
    numbers = RoundNumbers(replace(register, agencies=agencies), nothing, nothing, (), None)
    assert tuple(report._Names(numbers, code).agency(next(iter(agencies))) for code in ("en", "fa")) == said


def test_agencies_stand_in_the_order_of_their_lower_bounds(dataset: LocalStorage, register: Register) -> None:
    """An agency may have the higher estimate because a fifth was not seen. That does not raise it (docs/method.md §5)."""
    numbers = compute_round(ArchivedEvidence(dataset), register, as_of=START + 86_400, window_days=2)
    one = numbers.rows(IndicatorKind.CONSUMER)[0]
    rows = [
        replace(one, id="a", point=1.0, lower=0.8, upper=1.0),
        replace(one, id="b", point=0.9, lower=0.9, upper=0.9),
        replace(one, id="c", point=None, lower=0.85, upper=1.0),
    ]
    shown = cast(Any, SimpleNamespace(rows=lambda _: rows, rankings=()))
    found = report._agencies(texts_of("en"), shown, report._Names(numbers, "en"), IndicatorKind.CONSUMER)
    assert [row["name"] for row in found] == ["b", "c", "a"]


@pytest.mark.parametrize(("code", "said"), [("en", "+0.0012"), ("fa", "+۰٫۰۰۱۲")])
def test_the_gain_of_one_link_of_many_is_not_written_as_none(
    dataset: LocalStorage, register: Register, code: str, said: str
) -> None:
    """In a large register the links that would raise the index most raise it by little, which is not nothing."""
    numbers = compute_round(ArchivedEvidence(dataset), register, as_of=START + 86_400, window_days=2)
    shown = cast(Any, SimpleNamespace(gains=(RepairGain("deed-tax", 0.0000123, 0.78),)))
    (row,) = report._gains(texts_of(code), shown, report._Names(numbers, code))
    assert row["gain"] == said


def test_losses_that_nobody_knows_are_not_written_as_none(dataset: LocalStorage, register: Register) -> None:
    """If nothing was seen, nothing is known to be lost. Five times 0.0 would say that all was answered."""
    numbers = compute_round(ArchivedEvidence(dataset), register, as_of=START + 86_400, window_days=2)
    assert len(list(report._losses(texts_of("en"), numbers))) == 5
    assert numbers.explanation is not None
    unseen = replace(numbers, explanation=replace(numbers.explanation, estimate=None))
    assert list(report._losses(texts_of("en"), unseen)) == []


@pytest.mark.parametrize(("outages", "assumed"), [(0, True), (1, True), (2, False), (None, False)])
def test_an_interval_says_when_it_rests_on_too_little(
    dataset: LocalStorage, register: Register, outages: int | None, assumed: bool
) -> None:
    """The lower end then follows from what was assumed (docs/method.md §6.12), on paper as on the console."""
    numbers = compute_round(ArchivedEvidence(dataset), register, as_of=START + 86_400, window_days=2)
    row = replace(numbers.government, interval=Interval(0.5, 0.9, 0.95, outages))
    for code, words in (("en", "mostly assumed"), ("fa", "فرض")):
        assert (words in report._interval(texts_of(code), row)) is assumed


@pytest.mark.parametrize(
    ("weakest", "resilience", "said"),
    [("civil", 0.25, "answered nobody, 25.0%"), ("", 0.25, "If the data bus failed, 25.0%"), ("", None, "")],
)
def test_a_report_says_what_one_failure_would_cost(
    dataset: LocalStorage, register: Register, weakest: str, resilience: float | None, said: str
) -> None:
    """The node on which most depends is an agency or the data bus; without anything that works there is none."""
    numbers = compute_round(ArchivedEvidence(dataset), register, as_of=START + 86_400, window_days=2)
    structure = replace(numbers.structure, weakest=weakest, resilience=resilience)
    lines = list(report._structure(texts_of("en"), replace(numbers, structure=structure), report._Names(numbers, "en")))
    assert said in lines[-1]
    assert any("would remain" in line for line in lines) == bool(said)

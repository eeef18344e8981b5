"""What the report of a round says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from services.cli.rounds import report
from services.cli.rounds.derived import RoundNumbers
from services.console.texts import texts_of
from services.core.model import Losses
from services.core.model.register import Register
from services.indicator.index.explain import Explanation, LinkCost
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["register"]


def test_no_gain_of_an_inquiry_that_nobody_saw_is_stated(register: Register) -> None:
    """The gain of a link without a known slot rests on what other links do."""
    seen, unseen = list(register.links)[:2]
    costs = tuple(
        LinkCost(name, 0.1, Losses(late=0.1), None, known, 0.9, 0.8) for name, known in [(unseen, 0.0), (seen, 1.0)]
    )
    nothing = cast(Any, None)
    numbers = RoundNumbers(register, nothing, nothing, (), Explanation(0.8, Losses(late=0.2), (), costs))
    gains = report._gains(texts_of("en"), numbers, report._Names(numbers, "en"))
    assert [one["link"] for one in gains] == [seen]


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

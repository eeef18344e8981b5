"""Indicators as messages."""

from __future__ import annotations

from dataclasses import replace

from services.core.codec.indicator import (
    decode_indicator,
    encode_indicators,
    indicator_from_message,
    indicator_to_message,
    structure_from_message,
    structure_to_message,
)
from services.core.model.indicator import (
    Indicator,
    IndicatorKind,
    Interval,
    Losses,
    RankBand,
    RankBasis,
    StrictShare,
)
from tests.support.cases.api.blocks import structure_of

LINK = Indicator(
    IndicatorKind.LINK, "l", 7, 600, 0.5, 0.4, 0.5, 1.0, Losses(late=0.5), interval=Interval(0.0, 1.0, 0.95)
)
AGENCY = replace(
    LINK,
    kind=IndicatorKind.CONSUMER,
    strict=StrictShare(None, 0.0, 1.0),
    interval=Interval(0.0, 1.0, 0.95, outages=0),
    rank_band=RankBand(1, 3, RankBasis.INTERVALS, 5),
    level=0,
)
EMPTY = replace(LINK, as_of=0, point=None, losses=Losses(), interval=None)


def test_indicators_encoded_together_are_those_encoded_alone() -> None:
    """Sharing memory changes nothing, whatever is unset or zero."""
    rows = [LINK, AGENCY, EMPTY, LINK]
    payloads = encode_indicators(rows)
    assert payloads == [indicator_to_message(row).SerializeToString() for row in rows]
    assert [decode_indicator(payload) for payload in payloads] == rows


def test_a_band_of_an_older_message_is_one_of_sensitivity() -> None:
    """Bands came from the sensitivity analysis before messages said where they come from."""
    message = indicator_to_message(AGENCY)
    message.rank_band.ClearField("basis")
    assert indicator_from_message(message).rank_band == RankBand(1, 3, RankBasis.SENSITIVITY, 5)


def test_a_structure_is_the_same_behind_its_message() -> None:
    """What does not apply, or is not publishable, is not zero behind the message."""
    structure = replace(structure_of(28), resilience=None, weakest="")
    assert structure_from_message(structure_to_message(structure)) == structure
    known = replace(structure, reciprocity=0.0, silo_gap=-0.1, resilience=1.0, weakest="a")
    assert structure_from_message(structure_to_message(known)) == known

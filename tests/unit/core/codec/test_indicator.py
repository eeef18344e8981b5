"""Indicators as messages."""

from __future__ import annotations

from dataclasses import replace

from services.core.codec.indicator import (
    decode_indicator,
    encode_indicators,
    indicator_from_message,
    indicator_to_message,
)
from services.core.model.indicator import Indicator, IndicatorKind, Interval, Losses, RankBand, RankBasis, StrictShare

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

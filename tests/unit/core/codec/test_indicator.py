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
    ProviderRole,
    RankBand,
    RankBasis,
    SetIndex,
    StrictShare,
    Structure,
)

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
    structure = Structure(
        window_days=28,
        pairs_required=4,
        pairs_working=3,
        pairs_absent=1,
        pairs_unknown=0,
        pair_coverage=0.75,
        pair_coverage_upper=0.75,
        pair_coverage_weighted=0.7,
        pair_coverage_weighted_upper=0.7,
        isolates=("c",),
        islands=(("a", "b"), ("c",)),
        fragmentation=0.1,
        fragmentation_lower=0.05,
        reciprocity=None,
        within_sectors=SetIndex(3, None, 0.1, 0.9, 0.5),
        across_sectors=SetIndex(2, 0.5, 0.4, 0.6, 0.9),
        silo_gap=None,
        provider_concentration=0.3,
        providers=(ProviderRole("a", 2, 0.5, 0.1, 0.2),),
        bus_links=1,
        bus_strict_loss=0.1,
        resilience=None,
        weakest="",
        declared=0.9,
        as_of=600,
        register_version="r",
        method_version="m",
        evidence_sequence=7,
    )
    assert structure_from_message(structure_to_message(structure)) == structure
    known = replace(structure, reciprocity=0.0, silo_gap=-0.1, resilience=1.0, weakest="a")
    assert structure_from_message(structure_to_message(known)) == known

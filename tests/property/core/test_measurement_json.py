"""Measurements from JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.codec import measurement_from_json, measurement_to_json
from services.core.codec.measurement_json import _parse_any_form, _parse_own_form
from services.core.model.measurement import Measurement, Phases, Target
from services.core.model.outcome import OUTCOME_OF, Reason

seconds = st.none() | st.integers(0, 10**12).map(lambda micros: micros / 1e6)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    reason = draw(st.sampled_from(Reason))
    return Measurement(
        target=Target(draw(texts), endpoint=draw(st.booleans())),
        vantage=draw(texts.filter(bool)),
        slot_start=draw(st.integers(-(10**9), 4 * 10**9)),
        time=draw(st.none() | st.integers(-(10**15), 4 * 10**15).map(lambda micros: micros / 1e6)),
        outcome=OUTCOME_OF[reason],
        reason=reason,
        latency=draw(seconds),
        data_age=draw(seconds),
        phases=Phases(*(draw(seconds) for _ in range(5))),
        certificate_expiry=draw(st.none() | st.integers(0, 4 * 10**9)),
        detail=draw(texts),
        register_version=draw(texts),
        probe_version=draw(texts),
        prober=draw(texts),
        stored=draw(st.none() | st.integers(0, 4 * 10**15).map(lambda micros: micros / 1e6)),
        sequence=draw(st.integers(0, 2**64 - 1)),
    )


@settings(max_examples=300)
@given(measurements())
def test_what_we_write_is_read_back_both_ways(row: Measurement) -> None:
    """The fast parser and protobuf's parser both return the measurement that was written."""
    line = measurement_to_json(row)
    assert measurement_from_json(line) == _parse_any_form(line) == row


GOOD = json.loads(
    measurement_to_json(
        Measurement(Target("a"), "north", 300, 300.25, OUTCOME_OF[Reason.OK], Reason.OK, 0.5, 7.0, Phases(0.1))
    )
)
VALUES: list[Any] = [
    *(
        None,
        "",
        0,
        1.5,
        True,
        [],
        {},
        "a",
        "1s",
        "-1s",
        "1.5s",
        "1e3s",
        "0.0000001s",
        "99999999999999s",
        "OUTCOME_LATE",
    ),
    *(
        "REASON_LATE",
        "2026-03-01T00:05:00Z",
        "2026-03-01T00:05:00.1Z",
        "2026-03-01T00:05:00+03:30",
        "2026-02-30T00:00:00Z",
    ),
    *(
        "2026-03-01 00:05:00Z",
        "1900-01-01T00:00:00.250Z",
        "٢٠٢٦-03-01T00:05:00Z",
        {"resolve": "1s", "other": "1s"},
        'x": ',
    ),
]


def read(way: Callable[[str], Measurement], line: str) -> Measurement | str:
    """Return the measurement, or why it is refused."""
    try:
        return way(line)
    except ValueError as error:
        return str(error)


@settings(max_examples=500)
@given(st.sampled_from([*GOOD, "endpoint", "slotStart", "detail", "x"]), st.sampled_from(VALUES), st.booleans())
def test_any_other_line_means_what_protobuf_says(name: str, value: Any, twice: bool) -> None:
    """A line with one change, or a repeated name, is read or refused as protobuf's parser does."""
    line = json.dumps({**GOOD, name: value}, ensure_ascii=False)
    if twice:
        line = f"{line[:-1]}, {json.dumps(name)}: {json.dumps(value)}}}"
    assert read(measurement_from_json, line) == read(_parse_any_form, line)


def test_our_own_lines_are_read_the_quick_way() -> None:
    """A line in our own form does not fall back to the slow parser."""
    assert _parse_own_form(json.dumps(GOOD)).target == Target("a")

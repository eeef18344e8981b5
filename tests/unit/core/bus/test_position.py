"""When reading a stream may continue, and when messages are missing."""

from __future__ import annotations

from math import inf

import pytest

from services.core.bus.position import StreamBounds, missing_messages, resume
from services.core.errors import GapError
from services.core.model import StreamPosition

REMEDY = "start once with --accept-gap yes to go on without them: what is gone stays unknown"
EPOCH = 1_000.0


def go(
    position: StreamPosition | None, kept: StreamBounds, *, accept: bool = False, stored: float = inf
) -> StreamPosition:
    return resume("MEASUREMENTS", position, kept, needed_from=EPOCH, accept=accept, stored=stored)


def at(sequence: int, created: str = "monday") -> StreamPosition:
    return StreamPosition("MEASUREMENTS", created, sequence)


@pytest.mark.parametrize(
    ("position", "kept", "start"),
    [
        (None, StreamBounds("monday", 0, 0, None), 0),
        (None, StreamBounds("monday", 1, 9, 5_000.0), 0),
        (at(5), StreamBounds("monday", 1, 9, 5_000.0), 5),
        (at(5), StreamBounds("monday", 6, 9, 5_000.0), 5),
        (at(9), StreamBounds("monday", 1, 9, 5_000.0), 9),
        (at(9), StreamBounds("monday", 10, 9, None), 9),
        (None, StreamBounds("monday", 7, 9, EPOCH), 6),
        (at(3), StreamBounds("monday", 7, 9, EPOCH - 1), 6),
    ],
)
def test_no_harmful_gap(position: StreamPosition | None, kept: StreamBounds, start: int) -> None:
    """Reading continues if nothing is missing, or only messages stored before the epoch."""
    assert go(position, kept) == StreamPosition("MEASUREMENTS", "monday", start)


@pytest.mark.parametrize(
    ("position", "kept", "sentence"),
    [
        (
            None,
            StreamBounds("monday", 7, 9, 5_000.0),
            f"messages 1 to 6 of stream MEASUREMENTS are gone, not taken in: {REMEDY}",
        ),
        (
            None,
            StreamBounds("monday", 7, 6, None),
            f"messages 1 to 6 of stream MEASUREMENTS are gone, not taken in: {REMEDY}",
        ),
        (
            at(3),
            StreamBounds("monday", 7, 9, 5_000.0),
            f"messages 4 to 6 of stream MEASUREMENTS are gone, not taken in: {REMEDY}",
        ),
        (
            at(3),
            StreamBounds("tuesday", 1, 9, EPOCH - 1),
            (
                "stream MEASUREMENTS was created anew at tuesday, after messages up to 3 of the one "
                f"created at monday were taken in; what came after them is gone: {REMEDY}"
            ),
        ),
        (
            at(12),
            StreamBounds("monday", 1, 9, 5_000.0),
            (
                "stream MEASUREMENTS ends at message 9, but messages up to 12 were taken in: the bus has lost its "
                f"latest messages and numbers new ones like them: {REMEDY}"
            ),
        ),
    ],
)
def test_gap_is_refused(position: StreamPosition | None, kept: StreamBounds, sentence: str) -> None:
    """A gap that may matter is refused with the missing messages. If accepted, reading begins at the first one left."""
    with pytest.raises(GapError) as caught:
        go(position, kept)
    assert str(caught.value) == sentence
    assert go(position, kept, accept=True) == StreamPosition("MEASUREMENTS", kept.created, kept.first - 1)


def test_missing_messages_are_named() -> None:
    """Missing messages in between are named by their numbers."""
    assert (
        str(missing_messages("EXCHANGES", 4, 7))
        == f"messages 5 to 6 of stream EXCHANGES are gone, not taken in: {REMEDY}"
    )


RESTORED = "2026-11-25T04:40:42.125040744Z"
MOMENT = 1795581642.125  # the same in epoch seconds, cut to milliseconds


def test_a_restored_stream_goes_on_where_it_was_taken_in() -> None:
    """A recreated stream that holds the message at the position, stored before its creation, was restored from a
    backup.
    """
    assert go(at(5), StreamBounds(RESTORED, 1, 9, 5_000.0, taken=MOMENT - 60)) == StreamPosition(
        "MEASUREMENTS", RESTORED, 5
    )


@pytest.mark.parametrize("taken", [None, MOMENT + 1])
def test_a_stream_that_reached_the_position_by_new_messages_is_not_the_same(taken: float | None) -> None:
    """A message stored after the creation is another one with the same number, and a missing one proves nothing."""
    with pytest.raises(GapError, match="was created anew at"):
        go(at(5), StreamBounds(RESTORED, 1, 9, 5_000.0, taken=taken))


def test_a_stream_that_gave_the_number_again_is_not_the_same() -> None:
    """A restored stream may have grown past the position: the message there was stored after all that were taken in."""
    kept = StreamBounds("monday", 1, 9, 5_000.0, taken=7_000.0)
    assert go(at(5), kept, stored=7_000.0) == at(5)
    with pytest.raises(GapError) as caught:
        go(at(5), kept, stored=6_999.0)
    assert str(caught.value) == (
        "stream MEASUREMENTS has another message 5 than the one taken in: the bus has lost its latest messages and "
        f"numbers new ones like them: {REMEDY}"
    )
    assert go(at(5), kept, stored=6_999.0, accept=True) == at(0)

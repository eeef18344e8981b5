"""Values split into parts are joined whole or not at all."""

from __future__ import annotations

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.errors import ServiceUnavailableError

from services.core.bus import messages as parts
from services.core.bus.messages import MAX_VALUE_BYTES, ValueParts, error_text, join_parts, key_of_part, split_value

SIZES = (0, 1, MAX_VALUE_BYTES - 1, MAX_VALUE_BYTES, MAX_VALUE_BYTES + 1, 3 * MAX_VALUE_BYTES)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_cut_is_joined(size: int) -> None:
    """Any value is joined from its parts, and each part fits a message."""
    value = b"\xa5" * size
    found, some = ValueParts.of(value), split_value(value)
    assert ValueParts.parse(found.header) == found
    assert len(some) == found.count == len(set(found.keys("consumer.a")))
    assert all(len(part) <= MAX_VALUE_BYTES for part in some)
    assert join_parts(found, some) == value


@given(value=st.binary(min_size=2, max_size=40), other=st.binary(min_size=2, max_size=40), data=st.data())
def test_nothing_but_the_value_itself_is_joined(value: bytes, other: bytes, data: st.DataObject) -> None:
    """Parts that are missing, of another value or in another order give no value."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MAX_VALUE_BYTES", 7)
        found, some = ValueParts.of(value), split_value(value)
        at = data.draw(st.integers(0, len(some) - 1))
        assert join_parts(found, [*some[:at], None, *some[at + 1 :]]) is None
        mixed = data.draw(st.permutations(some + split_value(other)))[: len(some)]
        assert join_parts(found, mixed) == (value if b"".join(mixed) == value else None)


@pytest.mark.parametrize("header", ["", "3-1", "x-1-" + "0" * 64, "99999-1-" + "0" * 64, "1-1-" + "0" * 63, "1-1-\n"])
def test_a_header_that_nobody_can_read_names_no_value(header: str) -> None:
    """An unreadable header names no part, and no contents join to its value."""
    found = ValueParts.parse(header)
    assert found.keys("government") == []
    assert join_parts(found, []) is None


def test_parts_tell_whose_they_are() -> None:
    """Keys of parts lead back to the key, and differ between values."""
    one, other = ValueParts.of(b"1").keys("consumer.a"), ValueParts.of(b"2").keys("consumer.a")
    assert {key_of_part(part) for part in one + other} == {"consumer.a"}
    assert not {*one} & {*other}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (nats.errors.NoRespondersError(), "no stream listens there; has `peyvand bus init` run?"),
        (TimeoutError(), "no answer in time"),
        (nats.errors.ConnectionClosedError(), "nats: connection closed"),
        (
            ServiceUnavailableError(code=503, err_code=10077, description="maximum bytes exceeded"),
            (
                "its stream is full (maximum bytes exceeded); make room on the disk of the bus, then restart `peyvand up` or "
                "raise the limit with `peyvand bus init --storage`"
            ),
        ),
    ],
)
def test_errors_of_the_bus_are_said_in_words(error: BaseException, said: str) -> None:
    """An error says what failed and, where a person can help, what to do."""
    assert error_text(error) == said

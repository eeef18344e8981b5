"""Readers of outside text as `make fuzz` calls them: valid input is read, and damaged input does not crash them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.all_readers import READERS
from tests.fuzz.damage import damaged
from tests.fuzz.reader import Reader, finding_of

_EXAMPLES = 25


@pytest.mark.parametrize("reader", READERS.values(), ids=lambda reader: reader.name)
def test_what_is_whole_is_read(reader: Reader) -> None:
    """Each seed is read, not refused: the fuzzer starts from valid input."""
    seeds = list(reader.seeds())
    assert seeds
    for seed in seeds:
        reader.read(seed)


@pytest.mark.parametrize("reader", READERS.values(), ids=lambda reader: reader.name)
def test_damage_is_no_finding(reader: Reader) -> None:
    """Each reader reads or refuses damaged input."""
    seeds = list(reader.seeds())

    @settings(max_examples=_EXAMPLES)
    @given(st.sampled_from(seeds).flatmap(damaged))
    def take(data: bytes) -> None:
        assert finding_of(reader, data) is None

    take()

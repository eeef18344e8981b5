"""Blocks that the read model keeps in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.api.errors import NotApplicableError, UnavailableError
from services.api.model import ReadModel, RegisterView, agency_block_key, read_model
from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY
from services.core.model import IndicatorKind, Register
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.registers import write_register
from tests.support.values.block_columns import encoded


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return load_register(write_register(tmp_path_factory.mktemp("register")))


def test_blocks_are_kept_packed(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most recently used blocks stay parsed, up to a number of rows; replaced blocks do not."""
    model = ReadModel()
    model.replace_register(RegisterView(register))
    blocks = {key: BlockReader.of(encoded(block)) for key, block in blocks_of(register).items()}
    for key, block in blocks.items():
        model.replace_block(key, block)
        block.forget()

    def parsed() -> list[str]:
        return [key for key, block in model.blocks.items() if "_kept" in vars(block)]

    assert parsed() == []
    consumers = [agency for agency in sorted(register.agencies) if agency_block_key(agency) in blocks]
    first, *others = consumers
    assert len(others) > 1
    monkeypatch.setattr(read_model, "_PARSED_ROWS", sum(len(blocks[agency_block_key(agency)]) for agency in others))
    for agency in consumers:
        assert model.get(IndicatorKind.CONSUMER, agency, 28).message.id == agency
    assert sorted(parsed()) == [agency_block_key(agency) for agency in others]
    again = model.get(IndicatorKind.CONSUMER, first, 7).message
    assert (again.id, again.window_days) == (first, 7)
    assert agency_block_key(first) in parsed()
    before = blocks[agency_block_key(first)]
    model.replace_block(agency_block_key(first), BlockReader.of(encoded(blocks_of(register)[agency_block_key(first)])))
    assert "_kept" not in vars(before)


def test_without_a_link_in_force_there_is_no_index(register: Register) -> None:
    """When no link is in force any more, nothing of the index stays, and the api serves what there is."""
    ended = {name: replace(link, required_until=date(2020, 1, 1)) for name, link in register.links.items()}
    model = ReadModel()
    blocks = {key: BlockReader.of(encoded(block)) for key, block in blocks_of(register).items()}
    government = blocks.pop(GOVERNMENT_KEY)
    model.replace_register(RegisterView(register))
    for key, block in blocks.items():
        model.replace_block(key, block)
    assert not model.complete
    with pytest.raises(UnavailableError):
        model.get(IndicatorKind.GOVERNMENT, "", 28)
    model.replace_block(GOVERNMENT_KEY, government)
    assert model.complete
    assert model.whole

    model.replace_register(RegisterView(replace(register, links=ended)))
    model.replace_block(GOVERNMENT_KEY, None)
    assert model.complete
    assert not model.whole
    with pytest.raises(NotApplicableError):
        model.get(IndicatorKind.GOVERNMENT, "", 28)


@pytest.mark.parametrize(
    ("required_from", "required_until", "expected"),
    [
        (None, None, True),
        (date(2026, 9, 21), None, True),
        (date(2026, 9, 22), None, False),
        (None, date(2026, 6, 24), True),
        (None, date(2026, 6, 23), False),
    ],
)
def test_an_index_exists_while_a_window_has_a_day_of_a_link(
    register: Register, required_from: date | None, required_until: date | None, expected: bool
) -> None:
    """A link that was in force on any day of the longest window has an index, unless it weighs nothing."""
    links = {
        name: replace(link, required_from=required_from, required_until=required_until)
        for name, link in register.links.items()
    }
    view = RegisterView(replace(register, links=links))
    assert view.has_index(AS_OF) is expected
    weightless = {name: replace(link, weight=0.0) for name, link in links.items()}
    assert not RegisterView(replace(register, links=weightless)).has_index(AS_OF)


@pytest.mark.parametrize(
    ("required_from", "epoch", "served"),
    [
        (date(2026, 9, 21), None, False),
        (date(2026, 9, 22), None, True),
        (None, datetime(2027, 1, 1, tzinfo=UTC), False),
    ],
)
def test_a_register_of_which_nothing_is_published_is_served(
    register: Register, required_from: date | None, epoch: datetime | None, served: bool
) -> None:
    """Without an endpoint and a link in force no block ever comes, so the api serves at once and says that there is no index."""
    links = {name: replace(link, required_from=required_from) for name, link in register.links.items()}
    policy = register.policy if epoch is None else replace(register.policy, epoch=epoch)
    given = replace(register, links=links, endpoints={}, policy=policy)
    model = ReadModel()
    model.replace_register(RegisterView(given))
    assert not model.complete
    model.replace_register(RegisterView(given, published=AS_OF))
    assert model.complete is served
    with pytest.raises(NotApplicableError if served else UnavailableError):
        model.get(IndicatorKind.GOVERNMENT, "", 28)

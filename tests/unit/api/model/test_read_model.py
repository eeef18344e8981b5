"""Blocks that the read model keeps in memory."""

from __future__ import annotations

import pytest

from services.api.model import ReadModel, RegisterView, read_model
from services.core.blocks import BlockReader
from services.core.bus import consumer_key
from services.core.model import IndicatorKind, Register
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import blocks_of
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
    consumers = [agency for agency in sorted(register.agencies) if consumer_key(agency) in blocks]
    first, *others = consumers
    assert len(others) > 1
    monkeypatch.setattr(read_model, "_PARSED_ROWS", sum(len(blocks[consumer_key(agency)]) for agency in others))
    for agency in consumers:
        assert model.get(IndicatorKind.CONSUMER, agency, 28).message.id == agency
    assert sorted(parsed()) == [consumer_key(agency) for agency in others]
    again = model.get(IndicatorKind.CONSUMER, first, 7).message
    assert (again.id, again.window_days) == (first, 7)
    assert consumer_key(first) in parsed()
    before = blocks[consumer_key(first)]
    model.replace_block(consumer_key(first), BlockReader.of(encoded(blocks_of(register)[consumer_key(first)])))
    assert "_kept" not in vars(before)

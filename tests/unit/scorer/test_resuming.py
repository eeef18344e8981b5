"""A session freezes the objects of a register that it compiled."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.register.directory.load import load_register
from services.scorer.resuming import compiled_register
from tests.support.registers import write_register


@pytest.fixture
def thawed() -> Iterator[None]:
    """A garbage collector without frozen objects, before and after."""
    gc.unfreeze()
    yield
    gc.unfreeze()


async def test_garbage_collection_skips_the_register(tmp_path: Path, thawed: None) -> None:
    """The garbage collector skips a compiled register and everything derived from it."""
    register = load_register(write_register(tmp_path / "register"))
    own = {id(register.links), id(register.agencies)}
    assert own <= {id(one) for one in gc.get_objects()}, "until then it does look"
    adopted = await compiled_register(register)
    assert gc.get_freeze_count() > 0
    gc.collect()
    own |= {id(adopted), id(adopted.arrays), id(adopted.network), id(adopted.members)}
    assert own.isdisjoint(id(one) for one in gc.get_objects())

"""What a session does with a register besides judging by it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.register.directory.load import load_register
from services.scorer.session import _compiled
from tests.support.registers import write_register


@pytest.fixture
def thawed() -> Iterator[None]:
    """The collector of a process in which nothing else was kept out of its sight, nor is afterwards."""
    gc.unfreeze()
    yield
    gc.unfreeze()


async def test_full_collections_do_not_look_at_the_register(tmp_path: Path, thawed: None) -> None:
    """Once a register is adopted the garbage collector passes over it and all that was worked out of it."""
    register = load_register(write_register(tmp_path / "register"))
    own = {id(register.links), id(register.agencies)}
    assert own <= {id(one) for one in gc.get_objects()}, "until then it does look"
    adopted = await _compiled(register)
    assert gc.get_freeze_count() > 0
    gc.collect()
    own |= {id(adopted), id(adopted.arrays), id(adopted.network), id(adopted.members)}
    assert own.isdisjoint(id(one) for one in gc.get_objects())

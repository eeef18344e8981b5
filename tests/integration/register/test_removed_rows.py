"""The rows that registers have removed, on a real bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.core.bus.messages import StoredMessage
from services.core.bus.names import REGISTER_BUCKET
from services.core.errors import BusError
from services.core.model import Register
from services.register.bus.publish import publish_register
from services.register.bus.read import CURRENT_KEY, REMOVED_KEY, read_manifest, read_register
from services.register.directory.load import load_register
from services.register.versions import with_versions
from tests.support.registers import write_register

_DROPPED = "rows of ids that were removed earlier are damaged on the bus, and this publication drops"


async def test_removed_rows_are_put_only_when_more_are_removed(nats: Any, tmp_path: Path) -> None:
    """A publication that removes nothing leaves key `removed` as it is, and keeps its chunks."""
    link = "transfer-customs,title-transfer,customs,liens,,,,,,,,,,,\n"
    whole = load_register(write_register(tmp_path / "whole"))
    without = load_register(write_register(tmp_path / "without", links_csv=(link, "")))
    tax = without.links["deed-tax"]
    others = [
        with_versions(replace(without, links={**without.links, tax.id: replace(tax, weight=w)})) for w in (5.0, 6.0)
    ]
    last: StoredMessage | None = None
    puts: list[bool] = []
    async with nats.connect("register") as bus:
        for number, register in enumerate((whole, without, *others)):
            await publish_register(bus, register, now=float(number))
            before, last = last, await bus.kv_last(REGISTER_BUCKET, REMOVED_KEY)
            puts.append(before != last)
            removed = await read_register(bus, REMOVED_KEY)
            assert list(removed.links if removed else ()) == (["transfer-customs"] if number else [])
    assert puts == [False, True, False, False]


async def test_damaged_rows_of_removed_ids_are_dropped_with_a_warning(
    nats: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A publication that drops them says so once and logs it; it keeps what itself and the one before removed. One that
    fails before says nothing.
    """
    registers = _registers_with_fewer_links(tmp_path)
    told: list[str] = []
    async with nats.connect("register") as bus:
        for number, register in enumerate(registers[:3]):
            await publish_register(bus, register, now=float(number), tell=told.append)
        manifest = await read_manifest(bus, REMOVED_KEY)
        assert manifest is not None
        await bus.kv_put(REGISTER_BUCKET, manifest.chunks[0].key, b"damaged")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bus, "kv_put", partial(_put_but_removed, bus.kv_put))
            with pytest.raises(BusError, match="no answer"):
                await publish_register(bus, registers[3], now=3.0, tell=told.append)
        assert told == []
        assert await publish_register(bus, registers[3], now=3.0, tell=told.append)
        removed = await read_register(bus, REMOVED_KEY)
        assert removed is not None
        assert sorted(removed.links) == ["deed-civil", "permit-tax"]
        assert await publish_register(bus, registers[2], now=4.0, tell=told.append)
    (sentence,) = told
    assert sentence.startswith(_DROPPED)
    assert capsys.readouterr().out.count("removed_rows_dropped") == 1


async def test_a_repair_drops_no_rows_of_removed_ids(nats: Any, tmp_path: Path) -> None:
    """If their manifest is damaged, publishing the register in force again keeps their chunks. The next register drops
    them and says so.
    """
    registers = _registers_with_fewer_links(tmp_path)
    told: list[str] = []
    async with nats.connect("register") as bus:
        for number, register in enumerate(registers[:3]):
            await publish_register(bus, register, now=float(number), tell=told.append)
        in_force, manifest = await read_manifest(bus, CURRENT_KEY), await read_manifest(bus, REMOVED_KEY)
        assert in_force is not None
        assert manifest is not None
        await bus.kv_put(REGISTER_BUCKET, REMOVED_KEY, b"damaged")
        await bus.kv_put(REGISTER_BUCKET, in_force.chunks[0].key, b"damaged")
        assert await publish_register(bus, registers[2], now=3.0, tell=told.append)
        assert await read_register(bus, CURRENT_KEY) == registers[2]
        assert [await bus.kv_get(REGISTER_BUCKET, chunk.key) is None for chunk in manifest.chunks] == [False]
        assert told == []
        assert await publish_register(bus, registers[3], now=4.0, tell=told.append)
        assert [await bus.kv_get(REGISTER_BUCKET, chunk.key) for chunk in manifest.chunks] == [None]
    (sentence,) = told
    assert sentence.startswith(_DROPPED)


def _registers_with_fewer_links(folder: Path) -> list[Register]:
    """Return four registers, each without a link that the one before has."""
    registers = [load_register(write_register(folder / "whole"))]
    for link in ("transfer-customs", "permit-tax", "deed-civil"):
        links = {name: row for name, row in registers[-1].links.items() if name != link}
        registers.append(with_versions(replace(registers[-1], links=links)))
    return registers


async def _put_but_removed(put: Callable[..., Awaitable[int]], bucket: str, key: str, value: bytes) -> int:
    """Put a value, unless it is the manifest of removed rows: the bus does not answer then."""
    if key == REMOVED_KEY:
        raise BusError("no answer")
    return await put(bucket, key, value)

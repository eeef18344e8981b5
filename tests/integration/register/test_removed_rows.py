"""The rows that registers have removed, on a real bus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from services.core.bus.messages import StoredMessage
from services.core.bus.names import REGISTER_BUCKET
from services.register.bus.publish import publish_register
from services.register.bus.read import REMOVED_KEY, read_register
from services.register.directory.load import load_register
from services.register.versions import with_versions
from tests.support.registers import write_register


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

"""Registers with values too large for one message of the bus: repaired when damaged, and removed with all their parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.core.bus import Bus, buckets
from services.core.bus.messages import MAX_VALUE_BYTES, PARTS_PATTERN, ValueParts
from services.core.bus.names import REGISTER_BUCKET, kv_stream, kv_subject
from services.core.model import Register
from services.register.bus.chunks import split_register
from services.register.bus.publish import publish_register
from services.register.bus.read import UnverifiedError
from services.register.directory.load import load_register
from tests.support.cases.registers.published import register_in_force
from tests.support.registers import write_register


def _large_register(directory: Path, letter: str) -> Register:
    """Return a register with one test record that fills more than one message."""
    return load_register(write_register(directory / letter, links_csv=("0000000002", letter * (MAX_VALUE_BYTES + 1))))


def _parts_of(register: Register) -> set[str]:
    return {
        part
        for chunk, content in split_register(register).items()
        if len(content) > MAX_VALUE_BYTES
        for part in ValueParts.of(content).keys(chunk.key)
    }


async def _stored_parts(bus: Bus) -> set[str]:
    prefix = kv_subject(REGISTER_BUCKET, "")
    messages = await bus.read(kv_stream(REGISTER_BUCKET), 1, pattern=kv_subject(REGISTER_BUCKET, PARTS_PATTERN))
    return {message.subject.removeprefix(prefix) for message in messages if not message.deleted}


async def test_a_torn_chunk_is_refused_and_repaired(nats: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk with a damaged part is refused like any other damaged chunk; publishing again repairs it."""
    monkeypatch.setattr("services.register.bus.read._ATTEMPTS", 1)
    monkeypatch.setattr(buckets, "RETRY_SECONDS", 0.01)
    register = _large_register(tmp_path, "a")
    async with nats.connect("register") as bus:
        await publish_register(bus, register, now=0.0)
        await bus.kv_put(REGISTER_BUCKET, min(_parts_of(register)), b"damaged")
        with pytest.raises(UnverifiedError, match="publish the register again"):
            await register_in_force(bus)
        assert await publish_register(bus, register, now=1.0)
        assert await register_in_force(bus) == register


async def test_nothing_is_left_of_a_torn_chunk(nats: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes remove the chunks of an old version with all their parts, even if a part is damaged."""
    monkeypatch.setattr(buckets, "RETRY_SECONDS", 0.01)
    versions = [_large_register(tmp_path, letter) for letter in "abc"]
    for number, register in enumerate(versions):
        async with nats.connect("register") as bus:
            assert await publish_register(bus, register, now=float(number))
            if number == 0:
                await bus.kv_put(REGISTER_BUCKET, min(_parts_of(register)), b"damaged")
    async with nats.connect("register") as bus:
        assert await _stored_parts(bus) == _parts_of(versions[1]) | _parts_of(versions[2])
        assert await register_in_force(bus) == versions[2]

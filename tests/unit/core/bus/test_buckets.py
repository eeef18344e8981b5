"""Following a bucket whose replicas answer, each as far as it has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from unittest.mock import Mock

import pytest

from services.core.bus import Bus, StoredMessage, buckets
from services.core.bus.messages import MAX_VALUE_BYTES, ValueParts, split_value

BUCKET, KEY = "indicator", "government"
VALUE = b"x" * (MAX_VALUE_BYTES + 1)
PARTS = ValueParts.of(VALUE)
STORED = {
    **{key: StoredMessage(6, key, part, 0.0) for key, part in zip(PARTS.keys(KEY), split_value(VALUE), strict=True)},
    KEY: StoredMessage(8, KEY, b"", 0.0, parts=PARTS),
}
SMALL = StoredMessage(9, KEY, b"small", 0.0)


def bus_with(*replicas: dict[str, StoredMessage], monkeypatch: pytest.MonkeyPatch) -> Bus:
    """Return a bus that announces the large value and then the small one; the replicas answer in turn, the last for good."""
    bus, left = Bus(Mock(), "api", Mock()), list(replicas)

    async def follow(*_: object, **__: object) -> AsyncIterator[StoredMessage]:
        yield STORED[KEY]
        yield SMALL

    async def kv_last(_: str, key: str) -> StoredMessage | None:
        return (left.pop(0) if len(left) > 1 else left[0]).get(key)

    monkeypatch.setattr(bus, "follow", follow)
    monkeypatch.setattr(bus, "kv_last", kv_last)
    monkeypatch.setattr(buckets, "RETRY_SECONDS", 0.0)
    return bus


@pytest.mark.parametrize("before", [{}, {KEY: StoredMessage(3, KEY, b"before", 0.0)}])
async def test_a_replica_that_lags_behind_hides_no_value(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, StoredMessage]
) -> None:
    """A large value is followed even if a replica that has neither its parts nor its key is asked for them first."""
    bus = bus_with(*[before] * 6, STORED, monkeypatch=monkeypatch)
    assert [value async for value in bus.kv_follow(BUCKET)] == [(KEY, VALUE), (KEY, b"small")]


async def test_a_value_that_was_replaced_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large value whose parts are gone because it was replaced is not waited for."""
    bus = bus_with({KEY: SMALL}, monkeypatch=monkeypatch)
    monkeypatch.setattr(buckets, "RETRY_SECONDS", float("inf"))
    assert [value async for value in bus.kv_follow(BUCKET)] == [(KEY, b"small")]

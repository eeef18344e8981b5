"""A segment that is damaged before its day is sealed is read again from the stream."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.dataset.days import verify
from tests.support.cases.archive import Archive, publish, sealed, streams_of, undisturbed
from tests.support.nats import Nats

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "zeroed": lambda content: bytes(len(content)),
    "flipped": lambda content: content[:40] + bytes([content[40] ^ 16]) + content[41:],
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["measurement", "batch"])
async def test_a_damaged_segment_is_read_again(archive: Archive, nats: Nats, damage: str, kind: str) -> None:
    """After the next start what is sealed is what an archive seals that nothing disturbed."""
    archive.start()
    for number in range(3):
        await publish(nats, number)
        streams, created = await streams_of(nats)
        await archive.has(streams)
    archive.components.kill("archive")
    names = [name for name in archive.storage.names(f"open/{kind}") if name.endswith(".parquet")]
    archive.storage.write(names[0], DAMAGES[damage](archive.storage.read(names[0])))

    archive.start()

    def read_again() -> bool:
        found = [name for name in archive.storage.names(f"open/{kind}") if name.endswith(".parquet")]
        return bool(found) and names[0] not in found

    await archive.components.until(read_again, "the messages of the segment, and those after them, were read again")
    await archive.has(streams)
    archive.end_of_day()
    await archive.sealed()
    assert verify(archive.storage, archive.key.public) == []
    assert sealed(archive.storage) == undisturbed(archive, streams, created)

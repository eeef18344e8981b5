"""A ledger whose file is damaged begins anew, and the damaged file stays beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.collector.ledger.ledger import Ledger
from tests.support.cases.ledger import NOW, SLOT_SECONDS, batch, both, counts, raw

__all__ = ["both", "raw"]  # fixtures

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "zeroed": lambda content: bytes(len(content)),
    "truncated": lambda content: content[: len(content) // 2],
    "overwritten": lambda content: content[:8192] + b"\xff" * (len(content) - 8192),
    "no database": lambda _content: b"nothing of the kind" * 100,
}


def opened(path: Path) -> Ledger:
    return Ledger(path, SLOT_SECONDS, now_ms=NOW)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_begins_anew(tmp_path: Path, both, damage: str) -> None:
    """The file is set aside, and what is read again is counted as if it had never been read."""
    path = tmp_path / "collector.sqlite"
    records = [record for number in range(400) for record in both(xRequestId=f"x-{number}")]
    with opened(path) as ledger:
        ledger.take("a", batch(*records), now_ms=NOW)
        before = counts(ledger)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))

    with opened(path) as ledger:
        assert counts(ledger) == {}
        ledger.take("a", batch(*records), now_ms=NOW)
        assert counts(ledger) == before
    assert (tmp_path / "collector.sqlite.damaged").exists()
    with opened(path) as ledger:
        assert counts(ledger) == before

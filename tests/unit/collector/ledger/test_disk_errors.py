"""A disk that fails ends the collector with one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest
from rocksdict import Rdict, WriteBatch, WriteOptions

from services.collector.ledger.executor import LedgerExecutor
from services.collector.ledger.ledger import Ledger
from services.collector.ledger.requests import Requests
from services.collector.ledger.sides import StoredRequest
from services.collector.records import ReplayTimeline
from services.core.errors import StateError
from tests.support.cases.ledger import NOW, SLOT_SECONDS, batch, raw

__all__ = ["raw"]  # the fixture

USES: dict[str, Callable[[Ledger, Any], object]] = {
    "position": lambda ledger, _record: ledger.position("log"),
    "take": lambda ledger, record: ledger.take("log", batch(record), now_ms=NOW),
    "unpublished": lambda ledger, _record: ledger.unpublished(10),
    "acknowledge": lambda ledger, _record: ledger.acknowledge([], 1),
    "publish_again": lambda ledger, _record: ledger.publish_again(1),
    "replay": lambda ledger, _record: ledger.replay("log", ReplayTimeline()),
    "summaries": lambda ledger, _record: list(ledger.summaries()),
    "totals": lambda ledger, _record: ledger.totals(),
}


class BrokenDatabase:
    """A database whose file fails in one way, in the middle of a transaction."""

    in_transaction = True

    def __init__(self, code: int, reason: str) -> None:
        self._error = sqlite3.DatabaseError(reason)
        self._error.sqlite_errorcode = code

    def execute(self, *_args: object) -> None:
        raise self._error

    executemany = execute


@contextmanager
def broken(path: Path, code: int, reason: str) -> Iterator[Ledger]:
    """A new ledger whose file fails from now on."""
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        whole, ledger._database = ledger._database, cast(sqlite3.Connection, BrokenDatabase(code, reason))
        try:
            yield ledger
        finally:
            ledger._database = whole


@pytest.mark.parametrize("use", USES)
def test_a_disk_error_is_one_sentence(tmp_path: Path, raw: Callable[[], dict[str, Any]], use: str) -> None:
    """Whatever is asked of a ledger on a disk that fails raises StateError, which names the file and the reason."""
    path = tmp_path / "state.sqlite"
    sentence = f"the collector's state {path} cannot be .*: disk I/O error"
    with broken(path, sqlite3.SQLITE_IOERR, "disk I/O error") as ledger, pytest.raises(StateError, match=sentence):
        USES[use](ledger, raw())
    assert path.exists()


@pytest.mark.parametrize("use", USES)
def test_damage_met_at_work_sets_the_state_aside(tmp_path: Path, raw: Callable[[], dict[str, Any]], use: str) -> None:
    """Whatever meets damage raises StateError, which says what to do, and the next start recreates the state."""
    path = tmp_path / "state.sqlite"
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        ledger.take("log", batch(raw()), now_ms=NOW)
    sentence = f"the collector's state {path} was damaged .malformed. and lies beside it as state.sqlite.damaged: start"
    with broken(path, sqlite3.SQLITE_CORRUPT, "malformed") as ledger, pytest.raises(StateError, match=sentence):
        USES[use](ledger, raw())
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert ledger.position("log") is None


def test_damage_that_is_met_again_leaves_what_was_set_aside(tmp_path: Path, raw: Callable[[], dict[str, Any]]) -> None:
    """Several sources may meet damage before the collector ends. What the first one set aside stays to be examined."""
    path, aside = tmp_path / "state.sqlite", tmp_path / "state.requests.damaged"
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        ledger.take("log", batch(raw()), now_ms=NOW)
    with broken(path, sqlite3.SQLITE_CORRUPT, "malformed") as ledger:
        for _ in range(2):
            with pytest.raises(StateError, match="was damaged"):
                ledger.position("log")
            assert (aside / "CURRENT").exists()


def test_requests_that_cannot_be_read_are_one_sentence(tmp_path: Path, raw: Callable[[], dict[str, Any]]) -> None:
    """If the folder of requests fails, StateError names the state and the reason, and nothing is counted."""
    path = tmp_path / "state.sqlite"
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        ledger._requests.close()
        with pytest.raises(StateError, match=f"the collector's state {path} cannot be written: .*closed"):
            ledger.take("log", batch(raw()), now_ms=NOW)
    with Ledger(path, SLOT_SECONDS, now_ms=NOW) as ledger:
        assert ledger.position("log") is None


@pytest.mark.parametrize("read", [0, 1])
def test_a_failure_to_read_that_passes_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: int) -> None:
    """An iterator of rocksdict ends where a read fails. Even if it works a moment later, that is not the last row."""

    class Short:
        """A family whose first iterator ends early."""

        def __init__(self, whole: Rdict) -> None:
            self._whole = whole

        def items(self, **options: Any) -> Iterator[object]:
            return islice(self._whole.items(**options), read)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._whole, name)

    with closing(Requests(tmp_path / "state.requests")) as requests:
        requests.change({bytes([number]) * 16: StoredRequest() for number in (1, 2)}, {})
        requests.write(1)
        table = requests._requests
        assert len(list(table.range(b"", b"\xff"))) == 2
        monkeypatch.setattr(table, "_rows", Short(table._rows))
        with pytest.raises(OSError, match="could not be read at first"):
            list(table.range(b"", b"\xff"))


def test_requests_are_on_disk_before_their_counts(
    tmp_path: Path, raw: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are synced before the database commits. They are written without a sync, in which no other thread runs."""
    done: list[object] = []

    class Watched:
        """A RocksDB that reports what is written and synced."""

        def __init__(self, whole: Rdict) -> None:
            self._whole = whole

        def write(self, batch: WriteBatch, options: WriteOptions) -> None:
            done.append("synced write" if options.sync else "write")
            self._whole.write(batch, options)

        def flush_wal(self, sync: bool) -> None:  # as in rocksdict
            self._whole.flush_wal(sync)
            done.append("sync" if sync else "flush")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._whole, name)

    with Ledger(tmp_path / "state.sqlite", SLOT_SECONDS, now_ms=NOW) as ledger:
        monkeypatch.setattr(ledger._requests, "_database", Watched(ledger._requests._database))
        ledger._database.set_trace_callback(lambda statement: done.append(statement) if "COMMIT" in statement else None)
        ledger.take("log", batch(raw()), now_ms=NOW)
        ledger._database.set_trace_callback(None)
    assert done == ["write", "sync", "COMMIT"]


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """If the folder of the state cannot be made, StateError says which file and why."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "folder" / "state.sqlite"
    with pytest.raises(StateError, match=f"the collector's state {path} cannot be opened: Not a directory"):
        async with LedgerExecutor().ledger(path, SLOT_SECONDS, NOW):
            pass

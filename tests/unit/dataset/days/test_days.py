"""Sealed days have the same bytes whatever interrupted the work, and every change to them is noticed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from services.core.errors import StateError
from services.dataset.days import (
    EvidenceDays,
    LogFiles,
    SealedMessages,
    Sealer,
    SealingContext,
    drop_uncommitted,
    list_segments,
    read_leaf,
    read_sealed,
    verify,
    write_segments,
)
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import EXCHANGE, MEASUREMENT
from tests.support.cases.datasets.rows import SLOT, START, exchanged, measured

DAYS = EvidenceDays("Asia/Tehran", 3600.0, 300)
DAY = DAYS.day_of(START)
CLOSED = DAYS.closes(DAY) + 1
CONTEXT = SealingContext(streams={"MEASUREMENTS": "2026-09-01T00:00:00Z"}, method_version="4")
MESSAGES = range(1, 13)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate("archive.example")


def fill(storage: LocalStorage, *, cut: int) -> None:
    """Ingest all messages, ``cut`` at a time."""
    for first in range(MESSAGES.start, MESSAGES.stop, cut):
        last = min(first + cut, MESSAGES.stop) - 1
        span = range(first, last + 1)
        write_segments(storage, MEASUREMENT, [measured(n, sequence=n) for n in span], first, last, DAYS)
        write_segments(storage, EXCHANGE, [exchanged(n, sequence=n) for n in span], first, last, DAYS)


def sealed(folder: Path, key: SigningKey, *, cut: int = 5) -> LocalStorage:
    storage = LocalStorage(folder)
    fill(storage, cut=cut)
    Sealer(storage, key, DAYS).seal(DAY, CONTEXT)
    return storage


def contents(storage: LocalStorage) -> dict[str, bytes]:
    return {name: storage.read(name) for name in storage.names()}


def test_the_same_rows_make_the_same_files(tmp_path: Path, key: SigningKey) -> None:
    """However messages were cut into segments, sealing writes the same bytes and leaves no segment."""
    one, other = sealed(tmp_path / "one", key, cut=1), sealed(tmp_path / "other", key, cut=7)
    assert contents(one) == contents(other)
    assert {name.split("/")[0] for name in one.names()} == {"sealed", "log"}
    assert verify(one, key.public) == []
    ((_, manifest),) = LogFiles(one).manifests()
    assert sum(file.rows for file in manifest.files) == 20 * len(MESSAGES) + 5 * len(MESSAGES)
    assert manifest.counts == {"main": {"one": 20 * len(MESSAGES)}}
    assert manifest.versions == (f"{'a' * 64}.{'b' * 64}",)
    assert {(span.stream, span.first, span.last) for span in manifest.streams} == {
        ("MEASUREMENTS", 1, 12),
        ("EXCHANGES", 1, 12),
    }


def test_a_crash_at_any_write_changes_nothing(tmp_path: Path, key: SigningKey) -> None:
    """After a crash at any write or removal, a restart leaves the same files as a run without a crash."""
    undisturbed = contents(sealed(tmp_path / "undisturbed", key, cut=4))

    class Crash(Exception):  # noqa: N818  # it stands for the end of the process
        pass

    class Crashing(LocalStorage):
        left = 0

        def _step(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Crash

        def write(self, name: str, content: bytes) -> None:
            self._step()
            super().write(name, content)

        def remove(self, name: str) -> None:
            self._step()
            super().remove(name)

    steps = 0
    while True:
        storage = Crashing(tmp_path / f"crashed-{steps}")
        storage.left = steps
        try:
            fill(storage, cut=4)
            Sealer(storage, key, DAYS).seal(DAY, CONTEXT)
        except Crash:
            pass
        else:
            break
        steps += 1
        again = LocalStorage(tmp_path / f"crashed-{steps - 1}")
        sealer = Sealer(again, key, DAYS)
        sealer.recover()
        if not sealer.sealed_days():
            for kind in (MEASUREMENT, EXCHANGE):
                drop_uncommitted(again, kind, 0)
            fill(again, cut=4)
            sealer.seal(DAY, CONTEXT)
        assert contents(again) == undisturbed, steps
    assert steps > 10


def test_a_day_waits_for_its_grace(tmp_path: Path, key: SigningKey) -> None:
    """A day is due once everything stored within its grace was ingested. Days without rows are not sealed."""
    storage = LocalStorage(tmp_path)
    fill(storage, cut=5)
    sealer = Sealer(storage, key, DAYS)
    assert sealer.due(DAYS.closes(DAY)) == []
    assert sealer.due(CLOSED) == [DAY]
    sealer.seal(DAY, CONTEXT)
    assert sealer.due(CLOSED + 10 * 86_400) == []


def test_a_sealed_day_is_not_sealed_again(tmp_path: Path, key: SigningKey) -> None:
    """Reading messages of a sealed day again, for a damaged segment of the next day, does not change the sealed day."""
    storage = sealed(tmp_path, key)
    before = contents(storage)
    fill(storage, cut=3)
    assert Sealer(storage, key, DAYS).due(CLOSED) == []
    assert contents(storage) == before


def test_when_the_next_day_closes() -> None:
    """No day becomes due before the next closing time. Just after a closing time, the same one may be given again."""
    closes = DAYS.closes(DAY)
    assert [DAYS.closes_next(closes + seconds) for seconds in (-86_000, 0, 0.5)] == [closes] * 3
    assert DAYS.closes_next(closes + 1.0) == closes + 86_400


def test_late_rows_are_sealed_apart(tmp_path: Path, key: SigningKey) -> None:
    """A row stored after its slot's grace, or long before its slot, is sealed with the day on which it was stored."""
    storage = sealed(tmp_path, key)
    before = contents(storage)
    late = _with(measured(20, sequence=20), "stored", CLOSED)
    early = _with(_with(measured(21, sequence=21), "slot_start", START + 9 * 86_400), "stored", CLOSED + 86_400)
    write_segments(storage, MEASUREMENT, [late, early], 20, 21, DAYS)
    segments = list_segments(storage, MEASUREMENT)
    assert [(segment.late, segment.day) for segment in segments] == [
        (True, DAYS.day_of(CLOSED)),
        (True, DAYS.day_of(CLOSED + 86_400)),
    ]
    sealer = Sealer(storage, key, DAYS)
    for day in sealer.due(CLOSED + 3 * 86_400):
        sealer.seal(day, CONTEXT)
    assert verify(storage, key.public) == []
    after = contents(storage)
    assert {name: after[name] for name in before if name.startswith("sealed/")} == {
        name: content for name, content in before.items() if name.startswith("sealed/")
    }
    (named,) = storage.names(f"sealed/late/kind=measurement/day={DAYS.day_of(CLOSED)}")
    assert named.rpartition("/")[2].startswith("shard=00-")


@pytest.mark.parametrize(
    ("days", "slot"),
    [
        (EvidenceDays("Asia/Tehran", 86_400.0, 300), START),
        (EvidenceDays("UTC", 3600.0, 300), DAYS.span(DAY).stop + 1800),
    ],
)
def test_no_later_policy_puts_rows_into_a_sealed_day(
    tmp_path: Path, key: SigningKey, days: EvidenceDays, slot: int
) -> None:
    """With more grace or another timezone, rows of a sealed day are dropped. New rows are late rows of the next."""
    storage = sealed(tmp_path, key)
    sealer = Sealer(storage, key, days)
    ((day, _, streams),) = sealer.sealed_days()
    new = _with(_with(measured(20, sequence=20), "slot_start", slot), "stored", CLOSED + 60.0)
    again = measured(MESSAGES[0], sequence=MESSAGES[0])
    write_segments(storage, MEASUREMENT, [again, new], 1, 20, days, sealed=SealedMessages(day, {day: streams[0].last}))
    following = days.day_of(days.span(DAY).stop)
    segments = list_segments(storage, MEASUREMENT)
    assert [(segment.late, segment.day) for segment in segments] == [(False, DAY), (True, following)]
    for due in sealer.due(CLOSED + 9 * 86_400):
        sealer.seal(due, CONTEXT)
    assert verify(storage, key.public) == []
    assert [one.day for one in sealer.sealed_days()] == [DAY, following]
    (file,) = LogFiles(storage).manifests()[-1][1].files
    assert read_sealed(storage, file).num_rows == new.num_rows


def test_a_leaf_that_cannot_be_read_is_told(tmp_path: Path, key: SigningKey) -> None:
    """A leaf of a later version ends sealing with an error that names it."""
    storage = sealed(tmp_path, key)
    storage.write("log/entries/000000.json", b'{"format":9,"type":"day"}')
    with pytest.raises(StateError, match=r"log/entries/000000.json in .* is damaged: not a leaf of the log"):
        Sealer(storage, key, DAYS).sealed_days()


def test_every_change_is_noticed(tmp_path: Path, key: SigningKey) -> None:
    """Verification reports a changed byte in any file, a removed file, an added file, and another key."""
    storage = sealed(tmp_path, key)
    for name, content in contents(storage).items():
        for place in {0, len(content) // 2, len(content) - 1}:
            damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            storage.write(name, damaged)
            faults = verify(storage, key.public)
            assert faults, (name, place)
            assert any(name in str(fault) for fault in faults) or name.startswith("log/"), (name, faults)
        storage.remove(name)
        assert verify(storage, key.public) or not storage.names("log"), name
        storage.write(name, content)
    assert verify(storage, key.public) == []
    storage.write("sealed/kind=measurement/day=2020-01-01/shard=00.parquet", b"x")
    assert [fault.file for fault in verify(storage, key.public)] == [
        "sealed/kind=measurement/day=2020-01-01/shard=00.parquet"
    ]
    storage.remove("sealed/kind=measurement/day=2020-01-01/shard=00.parquet")
    (fault,) = verify(storage, SigningKey.generate("archive.example").public)
    assert "has not signed it" in fault.reason


def test_a_log_that_was_rewritten_is_not_signed_again(tmp_path: Path, key: SigningKey) -> None:
    """A leaf that was changed after signing stops the archive. It is not signed along with the next leaf."""
    storage = sealed(tmp_path, key)
    leaf = storage.read("log/entries/000000.json")
    storage.write("log/entries/000000.json", leaf.replace(b'"rows":', b'"rows": '))
    with pytest.raises(StateError, match="changed or restored from an older copy"):
        LogFiles(storage).append(b"{}", key)


def test_a_proof_shows_one_day(tmp_path: Path, key: SigningKey) -> None:
    """The proof of a day needs only its manifest and the key. There is no proof of a future leaf."""
    storage = sealed(tmp_path, key)
    log = LogFiles(storage)
    leaves, checkpoint = log.read()
    assert log.prove(leaves, checkpoint, 0).faults(leaves[0], [key.public]) == []
    with pytest.raises(StateError, match="no checkpoint"):
        log.prove(leaves, checkpoint, 1)


@pytest.mark.parametrize("leaf", [b"", b"{}", b'{"type":"day"}', b'{"type":"other"}'])
def test_what_is_no_leaf_is_refused(leaf: bytes) -> None:
    """Leaves are canonical JSON of a known type."""
    with pytest.raises(ValueError, match="leaf"):
        read_leaf(leaf)


def test_days_of_a_timezone() -> None:
    """A day lasts from midnight to midnight in its timezone, including changes of the clocks."""
    berlin = EvidenceDays("Europe/Berlin", 0, 300)
    assert len(berlin.span("2026-03-29")) == 23 * 3600
    assert len(DAYS.span("2026-03-29")) == 86_400
    assert DAYS.day_of(DAYS.span(DAY).start) == DAY
    assert DAYS.day_of(DAYS.span(DAY).start - SLOT) < DAY


def test_a_day_waits_for_a_slot_that_ends_after_midnight() -> None:
    """Where a slot of an hour spans midnight, its last row is still in time before the day closes."""
    hours = EvidenceDays("Asia/Tehran", 3600.0, 3600)
    day = hours.day_of(START)
    last = (hours.span(day).stop - 1) // 3600 * 3600
    moment = last + 3600 + 3600.0  # the end of the slot's grace
    assert hours.place(last, moment, slotted=True) == (False, day)
    assert moment <= hours.closes(day)


def _with(table: pa.Table, name: str, moment: float) -> pa.Table:
    """The same rows with another moment in a column."""
    column = pa.array([round(moment * 1e6)] * table.num_rows, pa.int64()).cast(table.schema.field(name).type)
    return table.set_column(table.schema.get_field_index(name), name, column)

"""A damaged ledger is recreated, and the damaged file stays beside it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.collector.ledger.ledger import Ledger
from services.collector.ledger.requests import folder_of
from services.collector.records import RecordBatch
from services.core.errors import StateError
from tests.support.cases.ledger import NOW, SLOT_SECONDS, batch, both, counts, raw

__all__ = ["both", "raw"]  # fixtures

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "zeroed": lambda content: bytes(len(content)),
    "truncated": lambda content: content[: len(content) // 2],
    "overwritten": lambda content: content[:8192] + b"\xff" * (len(content) - 8192),
    "no database": lambda _content: b"nothing of the kind" * 100,
}


def opened(path: Path) -> Ledger:
    """Open a ledger and check it, or open a new one in its place if it is found damaged."""
    path.parent.mkdir(exist_ok=True)
    with suppress(StateError), ExitStack() as closing_if_damaged:
        ledger = closing_if_damaged.enter_context(Ledger(path, SLOT_SECONDS, now_ms=NOW))
        while ledger.check_rows():
            pass
        closing_if_damaged.pop_all()
        return ledger
    return Ledger(path, SLOT_SECONDS, now_ms=NOW)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_begins_anew(tmp_path: Path, both, damage: str) -> None:
    """The file is set aside, and records that are read again count as if they were new."""
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


def state(path: Path) -> tuple[object, ...]:
    """Return the summaries of a ledger, those that the bus has not acknowledged, its totals and its position."""
    with opened(path) as ledger:
        return tuple(ledger.summaries()), tuple(ledger.unpublished(1000)), ledger.totals(), ledger.position("a")


@pytest.fixture
def saved(tmp_path: Path, both) -> Path:
    """The folder of a ledger of 40 exchanges."""
    with opened(tmp_path / "saved" / "collector.sqlite") as ledger:
        ledger.take("a", forty(both), now_ms=NOW)
    return tmp_path / "saved"


def forty(both) -> RecordBatch:
    return batch(
        *(record for number in range(40) for record in both(xRequestId=f"x-{number}", serviceCode=f"service-{number}"))
    )


@contextmanager
def copied(saved: Path) -> Iterator[Path]:
    """Copy a ledger, yield the path of its database, and remove the copy."""
    with TemporaryDirectory(dir=saved.parent) as folder:
        shutil.copytree(saved, folder, dirs_exist_ok=True)
        yield Path(folder) / "collector.sqlite"


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path, saved: Path) -> None:
    """With any bit of the database flipped, the ledger either keeps its state or is recreated empty."""
    new, before = state(tmp_path / "new.sqlite"), state(saved / "collector.sqlite")
    chance, begun_anew = random.Random(1), 0
    for _ in range(100):
        with copied(saved) as path:
            flip_a_bit(path, chance)
            found = state(path)
        assert found in (before, new)
        begun_anew += found == new
    assert begun_anew > 10


def flip_a_bit(file: Path, chance: random.Random) -> None:
    if content := bytearray(file.read_bytes()):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)


FILE_DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "flipped": flip_a_bit,
    "truncated": lambda file, _chance: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "missing": lambda file, _chance: file.unlink(),
}


@pytest.mark.parametrize("damage", FILE_DAMAGES)
def test_damaged_requests_are_noticed_before_they_count(saved: Path, both, damage: str) -> None:
    """Whatever file of the requests is damaged, records that come again are duplicates, or everything is read again."""
    before, chance, begun_anew = (40, 0), random.Random(1), 0
    for name in sorted(file.name for file in folder_of(saved / "collector.sqlite").iterdir()):
        with copied(saved) as path:
            FILE_DAMAGES[damage](folder_of(path) / name, chance)
            with suppress(StateError), opened(path) as ledger:
                ledger.take("a", forty(both), now_ms=NOW)
            begun_anew += folder_of(path).with_name("collector.requests.damaged").exists()
            with opened(path) as ledger:
                ledger.take("a", forty(both), now_ms=NOW)
                totals = ledger.totals()
        assert (totals.exchanges, totals.orphans) == before
    assert begun_anew >= 2


def test_a_state_of_parts_that_belong_to_different_moments(tmp_path: Path, both) -> None:
    """If a collector was killed after it wrote requests and before their counts, the requests return to what they were.

    Parts that are further apart are set aside.
    """
    path, earlier = tmp_path / "collector.sqlite", tmp_path / "earlier.sqlite"
    parts = [
        batch(*both(xRequestId=f"x-{number}", messageId="m"), both(xRequestId="y")[number % 2]) for number in range(3)
    ]
    found = []
    for part in parts:
        with opened(path) as ledger:
            ledger.take("a", part, now_ms=NOW)
            found.append(counts(ledger))
        if len(found) == 1:
            shutil.copy(path, earlier)
        elif len(found) == 2:
            shutil.copy(earlier, path)
            with opened(path) as ledger:
                assert counts(ledger) == found[0]
                assert ledger.take("a", part, now_ms=NOW).duplicates == 0
                assert (counts(ledger), [one.repeats for one in ledger.summaries()]) == (found[1], [1])
    shutil.copy(earlier, path)
    with opened(path) as ledger:
        assert counts(ledger) == {}
    assert {one.name for one in tmp_path.glob("*.damaged")} == {
        "collector.sqlite.damaged",
        "collector.requests.damaged",
    }


def test_requests_that_were_taken_back_beside_an_older_database(tmp_path: Path, both) -> None:
    """Requests return by one transaction only. If the database is then replaced by an older copy, both are set aside."""
    path, copies = tmp_path / "collector.sqlite", [tmp_path / f"{number}.sqlite" for number in range(3)]
    for number, copy in enumerate(copies):
        with opened(path) as ledger:
            ledger.take("a", batch(*both(xRequestId=f"x-{number}")), now_ms=NOW)
        shutil.copy(path, copy)
    for copy, exchanges in ((copies[1], 2), (copies[0], 0)):
        shutil.copy(copy, path)
        with opened(path) as ledger:
            assert ledger.totals().exchanges == exchanges
    assert (tmp_path / "collector.requests.damaged").exists()

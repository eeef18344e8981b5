"""GetHistory of links and endpoints, from a dataset of sealed days."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.answers.history import HistoryReader, ReadStream
from services.api.answers.sealed_days import SealedDays
from services.api.errors import RequestError, UnavailableError
from services.api.model import ReadModel, RegisterView
from services.core.errors import StateError
from services.core.model.indicator import Indicator, IndicatorKind
from services.core.model.register import Register
from services.dataset.days import LogFiles
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.scorer.archived import ArchivedEvidence
from services.scorer.offline import score_evidence
from tests.support.cases.api.server import Api
from tests.support.cases.datasets.sealed import sealed_dataset
from tests.support.cases.scoring import register_of_long_slots as register
from tests.support.cases.scoring import stream
from tests.support.waiting import DEADLINE, eventually

__all__ = ["register"]

ALWAYS = {"start": 0.0, "end": 4e9}


@pytest.fixture(scope="module")
def storage(register: Register, tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    folder = tmp_path_factory.mktemp("dataset")
    return sealed_dataset(folder, register, stream(register, slots=235, seed=5), SigningKey.generate("archive.example"))


def compared(row: Indicator) -> tuple[object, ...]:
    """Return the values of an indicator that a history has."""
    return (
        row.point,
        row.lower,
        row.upper,
        row.known_share,
        row.losses,
        row.as_of,
        row.window_days,
        row.register_version,
    )


@pytest.mark.parametrize("window", [7, 28])
@pytest.mark.parametrize("kind", [IndicatorKind.LINK, IndicatorKind.ENDPOINT])
def test_each_day_has_the_index_of_its_end(
    storage: LocalStorage, register: Register, kind: IndicatorKind, window: int
) -> None:
    """After each sealed day, the index of every known target is, to the last bit, what the scorer would compute."""
    view, sealed = RegisterView(register), SealedDays(storage.address)
    archive, calendar = ArchivedEvidence(storage), view.calendar
    days = [date.fromisoformat(manifest.day) for _, manifest in LogFiles(storage).manifests()]
    assert len(days) == 3
    known = 0
    for place, day in enumerate(days):
        end_slot = calendar.slots_of(day).stop
        evidence = archive.evidence(register, end_slot=end_slot)
        snapshot = score_evidence(register, evidence, at=calendar.start_of(end_slot), windows=[window])
        for expected in snapshot.rows(kind, window):
            found = sealed.indexes(view, kind, expected.id, window, **ALWAYS)
            if expected.known_share > 0:
                assert compared(found[place]) == compared(expected)
                known += 1
            else:
                assert found[place].point is None
    assert known >= 3


def test_links_count_while_they_are_in_force(storage: LocalStorage, register: Register) -> None:
    """A link is judged by the register in force: a link on paper is lost, and a link not yet required has no index."""
    (link, *_) = sorted(register.links)
    days = [date.fromisoformat(manifest.day) for _, manifest in LogFiles(storage).manifests()]

    def history(**dates: date | None) -> list[tuple[float | None, float]]:
        changed = replace(register.links[link], **dates)  # type: ignore[arg-type]
        view = RegisterView(replace(register, links={**register.links, link: changed}))
        rows = SealedDays(storage.address).indexes(view, IndicatorKind.LINK, link, 7, **ALWAYS)
        return [(row.point, row.losses.not_connected) for row in rows]

    assert len(history()) == 3
    assert history(live_from=None) == [(0.0, 1.0)] * 3
    assert len(history(required_from=days[2])) == 1
    *_, (built, on_paper) = history(live_from=days[2])
    assert on_paper > 0
    assert built is not None
    assert 0 < built < 1 - on_paper + 1e-12  # it was live in one of three days
    assert history(required_from=date(2027, 1, 1)) == []


def test_days_are_read_once_and_a_damaged_one_is_named(
    storage: LocalStorage, register: Register, tmp_path: Path
) -> None:
    """A span is honoured, and a file that was changed is refused."""
    view, (link, *_) = RegisterView(register), sorted(register.links)
    sealed = SealedDays(storage.address)
    rows = sealed.indexes(view, IndicatorKind.LINK, link, 7, **ALWAYS)
    (one,) = sealed.indexes(view, IndicatorKind.LINK, link, 7, start=rows[1].as_of, end=rows[2].as_of)
    assert one == rows[1]
    copy = LocalStorage(tmp_path)
    for name in storage.names():
        content = storage.read(name)
        copy.write(name, content[:-1] + b"x" if "link_day" in name else content)
    with pytest.raises(StateError, match="are not those that were sealed"):
        SealedDays(copy.address).indexes(view, IndicatorKind.LINK, link, 7, **ALWAYS)
    assert SealedDays(str(tmp_path / "none")).indexes(view, IndicatorKind.LINK, link, 7, **ALWAYS) == []


async def test_answers_come_in_pages(storage: LocalStorage, register: Register, tmp_path: Path) -> None:
    """Each day is in one page, oldest first. An unknown link is refused, and an unreadable log makes it UNAVAILABLE."""
    model, (link, *_) = cast(ReadModel, SimpleNamespace(view=RegisterView(register))), sorted(register.links)

    async def asked(dataset: str, entity: str, token: str = "") -> messages.GetHistoryResponse:
        reader = HistoryReader(model, cast(ReadStream, None), SealedDays(dataset))
        request = messages.GetHistoryRequest(kind=IndicatorKind.LINK, id=entity, page_size=2, page_token=token)  # type: ignore[arg-type]
        return await reader.answer(request, None)

    first = await asked(storage.address, link)
    second = await asked(storage.address, link, first.next_page_token)
    moments = [row.as_of.seconds for page in (first, second) for row in page.indicators]
    assert moments == sorted(set(moments))
    assert (len(first.indicators), len(second.indicators), second.next_page_token) == (2, 1, "")
    with pytest.raises(RequestError, match="nobody"):
        await asked(storage.address, "nobody")
    LocalStorage(tmp_path).write("log/entries/000000.json", b"{}")
    with pytest.raises(UnavailableError, match=f"the history of link `{link}` cannot be read: log/entries/0+.json in"):
        await asked(str(tmp_path), link)


async def test_other_calls_are_answered_while_days_are_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories given up while days are read occupy no thread that other calls need, and those in the queue are dropped."""
    begun, released = Event(), Event()
    reads: list[str] = []

    def indexes(*asked: Any, **_: float) -> list[Indicator]:
        reads.append(asked[3])
        begun.set()
        released.wait()
        return []

    monkeypatch.setattr(SealedDays, "indexes", indexes)
    sealed, threads = SealedDays("unused"), 2
    reader = HistoryReader(api.state.model, cast(ReadStream, None), sealed)

    async def history(link: str, seconds: float | None = None) -> messages.GetHistoryResponse:
        return await reader.answer(messages.GetHistoryRequest(kind=IndicatorKind.LINK, id=link), seconds)  # type: ignore[arg-type]

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
    try:
        given_up = [asyncio.create_task(history("deed-tax")) for _ in range(threads + 1)]
        await eventually(begun.is_set, "days are read")
        for one in given_up:
            one.cancel()
        await asyncio.wait(given_up)
        explained = await api.indicators.ExplainIndicator(
            messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT), timeout=DEADLINE
        )
        assert explained.indicator.id == "country"
        with pytest.raises(UnavailableError, match=r"cannot be read yet, as sealed days are being read: retry$"):
            async with asyncio.timeout(DEADLINE):
                await history("deed-tax", 0.01)
    finally:
        released.set()
    await history("birth-tax")
    assert reads == ["deed-tax", "birth-tax"]
    sealed.close()

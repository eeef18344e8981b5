"""Another register, or another calendar, comes into force while the scorer runs."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.core.bus.names import GOVERNMENT_KEY, INDICATOR_BUCKET, consumers_key, group_of
from services.core.log import logger
from services.core.model.indicator import IndicatorKind
from services.core.model.outcome import Reason
from services.core.runtime import Runtime
from services.core.settings import Settings
from services.scorer import component, session
from tests.support.cases.scorer import (
    SLOT,
    Scorer,
    blocks,
    government,
    make_register,
    measure,
    now_slot,
    only,
    put,
    register_on,
)
from tests.support.nats import Nats
from tests.support.registers import register_files
from tests.support.values.block_columns import Block
from tests.support.waiting import eventually


def without_civil_registry(folder: Path, *links: str, epoch: float) -> Path:
    """Write a register in which civil-registry answers, but owns no service and no endpoint; ``links`` are added."""
    files = register_files()
    services = "".join(line for line in files["services.csv"].splitlines(keepends=True) if "birth-" not in line)
    kept = "".join(line for line in files["links.csv"].splitlines(keepends=True) if "birth-" not in line)
    return make_register(
        folder,
        epoch=epoch,
        services_csv=services,
        links_csv=kept + "".join(links),
        endpoints_csv=files["endpoints.csv"].replace("bus,civil-", "bus,land-"),
    )


async def test_register_changes_while_running(nats: Nats, scorer: Scorer, tmp_path: Path) -> None:
    """A new register applies from the next index on: earlier evidence counts, and a removed agency's block is deleted.
    Measurements that a prober made by it before the scorer adopted it count too.
    """
    began = time.time() - 3600
    await register_on(nats, make_register(tmp_path / "register", epoch=began))
    slot = now_slot() - 20
    scorer.start()
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        sequence = await put(prober, [measure("permit-tax", slot, Reason.STATUS)])
        await government(api, sequence)
        found = await blocks(api)
        assert [row.id for row in found["consumer.customs"].indicators if row.kind == IndicatorKind.LINK][:1] == [
            "permit-tax"
        ]

        changed = without_civil_registry(
            tmp_path / "changed",
            "permit-land,import-permit,land-registry,titles,,,always,page,http://127.0.0.1:7500/land,,,,,,\n",
            epoch=began,
        )
        register = await register_on(nats, changed)
        version, definitions = register.register_version, register.probe_version
        row = replace(measure("permit-land", slot), register_version=version, probe_version=definitions)
        sequence = await put(prober, [row])

        async def applied() -> Block | None:
            now = (await blocks(api)).get("consumer.customs")
            versions = {(row.register_version, row.evidence_sequence) for row in now.indicators} if now else set()
            return now if versions == {(version, sequence)} else None

        block = await eventually(applied, "the new register")
        assert only(block, IndicatorKind.LINK, "permit-land").point == 1.0
        assert only(block, IndicatorKind.LINK, "permit-tax").point == 0.0

        async def removed() -> bool:
            return "consumer.civil-registry" not in await blocks(api)

        await eventually(removed, "no block of civil-registry")
    assert await scorer.stop() == (0, "")


@pytest.mark.parametrize("undone", [False, True], ids=["replaced", "undone"])
async def test_measurements_by_a_register_that_came_and_went_count(
    nats: Nats, scorer: Scorer, tmp_path: Path, *, undone: bool
) -> None:
    """Two registers come while a scorer does not run. The second may be the one that it knows. Measurements of a link that only
    the first of them had are kept, and count when the link returns.
    """
    began = time.time() - 3600
    first = make_register(tmp_path / "first", epoch=began)
    without = without_civil_registry(tmp_path / "without", epoch=began)
    added = "permit-land,import-permit,land-registry,titles,,,always,page,http://127.0.0.1:7500/land,,,,,,\n"
    longer = without_civil_registry(tmp_path / "longer", added, epoch=began)
    async with nats.connect("prober") as prober, nats.connect("api") as api:
        await register_on(nats, first)
        scorer.start()
        await scorer.serving()
        assert await scorer.stop() == (0, "")
        register = await register_on(nats, longer)
        version, definitions = register.register_version, register.probe_version
        row = replace(measure("permit-land", now_slot() - 20), register_version=version, probe_version=definitions)
        sequence = await put(prober, [row])
        await register_on(nats, first if undone else without)
        scorer.start()
        await government(api, sequence)
        await register_on(nats, longer)

        async def returned() -> bool:
            block = (await blocks(api)).get("consumer.customs")
            return block is not None and "permit-land" in {row.id for row in block.indicators}

        await eventually(returned, "the link that returned")
        assert only((await blocks(api))["consumer.customs"], IndicatorKind.LINK, "permit-land").point == 1.0
    assert await scorer.stop() == (0, "")


async def test_other_calendar_begins_anew_and_reads_the_stream_again(
    nats: Nats, scorer: Scorer, tmp_path: Path
) -> None:
    """A register with another epoch has its own evidence, made from the whole stream; the old folder stays. Blocks that
    the new one lacks are removed, including those that an earlier process put.
    """
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start()
    async with nats.connect("prober") as prober, nats.connect("api") as api, nats.connect("scorer") as other:
        old, new = now_slot() - 1000, now_slot() - 10
        sequence = await put(prober, [measure("deed-tax", old), measure("deed-tax", new)])
        await government(api, sequence)
        forgotten = await other.kv_get(INDICATOR_BUCKET, GOVERNMENT_KEY)
        assert forgotten is not None
        await other.kv_put(INDICATOR_BUCKET, "consumer.forgotten", forgotten)
        epoch = (new - 5) * SLOT
        register = await register_on(nats, without_civil_registry(tmp_path / "changed", epoch=epoch))

        async def applied() -> Block | None:
            now = (await blocks(api)).get("consumer.land-registry")
            return now if now and now.indicators[0].probe_version == register.probe_version else None

        block = await eventually(applied, "the new calendar")
        assert block.links[0].verdicts[1].tolist() == [0, 0, 0, 0, 0, 1]

        async def removed() -> bool:
            keys = (await api.kv_all(INDICATOR_BUCKET, consumers_key("*"))).keys()
            return keys.isdisjoint({consumers_key(group_of("civil-registry")), "consumer.forgotten"})

        await eventually(removed, "no block of civil-registry")
    assert await scorer.stop() == (0, "")
    assert len(list(scorer.data.glob("evidence-*/manifest"))) == 2


@pytest.fixture
def thawed() -> Iterator[None]:
    """A garbage collector without frozen objects afterwards."""
    yield
    gc.unfreeze()


@asynccontextmanager
async def scoring(
    nats: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[Path], Awaitable[None]]]:
    """Run a scorer in this process. Yields what publishes a register and waits until it is in force."""
    monkeypatch.setattr(component, "connect_from_settings", lambda *_, **__: nats.connect("scorer"))
    runtime = Runtime(Settings(data=tmp_path), CollectorRegistry(), logger(), asyncio.Event())
    async with nats.connect("api") as api, asyncio.TaskGroup() as group:
        group.create_task(component.main(runtime))

        async def publish(folder: Path) -> None:
            register = await register_on(nats, folder)

            async def in_force() -> bool:
                found = (await blocks(api)).get("government")
                return found is not None and found.indicators[0].probe_version == register.probe_version

            await eventually(in_force, folder.name)

        yield publish
        runtime.stop.set()


@pytest.mark.usefixtures("thawed")
async def test_nothing_of_a_former_calendar_stays(nats: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that another calendar ended is freed, with its evidence and the thread that computed its index.

    Even garbage that refers to it when objects are frozen does not keep it.
    """
    epoch, before = (now_slot() - 40) * SLOT, set(threading.enumerate())
    freeze, started, sessions = gc.freeze, session._Session.__init__, list[weakref.ref[object]]()

    def start(one: session._Session, *args: Any, **options: Any) -> None:
        sessions.append(weakref.ref(one))
        started(one, *args, **options)

    def freeze_garbage() -> None:
        for one in sessions:
            cycle = [one()]  # as an error and the frame that handled it are
            cycle.append(cycle)
        freeze()

    monkeypatch.setattr(session._Session, "__init__", start)
    monkeypatch.setattr(gc, "freeze", freeze_garbage)

    def of_sessions() -> int:
        return sum(thread.name.startswith("index") for thread in set(threading.enumerate()) - before)

    async with scoring(nats, tmp_path, monkeypatch) as publish:
        await publish(make_register(tmp_path / "first", epoch=epoch))
        await publish(without_civil_registry(tmp_path / "same calendar", epoch=epoch))  # freezes the first session
        assert of_sessions() == 1
        await publish(without_civil_registry(tmp_path / "other calendar", epoch=epoch + SLOT))
        await eventually(lambda: of_sessions() == 1, "only the thread of the present session")


@pytest.mark.usefixtures("thawed")
async def test_a_calendar_changes_without_a_garbage_collection(
    nats: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session frees itself unless it was interrupted while it published. A collection stops everything for a while."""
    epoch, collect, collections, changes = (now_slot() - 40) * SLOT, gc.collect, list[None](), 0

    def collected(generation: int = 2) -> int:
        collections.append(None)
        return collect(generation)

    monkeypatch.setattr(gc, "collect", collected)
    async with scoring(nats, tmp_path, monkeypatch) as publish:
        await publish(make_register(tmp_path / "first", epoch=epoch))

        async def freed_itself() -> bool:
            nonlocal epoch, changes
            epoch, changes, before = epoch + SLOT, changes + 1, len(collections)
            await publish(make_register(tmp_path / f"from {epoch}", epoch=epoch))
            return len(collections) == before

        await eventually(freed_itself, "a session freed itself")
        assert len(collections) < changes

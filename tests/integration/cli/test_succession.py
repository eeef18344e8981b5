"""`peyvand up` on a folder that holds the evidence of an older register."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.cli.up import succession, up
from services.cli.up.plan import SystemPlan
from services.cli.up.processes import ComponentError, SupervisedProcess, running
from services.cli.up.succession import check_evidence
from services.core.bus import REGISTER_BUCKET, Bus, connect, initialise_streams
from services.core.bus.messages import MAX_VALUE_BYTES, PARTS_PATTERN
from services.core.errors import SettingsError
from services.core.files import owned
from services.register.bus import CURRENT_KEY, publish_register
from services.register.directory import load_register
from tests.support.ports import free_first_port
from tests.support.registers import write_register


@pytest.fixture
def left(tmp_path: Path) -> Iterator[tuple[SystemPlan, SupervisedProcess]]:
    """The plan of a system on a data folder, and its bus."""
    plan = SystemPlan(
        data=tmp_path / "data",
        register=write_register(tmp_path / "register"),
        sandbox={},
        first_port=free_first_port(),
        seconds=None,
        exchanges=None,
        sources=None,
    )
    with owned(plan.data, "`peyvand up`") as held:
        yield plan, up._processes(plan, held.fileno())[0]


@asynccontextmanager
async def _publishing(plan: SystemPlan, server: SupervisedProcess) -> AsyncIterator[Bus]:
    """Run the bus alone, with its streams, and connect in role register."""
    async with running(server, ()):
        async with connect(plan.nats, role="admin", credentials=plan.data / "credentials", name="test") as bus:
            await initialise_streams(bus)
        async with connect(plan.nats, role="register", credentials=plan.data / "credentials", name="test") as bus:
            yield bus


async def test_only_a_successor_goes_on(left: tuple[SystemPlan, SupervisedProcess], tmp_path: Path) -> None:
    """A register that must not follow the one in force in the folder is refused before anything but the bus has started."""
    plan, server = left
    assert plan.register is not None
    await check_evidence(plan, server)
    assert server.process is None  # a new folder holds nothing to compare

    plan.nats_store.mkdir(parents=True)
    await check_evidence(plan, server)  # a folder that was abandoned at once has no streams
    async with _publishing(plan, server) as bus:
        await publish_register(bus, load_register(plan.register), now=1_790_000_000.0)
    await check_evidence(plan, server)

    async def refusal(**changes: Any) -> str:
        shutil.rmtree(tmp_path / "changed", ignore_errors=True)
        changed = replace(plan, register=write_register(tmp_path / "changed", **changes), sources=tmp_path / "sources")
        with pytest.raises(SettingsError) as refused:
            await check_evidence(changed, server)
        return str(refused.value)

    begin = f"{plan.data} holds evidence that register {tmp_path}/changed cannot go on with: "
    end = ". Name another folder with --data"
    slot = ("slot_seconds: 300", "slot_seconds: 60")
    assert await refusal(policy_yaml=slot) == f"{begin}slot_seconds: a change from 300 to 60 needs a later epoch{end}"
    other = ("{id: country,", "{id: land,")
    assert await refusal(policy_yaml=other) == f"{begin}it is of `country`, and the register is of `land`{end}"
    (plan.data / "collector").mkdir()
    later = ("epoch: 2026-01-01\nslot_seconds: 300", "epoch: 2026-02-01\nslot_seconds: 60")
    assert await refusal(policy_yaml=later) == f"{begin}its exchanges are counted in slots of 300 s{end}"


async def test_a_bus_that_does_not_answer_in_time_is_no_folder_without_a_register(
    left: tuple[SystemPlan, SupervisedProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another government's register is not published over the evidence just because the bus was too slow to be asked."""
    plan, server = left
    assert plan.register is not None
    async with _publishing(plan, server) as bus:
        await publish_register(bus, load_register(plan.register), now=1_790_000_000.0)
    other = replace(plan, register=write_register(tmp_path / "other", policy_yaml=("{id: country,", "{id: land,")))
    start = server.start

    async def start_stopped() -> None:
        await start()
        server.signal(signal.SIGSTOP)

    monkeypatch.setattr(server, "start", start_stopped)
    monkeypatch.setattr(succession, "_SECONDS", 0.2)
    with pytest.raises(SettingsError) as refused:
        await check_evidence(other, server)
    assert str(refused.value) == (
        f"the bus of {plan.data} did not say within 0.2 s which register is in force there: see {server.log}, and start "
        "again, or name another folder with --data"
    )


@pytest.mark.parametrize("damage", ["other bytes", "a missing part"])
async def test_a_register_that_cannot_be_verified_is_not_published_over(
    left: tuple[SystemPlan, SupervisedProcess], damage: str
) -> None:
    """A manifest that cannot be verified is refused with what to do; once the register is published anew, it goes on."""
    plan, server = left
    assert plan.register is not None
    async with _publishing(plan, server) as bus:
        if damage == "other bytes":
            await bus.kv_put(REGISTER_BUCKET, CURRENT_KEY, b"no manifest")
        else:
            await bus.kv_put(REGISTER_BUCKET, CURRENT_KEY, bytes(MAX_VALUE_BYTES + 1))
            await bus.kv_delete(REGISTER_BUCKET, max(await bus.kv_keys(REGISTER_BUCKET, PARTS_PATTERN)))
    with pytest.raises(SettingsError) as refused:
        await check_evidence(plan, server)
    assert str(refused.value).startswith(f"{plan.data} holds evidence of a register that cannot be verified: ")
    assert str(refused.value).endswith(
        f". Name another folder with --data; or, to go on in this one, start `nats-server -c {plan.data}/nats.conf` and "
        f"publish {plan.register} to {plan.nats} with --credentials {plan.data}/credentials"
    )
    async with _publishing(plan, server) as bus:
        await publish_register(bus, load_register(plan.register), now=1_790_000_000.0)
    await check_evidence(plan, server)


async def test_a_bus_that_does_not_start_is_named(left: tuple[SystemPlan, SupervisedProcess]) -> None:
    """A server that keeps exiting is reported at once, with the end of its log."""
    plan, server = left
    plan.nats_store.mkdir(parents=True)
    (plan.data / "nats.conf").write_text("no configuration", "utf-8")
    with pytest.raises(ComponentError, match=r"nats-server does not stay up; its log .* ends: "):
        await check_evidence(plan, server)

"""`peyvand up` on a folder that holds the evidence of an older register."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.cli.up import up
from services.cli.up.plan import SystemPlan
from services.cli.up.processes import SupervisedProcess, running
from services.cli.up.succession import check_evidence
from services.core.bus import connect, initialise_streams
from services.core.errors import SettingsError
from services.core.files import owned
from services.register.bus import publish_register
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


async def test_only_a_successor_goes_on(left: tuple[SystemPlan, SupervisedProcess], tmp_path: Path) -> None:
    """A register that must not follow the one in force in the folder is refused before anything but the bus has started."""
    plan, server = left
    assert plan.register is not None
    await check_evidence(plan, server)
    assert server.process is None  # a new folder holds nothing to compare

    plan.nats_store.mkdir(parents=True)
    await check_evidence(plan, server)  # a folder that was abandoned at once has no streams
    async with running(server, ()):
        async with connect(plan.nats, role="admin", credentials=plan.data / "credentials", name="test") as bus:
            await initialise_streams(bus)
        async with connect(plan.nats, role="register", credentials=plan.data / "credentials", name="test") as bus:
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

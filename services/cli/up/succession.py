"""Checks whether a register can continue with the evidence that a data folder holds of an earlier one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from services.cli.up.plan import SystemPlan
from services.cli.up.processes import SupervisedProcess, running
from services.core.bus import connect
from services.core.errors import BusError, SettingsError
from services.core.model import Register
from services.register.bus import read_register_in_force
from services.register.directory import LoadedRegister, read_directory
from services.register.versions import check_succession

_SECONDS = 30.0
"""How long the bus may take to start and to answer."""

_NAMED = 3
"""How many reasons the sentence holds: enough to see that it is another register altogether."""


async def check_evidence(plan: SystemPlan, server: SupervisedProcess) -> None:
    """Compare the register with the one in force in the folder, which is read by starting the bus alone.

    Raises SettingsError when it is not a successor of that one.
    """
    if plan.register is None or not plan.nats_store.exists():
        return
    old = None
    credentials = plan.data / "credentials"
    async with running(server, ()):
        # A folder may have been left before it had streams. If the server does not start, that is reported later.
        with suppress(BusError, TimeoutError):
            async with (
                asyncio.timeout(_SECONDS),
                connect(plan.nats, role="register", credentials=credentials, name="up") as bus,
            ):
                old = await read_register_in_force(bus)
    if old is None:
        return
    reasons = list(_reasons(plan, read_directory(plan.register), old))
    if reasons:
        more = f", and {len(reasons) - _NAMED:,} more" if len(reasons) > _NAMED else ""
        raise SettingsError(
            f"{plan.data} holds evidence that register {plan.register} cannot go on with: {'; '.join(reasons[:_NAMED])}{more}. "
            "Name another folder with --data"
        )


def _reasons(plan: SystemPlan, reading: LoadedRegister, old: Register) -> Iterator[str]:
    now, before = reading.register.policy, old.policy
    if now.government.id != before.government.id:
        yield f"it is of `{before.government.id}`, and the register is of `{now.government.id}`"
    for fault in check_succession(reading.register, reading.locations, old):
        yield fault.reason
    if (
        now.slot_seconds != before.slot_seconds
        and "collector" in plan.components
        and (plan.data / "collector").exists()
    ):
        yield f"its exchanges are counted in slots of {before.slot_seconds} s"

"""Checks whether a register can continue with the evidence that a data folder holds of an earlier one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from services.cli.up.plan import SystemPlan
from services.cli.up.processes import SupervisedProcess, running
from services.core.bus import connect
from services.core.errors import BusError, NoStreamError, SettingsError
from services.core.model import Register
from services.core.tasks import cancel_and_wait
from services.register.bus import UnverifiedError, read_verified_register
from services.register.directory import LoadedRegister, read_directory
from services.register.versions import check_succession

_SECONDS = 300.0
"""How long the bus may take to start and to answer: after a crash it reads its streams again, perhaps many gigabytes."""

_RETRY_SECONDS = 0.2

_NAMED = 3
"""How many reasons the sentence holds: enough to see that it is another register altogether."""


async def check_evidence(plan: SystemPlan, server: SupervisedProcess) -> None:
    """Compare the register with the one in force in the folder, which is read by starting the bus alone.

    Raises SettingsError when it is not a successor of that one, or that one cannot be read. Raises ComponentError when
    the bus does not start.
    """
    if plan.register is None or not plan.nats_store.exists():
        return
    async with running(server, ()) as supervisors:
        reading = asyncio.create_task(_register_in_force(plan, server))
        try:
            done, _ = await asyncio.wait([reading, *supervisors], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {reading}:
                task.result()
            old = await reading
        finally:
            await cancel_and_wait(reading)
    if old is None:
        return
    reasons = list(_reasons(plan, read_directory(plan.register), old))
    if reasons:
        more = f", and {len(reasons) - _NAMED:,} more" if len(reasons) > _NAMED else ""
        raise SettingsError(
            f"{plan.data} holds evidence that register {plan.register} cannot go on with: {'; '.join(reasons[:_NAMED])}{more}. "
            "Name another folder with --data"
        )


async def _register_in_force(plan: SystemPlan, server: SupervisedProcess) -> Register | None:
    """Return the register in force; None when the folder was left before it had one. Raises SettingsError, BusError."""
    credentials = plan.data / "credentials"
    try:
        async with (
            asyncio.timeout(_SECONDS),
            connect(plan.nats, role="register", credentials=credentials, name="up") as bus,
        ):
            while True:
                try:
                    return await read_verified_register(bus)
                except NoStreamError:
                    return None
                except UnverifiedError as error:
                    raise SettingsError(
                        f"{plan.data} holds evidence of a register that cannot be verified: {error}. Name another folder "
                        f"with --data; or, to go on in this one, start `nats-server -c {plan.data}/nats.conf` and publish "
                        f"{plan.register} to {plan.nats} with --credentials {credentials}"
                    ) from error
                except BusError:  # it answers late, or has started again
                    await asyncio.sleep(_RETRY_SECONDS)
    except TimeoutError as error:
        raise SettingsError(
            f"the bus of {plan.data} did not say within {_SECONDS:g} s which register is in force there: see {server.log}, "
            "and start again, or name another folder with --data"
        ) from error


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

"""The lease in bucket ``indicator``: one scorer of a bus publishes, and the others stand by (ADR 83, ADR 98)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from secrets import token_hex
from socket import gethostname

from services.core.bus import INDICATOR_BUCKET, LEASE_KEY, Bus, Claim
from services.core.errors import BusError
from services.core.log import Logger

LEASE_SECONDS = 6.0
"""How long the lease outlives a killed scorer. It is long enough for a renewal to fail."""

RENEWAL_SECONDS = 2.0
"""How often the lease is renewed, and how long the bus may take to answer."""


class Lease:
    """The right to publish: a key that the bus removes unless it is renewed.

    ``taken`` is set once this scorer has it.
    """

    def __init__(self, bus: Bus, *, log: Logger) -> None:
        self._bus = bus
        self._log = log
        name = f"{gethostname()} {token_hex(4)}"
        self._claim = Claim(bus, INDICATOR_BUCKET, LEASE_KEY, name=name, seconds=LEASE_SECONDS)
        self._shown = ""
        self.taken = asyncio.Event()

    async def take(self) -> bool:
        """Take the lease unless another scorer has it; return whether this scorer has it."""
        if not self.taken.is_set():
            holder = await self._ask()
            if holder == self._claim.name:
                self.taken.set()
            elif holder not in ("", self._shown):
                self._log.info("another_scorer_publishes", holder=holder)
                self._shown = holder
        return self.taken.is_set()

    async def keep(self) -> None:
        """Renew the lease until cancelled, once it is taken.

        Raises BusError when another scorer has taken it because this one did not renew it in time.
        """
        await self.taken.wait()
        pause = RENEWAL_SECONDS
        while True:
            await asyncio.sleep(pause)
            asked = time.monotonic()
            holder = await self._ask()
            # While this scorer certainly has the lease, a replica that names another scorer lags behind.
            if holder not in ("", self._claim.name) and not self._claim.held:
                raise BusError(f"another scorer publishes by now, {holder}: this one stood still")
            pause = RENEWAL_SECONDS - (time.monotonic() - asked)

    def check(self) -> None:
        """Raise BusError unless this scorer certainly has the lease, whatever the bus did since the last renewal."""
        if not self._claim.held:
            raise BusError("the lease was not renewed in time, so another scorer may publish")

    async def give_up(self) -> None:
        """Let another scorer publish at once, if this one certainly has the lease and the bus answers."""
        if self._claim.held and self._bus.connected:
            with suppress(BusError, TimeoutError):
                async with asyncio.timeout(RENEWAL_SECONDS):
                    await self._claim.give_up()

    async def _ask(self) -> str:
        """Take or renew the lease unless another scorer has it; return who has it, or "" without an answer in time."""
        try:
            async with asyncio.timeout(RENEWAL_SECONDS):
                return await self._claim.take()
        except (BusError, TimeoutError) as error:
            self._log.warning("lease_not_renewed", reason=str(error) or "no answer in time")
            return ""

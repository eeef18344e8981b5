"""The lease of the bucket ``indicator``: of the scorers of a bus, one publishes, and others wait (ADR 83)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from secrets import token_hex
from socket import gethostname

from services.core.bus import INDICATOR_BUCKET, LEASE_KEY, Bus
from services.core.errors import BusError
from services.core.log import Logger
from services.core.runtime import Health

LEASE_SECONDS = 6.0
"""How long the lease outlives a scorer that was killed, so that a few renewals may fail."""

RENEWAL_SECONDS = 2.0


class Lease:
    """The right to publish, as a key that the bus removes unless it is renewed."""

    def __init__(self, bus: Bus, *, log: Logger) -> None:
        self._bus = bus
        self._log = log
        self._name = f"{gethostname()} {token_hex(4)}"
        self._held = False

    async def take(self, health: Health) -> None:
        """Wait until no other scorer has the lease, and take it."""
        shown = ""
        while (holder := await self._claim()) != self._name:
            if holder not in ("", shown):
                self._log.warning("another_scorer_publishes", holder=holder)
                health.not_serving(f"another scorer publishes, {holder}, or did until seconds ago")
                shown = holder
            await asyncio.sleep(RENEWAL_SECONDS / 2)

    async def keep(self) -> None:
        """Renew the lease until cancelled. Raises BusError when another scorer has taken it, after this one did not renew it."""
        while True:
            holder = await self._claim()
            if holder not in ("", self._name):
                raise BusError(f"another scorer publishes by now, {holder}: run one per bus")
            await asyncio.sleep(RENEWAL_SECONDS)

    async def give_up(self) -> None:
        """Let another scorer publish at once, as far as the bus answers."""
        if self._held and self._bus.connected:
            with suppress(BusError, TimeoutError):
                async with asyncio.timeout(RENEWAL_SECONDS):
                    await self._bus.kv_delete(INDICATOR_BUCKET, LEASE_KEY)

    async def _claim(self) -> str:
        """Take or renew the lease if no other scorer has it; return who has it, "" if the bus does not say."""
        try:
            holder = await self._bus.kv_claim(INDICATOR_BUCKET, LEASE_KEY, self._name.encode(), ttl=LEASE_SECONDS)
        except BusError as error:
            self._log.warning("lease_not_renewed", reason=str(error))
            return ""
        self._held = holder == self._name.encode()
        return holder.decode(errors="replace")

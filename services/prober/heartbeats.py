"""Sends the heartbeats of this prober, and receives those of the other probers of its vantage.

Only a peer whose measurements arrive takes a share, because anyone with the seed of the vantage can send heartbeats.

While the bus is down, no heartbeats arrive. A prober keeps the last known shares until the others have been silent for
SILENT_SECONDS, as if they had died, and then probes everything. They may have died, and a target that nobody probes is
lost, whereas a target that is probed twice counts once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, time

from services.core.bus import Bus, heartbeat_subject, measurement_subject
from services.core.codec import Heartbeat, decode_heartbeat, decode_sender, encode_heartbeat
from services.core.errors import BusError
from services.core.log import Logger
from services.prober.launcher import Launcher
from services.prober.metrics import ProberMetrics
from services.prober.scheduling import HEARTBEAT_SECONDS, Membership, MembershipChange


@dataclass(frozen=True, slots=True)
class PeerHeartbeats:
    """Keeps ``membership`` current, which decides which share ``launcher`` launches."""

    vantage: str
    bus: Bus
    membership: Membership
    launcher: Launcher
    metrics: ProberMetrics
    log: Logger

    async def run(self) -> None:
        """Send and receive heartbeats until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._receive_all())
            group.create_task(self._receive_measurements())
            group.create_task(self._expire())
            group.create_task(self._send_all())

    async def leave(self) -> None:
        """Announce that this prober stops, so that the others take its share at once."""
        await self._send(leaving=True)

    async def _send_all(self) -> None:
        """Send a heartbeat every two seconds, and at once when the launcher has something to announce."""
        announce = self.launcher.announce
        while True:
            announce.clear()
            await self._send()
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await announce.wait()

    async def _send(self, *, leaving: bool = False) -> None:
        if not self.bus.connected:
            return
        origin = self.launcher.origin
        heartbeat = Heartbeat(
            vantage=self.vantage,
            prober=self.membership.prober,
            time=time(),
            started=self.membership.started,
            register_version="" if origin is None else origin.register_version,
            probe_version="" if origin is None else origin.probe_version,
            targets=self.launcher.targets,
            leaving=leaving,
            share_from=self.launcher.share_from,
        )
        try:
            await self.bus.send(heartbeat_subject(self.vantage, self.membership.prober), encode_heartbeat(heartbeat))
        except BusError as error:
            self.log.debug("heartbeat_failed", reason=str(error))

    async def _receive_all(self) -> None:
        async for payload in self.bus.listen(heartbeat_subject(self.vantage, "*")):
            try:
                heartbeat = decode_heartbeat(payload)
            except ValueError as error:
                self.log.warning("heartbeat_rejected", reason=str(error))
            else:
                self._receive(heartbeat)

    async def _receive_measurements(self) -> None:
        """Record which peers measure."""
        async for payload in self.bus.listen(measurement_subject(self.vantage, "*")):
            with suppress(ValueError):  # the scorer reports payloads that cannot be read
                self.membership.measured(decode_sender(payload).prober, monotonic())
                self.launcher.regroup()

    def _receive(self, peer: Heartbeat) -> None:
        change = self.membership.receive(peer, now=monotonic())
        if change is MembershipChange.ARRIVED:
            # A prober that has just started should not wait for our next heartbeat.
            self.launcher.announce.set()
        if change is MembershipChange.DOUBLED:
            self.log.error(
                change.value,
                peer=peer.prober,
                started=peer.started,
                advice="two processes have this --prober: both probe its whole share, so nothing is lost; rename one",
            )
        elif change is not None:
            self.log.info(change.value, peer=peer.prober, started=peer.started)
        self._regroup()

    async def _expire(self) -> None:
        while True:
            self._regroup()
            await asyncio.sleep(self.membership.next_expiry(monotonic()))
            for peer in self.membership.expire(monotonic()):
                self.log.warning("peer_lost", peer=peer.prober, started=peer.started)

    def _regroup(self) -> None:
        self.metrics.peers.set(len(self.membership))
        self.launcher.regroup()

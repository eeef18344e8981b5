"""The probers of one vantage among themselves: this one says that it is alive and hears which others are.

While the bus is down nobody is heard. A prober keeps to the last known shares until the others have been silent for
SILENT_SECONDS, as if they had died, and then probes everything: they may have, targets probed twice count once, and what
nobody probes is lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic, time

from services.core.bus import Bus, heartbeat_subject
from services.core.codec import Heartbeat, decode_heartbeat, encode_heartbeat
from services.core.errors import BusError
from services.core.log import Logger
from services.prober.metrics import ProberMetrics
from services.prober.pipeline import Probing
from services.prober.scheduling import HEARTBEAT_SECONDS, Membership, MembershipChange, Peer

__all__ = ["PeerHeartbeats"]


class PeerHeartbeats:
    """Heartbeats of one vantage, sent and heard; who is in ``roster`` decides what ``probing`` probes."""

    def __init__(
        self, vantage: str, bus: Bus, roster: Membership, probing: Probing, metrics: ProberMetrics, log: Logger
    ) -> None:
        self._vantage = vantage
        self._bus = bus
        self._roster = roster
        self._probing = probing
        self._metrics = metrics
        self._log = log

    async def run(self) -> None:
        """Send and hear heartbeats for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._miss())
            group.create_task(self._speak())

    async def leave(self) -> None:
        """Say that this prober stops, so that the others take its share at once."""
        await self._send(leaving=True)

    async def _speak(self) -> None:
        """Send a heartbeat every two seconds, and at once when there is something that the others should know."""
        news = self._probing.news
        while True:
            news.clear()
            await self._send()
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await news.wait()

    async def _send(self, *, leaving: bool = False) -> None:
        if not self._bus.connected:
            return
        origin = self._probing.origin
        heartbeat = Heartbeat(
            vantage=self._vantage,
            prober=self._roster.prober,
            time=time(),
            started=self._roster.started,
            register_version="" if origin is None else origin.register_version,
            probe_version="" if origin is None else origin.probe_version,
            targets=self._probing.targets,
            leaving=leaving,
            share_from=self._probing.share_from,
        )
        try:
            await self._bus.send(heartbeat_subject(self._vantage, self._roster.prober), encode_heartbeat(heartbeat))
        except BusError as error:
            self._log.debug("heartbeat_failed", reason=str(error))

    async def _listen(self) -> None:
        async for payload in self._bus.listen(heartbeat_subject(self._vantage, "*")):
            try:
                heartbeat = decode_heartbeat(payload)
            except ValueError as error:
                self._log.warning("heartbeat_rejected", reason=str(error))
            else:
                self._hear(heartbeat)

    def _hear(self, heartbeat: Heartbeat) -> None:
        peer = Peer(
            prober=heartbeat.prober,
            started=heartbeat.started,
            register_version=heartbeat.register_version,
            probe_version=heartbeat.probe_version,
            share_from=heartbeat.share_from,
        )
        news = self._roster.hear(peer, leaving=heartbeat.leaving, now=monotonic())
        if news is MembershipChange.ARRIVED:
            # Who has just started should not wait for our next heartbeat to learn of us.
            self._probing.news.set()
        if news is MembershipChange.DOUBLED:
            self._log.error(
                "prober_doubled",
                peer=peer.prober,
                started=peer.started,
                advice="two processes have this --prober: both probe its whole share, so nothing is lost; rename one",
            )
        elif news is not None:
            self._log.info(f"peer_{news.value}", peer=peer.prober, started=peer.started)
        self._regroup()

    async def _miss(self) -> None:
        """Notice who has fallen silent."""
        while True:
            self._regroup()
            await asyncio.sleep(self._roster.next_loss(monotonic()))
            for peer in self._roster.lose(monotonic()):
                self._log.warning("peer_lost", peer=peer.prober, started=peer.started)

    def _regroup(self) -> None:
        self._metrics.set_peers(len(self._roster))
        self._probing.regroup()

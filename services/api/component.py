"""Runs the api: listens, feeds on the bus, says how it is, and drains."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address

from services.api.access.clients import identify_by
from services.api.access.tls import credentials_by
from services.api.model.feed import Feed
from services.api.model.read_model import ReadModel
from services.api.server import Announcer, listening
from services.api.wiring import NAMES, Picture, handlers
from services.core.bus import Bus, connect_from_settings
from services.core.runtime import Runtime, parse_address

__all__ = ["LOST_SECONDS", "Readiness", "main"]

LOST_SECONDS = 10.0
"""How long the bus may bring nothing before the api says NOT_SERVING: longer than a restart of the bus takes."""

_LOOK_SECONDS = 0.2  # how often health is judged anew


class Readiness:
    """Serving means: the register and the government's indicators are there, and the bus brings newer ones.

    While the bus is gone, or there but without the buckets that are followed, the api goes on answering from memory, every
    number with its ``as_of``; after LOST_SECONDS it says NOT_SERVING so that callers who can choose ask another. The
    moments are given, in seconds of one clock.
    """

    def __init__(self) -> None:
        self._lost_since: float | None = None

    def judge(self, *, complete: bool, fed: bool, now: float) -> bool:
        """Return whether to say SERVING now."""
        if fed:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now
        return complete and (self._lost_since is None or now - self._lost_since <= LOST_SECONDS)


async def main(runtime: Runtime) -> None:
    """Serve until told to stop. Raises ListenError, BusError or SettingsError when it cannot."""
    settings, log = runtime.settings, runtime.log
    picture, announcer = Picture(runtime.registry), Announcer(NAMES, runtime.health)
    credentials = credentials_by(settings, lambda error: log.error("certificate_not_renewed", reason=str(error)))
    who = identify_by(settings)
    answering = handlers(picture, runtime.registry, log, clock=time.time, identify=who)
    await announcer.say(serving=False)
    if credentials is None and not _is_loopback(settings.listen):
        log.warning("open_to_all", listen=settings.listen, reason="whoever reaches it sees every link's target")
    work = asyncio.ensure_future(_work(runtime, picture, announcer))
    stopping = asyncio.ensure_future(runtime.stop.wait())
    try:
        async with listening(settings.listen, NAMES, answering, announcer, credentials) as port:
            log.info("listening", port=port)
            try:
                await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await announcer.drain()
                picture.hub.close()
    finally:
        # Only now: calls under way may still need the bus.
        work.cancel()
        stopping.cancel()
        await asyncio.wait({work, stopping})
    if not work.cancelled():
        work.result()


async def _work(runtime: Runtime, picture: Picture, announcer: Announcer) -> None:
    settings = runtime.settings
    async with connect_from_settings(settings, role="api", name="api") as bus:
        picture.bus = bus
        runtime.watch_bus(lambda: bus.connected)
        saying = asyncio.ensure_future(_say_health(bus, picture.model, announcer))
        try:
            await Feed(bus, picture.model, picture.hub, runtime.log).run()
        finally:
            saying.cancel()


async def _say_health(bus: Bus, model: ReadModel, announcer: Announcer) -> None:
    readiness = Readiness()
    while True:
        serving = readiness.judge(complete=model.complete, fed=bus.connected and bus.following, now=time.monotonic())
        await announcer.say(serving=serving)
        await asyncio.sleep(_LOOK_SECONDS)


def _is_loopback(where: str) -> bool:
    host, _ = parse_address(where)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

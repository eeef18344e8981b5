"""A probe within its deadline, and what there is to tell of it afterwards."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter

from services.prober.deadline import Deadline
from services.prober.observation import Cause, DnsFacts, Failure, Observation
from services.prober.transport.connection import Stream
from services.prober.transport.trail import StoppedError, Trail

__all__ = ["bounded", "observed", "since_connecting"]


async def bounded(trail: Trail, talk: Awaitable[object]) -> Failure | None:
    """Wait for a talk, until the trail's deadline at the latest. Return what stopped it, None when it ended well."""
    try:
        async with Deadline(trail.deadline):
            await talk
    except TimeoutError:
        return Failure(trail.phase, Cause.TIMEOUT, f"no end within the deadline, in phase {trail.phase.name.lower()}")
    except StoppedError as stopped:
        return stopped.failure
    return None


def observed(
    trail: Trail, failure: Failure | None, latency: float | None, *, protocol: str = "", dns: DnsFacts | None = None
) -> Observation:
    """Return what the trail holds, as the facts of a probe that ends now. ``latency`` in seconds."""
    return Observation(
        time=trail.began,
        duration=perf_counter() - trail.start,
        phases=trail.phases(),
        latency=latency,
        failure=failure,
        certificate=trail.certificate,
        addresses=tuple(trail.addresses),
        protocol=protocol,
        tls_version=trail.tls_version,
        dns=dns,
    )


def since_connecting(trail: Trail, stream: Stream) -> float:
    """Return the seconds from the start of connecting to the end of the talk over a connection that ended well."""
    return (trail.connect or 0.0) + stream.ended - stream.connected

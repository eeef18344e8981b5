"""Prepares a session: reads back the evidence of its calendar, and finds where to continue reading the streams."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from services.core.bus import EXCHANGES, MEASUREMENTS, Bus, StreamCursor
from services.core.errors import BusError, GapError
from services.core.log import Logger
from services.core.model import Register, Target
from services.core.runtime import Runtime
from services.indicator.calendar import Calendar
from services.register.bus import PREVIOUS_KEY, read_publications, read_register
from services.scorer.exchanges import ExchangeDatabase
from services.scorer.health import ReadinessReporter
from services.scorer.index import CompiledRegister, Scoring
from services.scorer.ingest import POLL_SECONDS, start_position
from services.scorer.publishing import recall
from services.scorer.state import StateManifest, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a session begins with: the evidence, and where to continue reading the streams.

    ``backlog_end`` is the last message of MEASUREMENTS at startup.
    """

    store: Store
    scoring: Scoring
    measurements: StreamCursor
    backlog_end: int
    exchanges: StreamCursor


async def resume(
    runtime: Runtime, bus: Bus, register: Register, readiness: ReadinessReporter, exchanges: ExchangeDatabase
) -> Resumed:
    """Read back the evidence of the register's calendar, and find the positions in the streams. Raises GapError, StateError."""
    calendar, log = Calendar.of(register.policy), runtime.log
    readiness.begin_phase("working out the register")
    compiled = await compiled_register(register)
    exchanges.attribute_by(compiled.attributor)

    readiness.begin_phase("reading the evidence")
    store, started = Store(runtime.settings.data, calendar), time.monotonic()
    former = await _previous_targets(bus, log) if store.is_new else ()
    loaded = await asyncio.to_thread(partial(store.load, compiled.arrays.targets, former=former))
    if loaded.manifest is not None and await _has_changed(bus, register, loaded.manifest, log):
        former = await _previous_targets(bus, log)  # the scorer may never have run under it
    log.info(
        "evidence_read",
        folder=str(store.folder),
        slots=len(loaded.slots),
        open_from=str(calendar.day_of(loaded.evidence.closed_before)),
        seconds=round(time.monotonic() - started, 3),
    )
    readiness.begin_phase("looking up the streams")
    needed_from = calendar.epoch - calendar.slot_seconds
    cursors = [
        StreamCursor(bus, stream, needed_from=needed_from, accept=runtime.settings.accept_gap)
        for stream in (MEASUREMENTS, EXCHANGES)
    ]
    # Messages that are read for the first time may hold targets of the previous register that this one no longer has.
    for targets in (former, compiled.arrays.targets):
        await asyncio.to_thread(loaded.evidence.columns.of, targets)
    loaded, position = await persistently(
        lambda: start_position(cursors[0], store, loaded, register.policy, dataset=runtime.settings.archive, log=log),
        log,
    )
    behind = await persistently(partial(cursors[0].behind, position), log)
    scoring = await asyncio.to_thread(Scoring, compiled, loaded, position)
    recalled = await persistently(partial(recall, bus, scoring, position.sequence), log)
    log.info("resumed", sequence=position.sequence, behind=behind, recalled=recalled)
    return Resumed(store, scoring, cursors[0], position.sequence + behind, cursors[1])


async def _has_changed(bus: Bus, register: Register, manifest: StateManifest, log: Logger) -> bool:
    """Return whether a register was published after the state was written, perhaps the same again or one with other endpoints."""
    if manifest.register_version != register.register_version:
        return True
    publications = await persistently(partial(read_publications, bus), log)
    return any(one.published >= manifest.time for one in publications)


async def _previous_targets(bus: Bus, log: Logger) -> Sequence[Target]:
    """Return the targets of the register before the one in force, none if there is none."""
    previous = await persistently(partial(read_register, bus, PREVIOUS_KEY), log)
    return () if previous is None else previous.targets


async def persistently(call: Callable[[], Coroutine[Any, Any, T]], log: Logger) -> T:
    """Return the result of a call that reads the bus, repeated until the bus answers. Raises GapError."""
    while True:
        try:
            return await call()
        except GapError:
            raise
        except BusError as error:
            log.warning("bus_read_failed", reason=str(error))
            await asyncio.sleep(POLL_SECONDS)


async def compiled_register(register: Register) -> CompiledRegister:
    """Compile a register in a thread."""
    compiled = await asyncio.to_thread(CompiledRegister.of, register)
    # A full garbage collection over the objects of a million links would stop every thread for two seconds or more.
    gc.freeze()
    return compiled

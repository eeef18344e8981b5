"""Runs the archive: reads the streams, keeps registers, and seals days that are over (docs/archive.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.archive.link_days import link_days
from services.archive.metrics import ArchiveMetrics
from services.archive.registers import keep_register
from services.archive.stream_archiver import StreamArchiver
from services.archive.stream_kinds import ARCHIVED_STREAMS
from services.core.bus import Bus, StreamCursor, connect_from_settings
from services.core.errors import BusError, GapError, SettingsError, StateError
from services.core.files import owned
from services.core.model import Policy, Register
from services.core.runtime import ENDING, Runtime
from services.core.tasks import cancel_and_wait, run_in_thread
from services.dataset.days import DamagedSegmentError, EvidenceDays, SealedDay, Sealer, SealingContext, run_faults
from services.dataset.log import LOG, SigningKey
from services.dataset.storage import Storage, open_storage, sole_writer
from services.indicator.calendar import Calendar
from services.indicator.method_version import METHOD_VERSION
from services.register.bus import follow_register

_POLL_SECONDS: Final = 2.0
_SEAL_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 5.0
_FEW_MESSAGES: Final = 10
"""The most deleted messages in a row that are passed over and noted as missing. A purge of more may be undone."""


class _Archive:
    """One run of the component, from startup to shutdown."""

    def __init__(self, runtime: Runtime, bus: Bus, storage: Storage, key: SigningKey) -> None:
        self._runtime, self._bus, self._storage, self._key = runtime, bus, storage, key
        self._metrics = ArchiveMetrics(runtime.registry)
        self.archivers = [
            StreamArchiver(
                storage, what, segment_seconds=runtime.settings.segment_seconds, metrics=self._metrics, log=runtime.log
            )
            for what in ARCHIVED_STREAMS
        ]
        self._days: EvidenceDays | None = None
        self._policy: Policy | None = None
        self._unkept: Register | None = None
        self._closing = 0.0
        self._sealed: Sequence[SealedDay] = ()
        self._log_read = asyncio.Event()
        self._failures: dict[str, str] = {}

    async def follow(self, later: AsyncIterator[Register]) -> None:
        """Keep the register in force, and every later one."""
        await self._keep()
        async for register in later:
            self.adopt(register)
            del register  # the next one may come in months
            await self._keep()

    def adopt(self, register: Register) -> None:
        """Date rows by the policy of a register, which ``follow`` then keeps."""
        policy = register.policy
        self._days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
        self._policy, self._unkept = policy, register

    async def read(self, archiver: StreamArchiver, needed_from: float) -> None:
        """Read one stream until cancelled."""
        stream = archiver.what.kind.stream
        accept = self._runtime.settings.accept_gap
        cursor = StreamCursor(self._bus, stream, needed_from, accept=accept, pass_deleted=_FEW_MESSAGES)
        while True:
            more = False
            try:
                if archiver.must_resume:
                    await self._log_read.wait()
                    await archiver.resume(cursor)
                    archiver.note_sealed(self._sealed)
                assert self._days is not None
                more = await archiver.take(cursor, self._days)
            except GapError:
                raise
            except (BusError, StateError) as error:
                self._fail(stream, str(error))
                await asyncio.sleep(_RETRY_SECONDS if isinstance(error, StateError) else _POLL_SECONDS)
            else:
                self._fail(stream, "")
            await asyncio.sleep(0 if more else _POLL_SECONDS)

    async def seal(self) -> None:
        """Seal every day that is over, until cancelled."""
        sealer, days, shown = None, None, False
        while True:
            try:
                if self._days is not None and self._days is not days:
                    sealer = Sealer(self._storage, self._key, self._days, self._runtime.settings.data / "sealing")
                    await run_in_thread(sealer.recover)
                    await self._note_sealed(sealer)
                    days, self._closing = self._days, 0.0
                if sealer is not None and days is not None and (await self._seal_due(sealer, days) or not shown):
                    await self._show_accounts(sealer)
                    shown = True
            except StateError as error:
                days, shown = None, False
                self._log_read.set()  # a log that cannot be read stops sealing, not reading
                self._fail("sealing", str(error))
                if isinstance(error, DamagedSegmentError):
                    for archiver in self.archivers:
                        archiver.doubt()
                if sealer is not None:
                    await self._show_over(sealer)
            else:
                self._fail("sealing", "")
            await asyncio.sleep(_SEAL_SECONDS)

    async def flush(self) -> None:
        """Write the rows in memory. Rows that cannot be written are read again after the restart."""
        for archiver in self.archivers:
            with suppress(StateError):
                if self._days is not None:
                    await archiver.write(self._days)

    async def _show_over(self, sealer: Sealer) -> None:
        """Show how many days are over although none can be sealed, which may have been so since the start."""
        if complete := min(archiver.complete_up_to for archiver in self.archivers):
            with suppress(StateError):
                self._metrics.due(len(await run_in_thread(partial(sealer.over, complete))))

    async def _show_accounts(self, sealer: Sealer) -> None:
        latest = await run_in_thread(sealer.latest)
        if latest is not None:
            await self._note_sealed(sealer)
            self._metrics.accounted(latest.runs or ())
            for fault in run_faults(latest):
                self._runtime.log.warning("batches_not_whole", day=latest.day, reason=fault)

    async def _note_sealed(self, sealer: Sealer) -> None:
        self._sealed = await run_in_thread(sealer.sealed_days)
        self._log_read.set()
        for archiver in self.archivers:
            archiver.note_sealed(self._sealed)

    async def _seal_due(self, sealer: Sealer, days: EvidenceDays) -> bool:
        """Seal the days that are due; return whether there were any."""
        complete = min(archiver.complete_up_to for archiver in self.archivers)
        if complete <= self._closing:
            return False  # no other day can be over, so no folder has to be listed
        due = await run_in_thread(partial(sealer.due, complete))
        self._metrics.due(len(due))
        if due:
            for archiver in self.archivers:
                await archiver.check()
            for archiver in self.archivers:
                await archiver.record(due)
        context = SealingContext(
            streams={archiver.what.kind.stream: archiver.created for archiver in self.archivers},
            method_version=METHOD_VERSION,
            software=version("peyvand"),
            count=partial(link_days, self._policy) if self._policy else None,
        )
        ended = max((one.end for one in self._sealed), default=0)
        for day in due:
            # Days without rows are not sealed, so the next one that is names their gaps as well.
            since, until = min(ended, days.span(day).start), days.closes(day)
            gaps = tuple(gap for archiver in self.archivers for gap in archiver.missing(since, until))
            ended = days.span(day).stop
            checkpoint = await run_in_thread(partial(sealer.seal, day, replace(context, gaps=gaps)))
            self._metrics.sealed()
            self._runtime.log.info("day_sealed", day=day, leaves=checkpoint.size)
        self._metrics.due(0)
        self._closing = days.closes_next(complete)
        return bool(due)

    async def _keep(self) -> None:
        """Write the rows of the register that was adopted last, however often that fails."""
        while self._unkept is not None:
            try:
                await run_in_thread(partial(keep_register, self._storage, self._unkept))
            except StateError as error:
                self._fail("register", str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._unkept = None
                self._fail("register", "")

    def _fail(self, what: str, reason: str) -> None:
        """Note that something fails, or, with no ``reason``, that it works again."""
        if reason and self._failures.get(what) != reason:
            self._runtime.log.warning("archiving_failed", what=what, reason=reason)
        self._failures[what] = reason
        failures = [text for text in self._failures.values() if text]
        if failures:
            self._runtime.health.not_serving(failures[0])
        elif not self._runtime.stop.is_set() and all(archiver.created for archiver in self.archivers):
            self._runtime.health.serving()


async def main(runtime: Runtime) -> None:
    """Run the archive until it is stopped. Raises PeyvandError when it cannot continue."""
    settings = runtime.settings
    if not settings.archive_key:
        raise SettingsError(
            "the archive signs what it seals: make a key with `peyvand archive key`, and name it by --archive-key"
        )
    key = SigningKey.read(Path(settings.archive_key), LOG)
    address = settings.archive or str(settings.data / "dataset")
    storage = open_storage(address)
    runtime.health.not_serving("waiting for the bus")
    async with connect_from_settings(settings, role="archive", name="archive") as bus:
        runtime.watch_bus(lambda: bus.connected)
        with owned(settings.data, "archive"), sole_writer(address, create=True):
            registers = follow_register(bus)
            archive = _Archive(runtime, bus, storage, key)
            register = await anext(registers)
            archive.adopt(register)
            epoch = Calendar.of(register.policy).epoch
            del register  # it may be large
            await _work(archive, runtime, registers, epoch)


async def _work(archive: _Archive, runtime: Runtime, registers: AsyncIterator[Register], epoch: float) -> None:
    tasks = [
        asyncio.ensure_future(work)
        for work in (
            archive.follow(registers),
            archive.seal(),
            *(archive.read(archiver, epoch) for archiver in archive.archivers),
        )
    ]
    stopping = asyncio.ensure_future(runtime.stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Nothing may write any more when the folder gets free for another archive.
        runtime.health.not_serving(ENDING)
        await cancel_and_wait(*tasks, stopping)
    for task in done - {stopping}:
        task.result()
    await archive.flush()

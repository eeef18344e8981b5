"""Publishes a register, once or whenever its files change."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import typer

from services.cli.connections import open_bus
from services.cli.render.register import epoch_note, evidence_note, register_summary, unmeasured_note
from services.core import log as logs
from services.core.bus import REGISTER_BUCKET, Bus, connect_from_settings
from services.core.codec import RegisterPublication
from services.core.errors import BusError, Fault, InputError
from services.core.model import EVIDENCE_SECONDS, Register
from services.core.settings import Settings
from services.core.texts import plural
from services.core.watched_files import file_stamps
from services.indicator.calendar import Calendar
from services.register.bus import (
    CURRENT_KEY,
    PREVIOUS_KEY,
    publish_register,
    read_before,
    read_publications,
    read_register,
    republish_if_lost,
)
from services.register.directory import LoadedRegister, read_directory
from services.register.versions import check_return, check_succession, with_removed

_POLL_SECONDS = 0.5
_KEEP_SECONDS = 60.0
_MARGIN_SECONDS = 3600.0
"""How long the scorer may take until it has read what the bus is about to drop."""
_NOT_COMPARED = (
    "the register that was in force is damaged on the bus, so this one was not compared with it, and ids that it removes "
    "are free: check it with peyvand register check --against"
)


async def run(directory: Path, settings: Settings, *, watch: bool, by: str = "", why: str = "") -> None:
    """Publish the register; with ``watch`` continue until a signal. Raises PeyvandError when it cannot be published.

    ``by`` and ``why`` are kept with the version.
    """
    if watch:
        logs.configure_logging("register", settings.log_level)
        work = asyncio.ensure_future(_watch(directory, settings))
    else:
        work = asyncio.ensure_future(_publish_now(directory, settings, by, why))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    await asyncio.wait({work})
    if not work.cancelled():
        work.result()
    elif not watch:
        raise typer.Exit(130)


async def _publish_now(directory: Path, settings: Settings, by: str, why: str) -> None:
    reading = read_directory(directory)  # refuse a bad register before waiting for the bus
    async with open_bus(settings, role="register", name="register") as bus:
        await _publish_once(bus, directory, reading, by, why)


async def _watch(directory: Path, settings: Settings, *, every: float = _KEEP_SECONDS) -> None:
    """Publish now, and again when the files have changed and then stayed the same for one poll.

    Check every ``every`` seconds whether the bus still has the register, since a bucket may have been recreated, and
    whether another one was put in force, which a register that was refused may follow.
    """
    clock = asyncio.get_running_loop().time
    tried: object = None
    published, due = None, 0.0
    refused_after: object = None  # the publications before the one that was refused
    async with connect_from_settings(settings, role="register", name="register") as bus:
        while True:
            stamp = _fingerprint(directory)
            if stamp != tried:
                if tried is not None:
                    await asyncio.sleep(_POLL_SECONDS)
                if _fingerprint(directory) == stamp:
                    try:
                        refused_after = await read_publications(bus)
                        published = await _publish_once(bus, directory, read_directory(directory))
                        tried, refused_after = stamp, None
                    except InputError as error:  # it stays bad until it changes, or what is in force does
                        typer.echo(f"{error.report()}; the register in force stays", err=True)
                        tried = stamp
                    except BusError as error:
                        typer.echo(f"{error}; trying again", err=True)
                    due = clock() + every
            elif clock() >= due:
                if published is not None:
                    await _keep(bus, directory, published)
                with suppress(BusError):
                    if refused_after is not None and await read_publications(bus) != refused_after:
                        tried = None
                due = clock() + every
            await asyncio.sleep(_POLL_SECONDS)


async def _keep(bus: Bus, directory: Path, register: Register) -> None:
    try:
        if await republish_if_lost(bus, register, now=time.time()):
            typer.echo(f"register {directory} was lost and is in force again: {register_summary(register)}")
    except BusError as error:
        typer.echo(f"{error}; trying again", err=True)


async def _publish_once(bus: Bus, directory: Path, reading: LoadedRegister, by: str = "", why: str = "") -> Register:
    register = reading.register
    now = time.time()
    found = await read_before(bus)
    before = found.register
    damaged = before is None and bool(await bus.kv_keys(REGISTER_BUCKET, CURRENT_KEY))
    known = with_removed(before, found.removed) if before and found.removed else before
    faults = check_succession(register, reading.locations, known) if known else ()
    publications = found.manifest.publications if found.manifest else ()
    was_in_force = any(one.versions == register.versions for one in publications)
    held_from = now - EVIDENCE_SECONDS + _MARGIN_SECONDS
    if was_in_force:  # it undoes publications
        faults = await _check_return(bus, reading, before, publications, held_from) if before else ()
    if faults:
        raise InputError(f"register {directory} as the successor of the one in force", faults)
    tell = partial(typer.echo, err=True)
    published = await publish_register(bus, register, now=now, by=by, why=why, before=found, tell=tell)
    state = "is in force" if published else "was already in force"
    typer.echo(f"register {directory} {state}: {register_summary(register)}")
    notes = [epoch_note(register, now)]
    if before is not None:
        notes.append(unmeasured_note(register, before, now))
        notes.append("" if was_in_force else evidence_note(register, before, held_from))
    elif damaged and not was_in_force:
        notes.append(_NOT_COMPARED)
    for note in filter(None, notes):
        tell(note)
    if reading.warnings:
        tell(f"{plural(len(reading.warnings), 'warning')}: see peyvand register check {directory}")
    return register


async def _check_return(
    bus: Bus, reading: LoadedRegister, before: Register, publications: Sequence[RegisterPublication], held_from: float
) -> tuple[Fault, ...]:
    """Return the faults of a register that was in force, as the successor of the one in force, ``before``."""
    register = reading.register
    calendar = Calendar.of(register.policy)
    if calendar == Calendar.of(before.policy):
        return ()
    previous = await read_register(bus, PREVIOUS_KEY)
    if previous is not None and calendar == Calendar.of(previous.policy):
        left = publications[0].published
    else:
        left = next(newer.published for newer, one in pairwise(publications) if one.versions == register.versions)
    return check_return(register, reading.locations, before, left=left, held_from=held_from)


def _fingerprint(directory: Path) -> object:
    try:
        paths = sorted(directory.rglob("*"))
        return paths, file_stamps(paths)
    except OSError:
        return ()

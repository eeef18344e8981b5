"""``peyvand register …``: check, publish, diff and import a register."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from services.cli.commands.bus import Credentials, Nats, bus_settings
from services.cli.connections import fetch
from services.core import log as logs
from services.core.bus import Bus, connect_from_settings
from services.core.errors import BusError, Fault, InputError, SettingsError
from services.core.model import Register
from services.core.settings import Settings
from services.core.watched_files import file_stamps
from services.register.bus import keep_register, publish_register
from services.register.directory import LoadedRegister, load_register, read_directory
from services.register.discovery import IMPORTERS, compare_members, read_lists, write_files
from services.register.reading import read_day
from services.register.versions import check_succession as check_against
from services.register.versions import diff_registers

__all__ = ["app"]

app = typer.Typer(help="Check, publish, compare and import registers.", no_args_is_help=True)

_LOOK_SECONDS = 0.5
_KEEP_SECONDS = 60.0
_DEADLINE_SECONDS = 30.0
_URL = re.compile(r"https?://")

Directory = Annotated[Path, typer.Argument(help="A register directory.")]


@app.command()
def check(
    directory: Directory,
    old: Annotated[Path | None, typer.Option("--against", help="The register this one is to follow.")] = None,
) -> None:
    """Say whether a register is good, and list every fault if not."""
    reading = _checked(directory, old)
    typer.echo(f"register {directory} is good: {_summary(reading.register)}")


@app.command()
def publish(
    directory: Directory,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and publish whenever the files change.")] = False,
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Put a register in force."""
    settings = bus_settings(nats, credentials)
    logs.configure_logging("register", settings.log_level)
    asyncio.run(_publish(directory, settings, watch=watch))


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="A", help="The older register directory.")],
    new: Annotated[Path, typer.Argument(metavar="B", help="The newer register directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how two registers differ, and the size of the denominator in both."""
    found = diff_registers(load_register(old), load_register(new))
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        for line in found.lines():
            typer.echo(line)


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(IMPORTERS)}.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE…|URL…", help="The catalogue, or the lists of X-Road.")],
    out: Annotated[Path | None, typer.Option(help="The new register directory.")] = None,
    epoch: Annotated[str, typer.Option(help="First day of the new register; today by default.")] = "",
    against: Annotated[
        Path | None, typer.Option(help="With xroad: a register whose members.csv is compared; nothing is written.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --against: print JSON.")] = False,
) -> None:
    """Make a register directory of a public catalogue, and list what is left out and why; or compare one with X-Road's lists."""
    importer = IMPORTERS.get(kind)
    if importer is None:
        raise SettingsError(f"there is no importer `{kind}`: use {', '.join(IMPORTERS)}")
    if against is not None:
        if kind != "xroad" or out is not None:
            raise SettingsError(
                "--against compares what `xroad` lists and writes nothing: give neither --out nor another kind"
            )
        with _at_hand(files) as paths:
            _compare(paths, against, as_json=as_json)
        return
    if out is None or as_json:
        raise SettingsError("an import needs --out, the new register directory, and --json goes with --against alone")
    with _at_hand(files) as paths:
        found = importer(paths, _epoch(epoch))
    write_files(found.files, out)
    for left_out in found.left_out:
        typer.echo(left_out)
    register = load_register(out)
    typer.echo(f"register {out} is written, {len(found.left_out)} entries left out: {_summary(register)}")


@contextmanager
def _at_hand(files: list[str]) -> Iterator[list[Path]]:
    """Give the files as paths, those that are URLs fetched for as long as that lasts."""
    with TemporaryDirectory() as fetched:
        yield [fetch(file, Path(fetched)) if _URL.match(file) else Path(file) for file in files]


def _compare(files: list[Path], old: Path, *, as_json: bool) -> None:
    """Print how members.csv of a register differs from what X-Road lists."""
    directory = read_lists(files)
    if not directory.instances:
        reason = "it lists no clients: name the answer of listClients, or shared-params.xml"
        raise InputError("what X-Road lists", [Fault(str(files[0]), 0, 0, reason)])
    found = compare_members(directory, load_register(old).members)
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        for line in found.lines():
            typer.echo(line)


def _epoch(text: str) -> date:
    if not text:
        return datetime.now(UTC).date()
    try:
        return read_day(text)
    except ValueError as error:
        raise SettingsError(f"--epoch: {error}") from error


def _checked(directory: Path, old: Path | None) -> LoadedRegister:
    reading = read_directory(directory)
    if old is not None and (faults := check_against(reading.register, reading.places, load_register(old))):
        raise InputError(f"register {directory} as the successor of {old}", faults)
    return reading


def _summary(register: Register) -> str:
    absent = sum(link.absent for link in register.links.values())
    sectors = _count(len({agency.sector for agency in register.agencies.values()}), "sector")
    rounds = () if register.evaluation is None else (_count(len(register.evaluation.rounds), "official round"),)
    counts = (
        f"{_count(len(register.agencies), 'agency', 'agencies')} in {sectors}",
        _count(len(register.services), "service"),
        f"{_count(len(register.links), 'link')} ({absent} absent)",
        _count(len(register.endpoints), "endpoint"),
        _count(len(register.probes), "probe"),
        _count(len(register.policy.vantages), "vantage"),
        *rounds,
    )
    versions = f"register_version {register.register_version}\nprobe_version    {register.probe_version}"
    return f"{', '.join(counts)}\n{versions}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"


async def _publish(directory: Path, settings: Settings, *, watch: bool) -> None:
    work = asyncio.ensure_future(_watch(directory, settings) if watch else _publish_now(directory, settings))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    await asyncio.wait({work})
    if not work.cancelled():
        work.result()
    elif not watch:
        raise typer.Exit(130)


async def _publish_now(directory: Path, settings: Settings) -> None:
    load_register(directory)  # a bad register is refused before anybody waits for the bus
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), _bus(settings) as bus:
            await _publish_once(bus, directory)
    except TimeoutError as error:
        what = f"publishing register {directory} did not end within {_DEADLINE_SECONDS:g} s"
        raise BusError(f"{what}: is the bus at {settings.nats} running?") from error


async def _watch(directory: Path, settings: Settings, *, every: float = _KEEP_SECONDS) -> None:
    """Publish now, and again whenever the files have changed and then been still for one look.

    Look ``every`` so many seconds whether the bus still has what was published: a bucket may have been made anew.
    """
    clock = asyncio.get_running_loop().time
    done: object = None
    published, due = None, 0.0
    async with _bus(settings) as bus:
        while True:
            seen = _fingerprint(directory)
            if seen != done:
                if done is not None:
                    await asyncio.sleep(_LOOK_SECONDS)
                if _fingerprint(directory) == seen:
                    try:
                        published = await _publish_once(bus, directory)
                        done, due = seen, clock() + every
                    except InputError as error:  # a bad register stays bad until it changes
                        typer.echo(f"{error.report()}; the register in force stays", err=True)
                        done = seen
                    except BusError as error:
                        typer.echo(f"{error}; trying again", err=True)
            elif published is not None and clock() >= due:
                await _keep(bus, directory, published)
                due = clock() + every
            await asyncio.sleep(_LOOK_SECONDS)


async def _keep(bus: Bus, directory: Path, register: Register) -> None:
    try:
        if await keep_register(bus, register, now=time.time()):
            typer.echo(f"register {directory} was lost and is in force again: {_summary(register)}")
    except BusError as error:
        typer.echo(f"{error}; trying again", err=True)


async def _publish_once(bus: Bus, directory: Path) -> Register:
    register = load_register(directory)
    published = await publish_register(bus, register, now=time.time())
    state = "is in force" if published else "was already in force"
    typer.echo(f"register {directory} {state}: {_summary(register)}")
    return register


def _bus(settings: Settings) -> AbstractAsyncContextManager[Bus]:
    return connect_from_settings(settings, role="register", name="register")


def _fingerprint(directory: Path) -> object:
    try:
        paths = sorted(directory.rglob("*"))
        return paths, file_stamps(paths)
    except OSError:
        return ()

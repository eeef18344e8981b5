"""Faults of files: a file is damaged while its process is down, or a bucket loses its keys."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import nats.errors

from services.archive.saved_positions import READ_AT_START
from services.core.bus.names import INDICATOR_BUCKET, REGISTER_BUCKET, kv_stream
from services.core.files import DAMAGED, PART
from tests.chaos.schedule import Fault
from tests.chaos.world import World
from tests.support.paths import ROOT

NAME = "files"
_VICTIMS = ("scorer", "collector", "prober", "archive", REGISTER_BUCKET, INDICATOR_BUCKET)
_BUCKETS = (REGISTER_BUCKET, INDICATOR_BUCKET)
_AGE_SECONDS = 3.0
"""How old an old copy is."""

_ATTEMPTS = 10
"""How often an operator retries a request that the bus refuses. Each attempt takes seconds while it is down."""

_OWN = ("lock", PART, DAMAGED)
"""Endings of files that are not read: locks, leftovers of a crash, and files that were set aside."""


def _truncated(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))] if content else content


def _flipped(content: bytes, chance: random.Random) -> bytes:
    if not content:
        return content
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


_DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncate": _truncated,
    "empty": lambda _content, _chance: b"",
    "flip": _flipped,
    "zero": lambda content, _chance: bytes(len(content)),
}
_ACTIONS = (*_DAMAGES, "remove", "age")


def draw(chance: random.Random) -> Fault:
    """Draw a fault."""
    victim = chance.choice(_VICTIMS)
    if victim in _BUCKETS:
        return Fault(NAME, "purge", victim)
    action = chance.choice(_ACTIONS)
    return Fault(NAME, action, victim, _AGE_SECONDS if action == "age" else 0.0)


async def inject(world: World, fault: Fault) -> str:
    """Damage one file of the victim, chosen by chance, or purge a bucket."""
    if fault.victim in _BUCKETS:
        return await _purge(world, fault.victim)
    if fault.victim == "prober":
        # A spool is empty while the bus accepts everything.
        for name in world.servers.names:
            world.processes[name].signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(_AGE_SECONDS)
            await _damage(world, fault)
        finally:
            for name in world.servers.names:
                world.processes[name].signal(signal.SIGCONT)
        return ""
    await _damage(world, fault)
    return ""


async def _damage(world: World, fault: Fault) -> None:
    chance = random.Random(f"{world.seed} {fault.number} file")
    before: dict[Path, bytes] = {}
    if fault.action == "age":
        before = {file: file.read_bytes() for file in _files(world, fault.victim)}
        await asyncio.sleep(fault.seconds)
    with world.processes[fault.victim].held_down():
        files = _files(world, fault.victim)
        if not files:
            return
        file = chance.choice([one for one in files if one in before] or files)
        world.notes.append(f"{fault.action} {file.relative_to(world.folder)}")
        if fault.action == "remove":
            file.unlink()
        elif fault.action == "age":
            file.write_bytes(before.get(file, b""))
        else:
            file.write_bytes(_DAMAGES[fault.action](file.read_bytes(), chance))
            if fault.victim == "archive" and file not in _read_at_startup(files, file):
                world.until_sealed.add(file)


def _files(world: World, victim: str) -> list[Path]:
    if victim == "archive":
        return sorted(world.dataset.glob("open/**/*.parquet"))
    return sorted(
        file for file in world.folder_of(victim).rglob("*") if file.is_file() and not file.name.endswith(_OWN)
    )


def _read_at_startup(files: Sequence[Path], like: Path) -> list[Path]:
    """Return the segments of the same kind as one of them that the archive reads at startup."""
    same = [file for file in files if file.parent.parent.name == like.parent.parent.name]
    return sorted(same, key=lambda file: int(file.stem.split("-")[1]))[-READ_AT_START:]


async def _purge(world: World, bucket: str) -> str:
    """Empty a bucket, as somebody with the seed of admin may by mistake. Then publish a lost register again."""
    async with world.servers.connect("admin") as bus:
        for _ in range(_ATTEMPTS):
            with suppress(nats.errors.Error, TimeoutError):  # while its servers are down, or have no leader
                await bus.jetstream.purge_stream(kv_stream(bucket))
                break
    if bucket != REGISTER_BUCKET:
        return ""
    where = (f"--nats={world.proxies['scorer'].url}", f"--credentials={world.servers.credentials}")
    command = [sys.executable, "-m", "services.cli", "register", "publish", str(world.sandbox / "register"), *where]
    for _ in range(_ATTEMPTS):
        done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
    return f"publishing the register again failed: {done.stderr}"

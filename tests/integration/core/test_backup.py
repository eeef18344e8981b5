"""A restored backup of a real bus and a scorer's state gives the same index, and scoring continues."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from services.core.bus import Bus, snapshots
from services.core.bus.names import FINDINGS, MEASUREMENTS, finding_subject, indicator_subject
from services.core.bus.snapshots import restore_stream, save_stream
from services.core.bus.topology import initialise_streams, stream_configs
from services.core.codec import indicator_to_json
from services.core.errors import BusError, StateError
from services.core.model.measurement import Measurement
from services.core.model.outcome import Reason
from tests.integration.scorer.test_equality import settled
from tests.support.cases.scorer import SLOT, Scorer, blocks, make_register, measure, put, register_on
from tests.support.forked import run
from tests.support.nats import Nats
from tests.support.servers.deployed_nats import Deployed, deployed, initialised
from tests.support.waiting import DEADLINE, eventually

TARGETS = ("birth-tax", "deed-civil", "deed-tax", "transfer-civil", "clearance-land")


def _rows(seed: int, ages: range) -> Iterator[Measurement]:
    chance, now = random.Random(seed), int(time.time())
    for _ in range(300):
        slot = (now - chance.randrange(ages.start, ages.stop)) // SLOT - 1
        yield measure(chance.choice(TARGETS), slot, chance.choice([Reason.OK, Reason.OK, Reason.STATUS]))


async def _kept(bus: Bus, folder: Path) -> dict[str, int]:
    return {
        str(config.name): await save_stream(bus, str(config.name), folder / str(config.name))
        for config in stream_configs(1)
    }


async def _published(bus: Bus) -> list[str]:
    return sorted(indicator_to_json(one) for block in (await blocks(bus)).values() for one in block.indicators)


async def test_a_restored_bus_gives_the_same_index_and_goes_on(nats: Nats, tmp_path: Path) -> None:
    """Streams and buckets are restored with every sequence, the scorer's manifest is valid, and new measurements count."""
    register = await register_on(nats, make_register(tmp_path / "register"))
    scorer = Scorer(nats, tmp_path / "scorer")
    scorer.start()
    async with nats.connect("prober") as prober, nats.connect("api") as reader:
        for seed in range(3):
            last = await put(prober, _rows(seed, range(60, 1200)))
        await eventually(lambda: settled(reader, register, last), "the index of all that was put")
        assert (await scorer.stop())[0] == 0
        published = await _published(reader)
    shutil.copytree(scorer.data, tmp_path / "scorer-kept")
    async with nats.connect("admin") as admin:
        kept = await _kept(admin, tmp_path / "kept")
    assert kept[MEASUREMENTS] == last

    nats.kill()
    shutil.rmtree(nats.folder / "store")
    shutil.rmtree(scorer.data)
    nats.start()
    async with nats.connect("admin") as admin:
        await initialise_streams(admin)  # as a deployment does before anybody restores
        assert {name: await restore_stream(admin, tmp_path / "kept" / name) for name in kept} == kept
        await initialise_streams(admin)
    shutil.copytree(tmp_path / "scorer-kept", scorer.data)
    async with nats.connect("prober") as prober, nats.connect("api") as reader:
        assert await _published(reader) == published
        scorer.start()
        assert await put(prober, _rows(9, range(30, 600))) == last + 1
        after = await eventually(lambda: settled(reader, register, last + 1), "the index of what came after")
        assert after
        assert (await scorer.stop())[0] == 0
    assert "gap" not in (scorer.data / "scorer.log").read_text()


async def test_what_is_there_is_never_restored_over(nats: Nats, tmp_path: Path) -> None:
    """A stream with messages is kept, a folder that is no backup is refused, and a backup is never overwritten."""
    async with nats.connect("prober") as prober:
        await put(prober, _rows(1, range(60, 120)))
    async with nats.connect("admin") as admin:
        await _kept(admin, tmp_path / "kept")
        with pytest.raises(BusError, match=r"the bus has held messages \(MEASUREMENTS: 1\), and only an empty one"):
            await restore_stream(admin, tmp_path / "kept" / MEASUREMENTS)
        with pytest.raises(StateError, match="does not hold a stream as `peyvand bus backup` keeps it"):
            await restore_stream(admin, tmp_path)
        with pytest.raises(StateError, match=r"keeping stream MEASUREMENTS in .* failed: File exists"):
            await save_stream(admin, MEASUREMENTS, tmp_path / "kept" / MEASUREMENTS)
        with pytest.raises(BusError, match="keeping stream NONE failed: stream not found"):
            await save_stream(admin, "NONE", tmp_path / "none")


async def test_a_bus_that_is_not_empty_is_refused_whole(nats: Nats, tmp_path: Path) -> None:
    """Each stream that has held messages is named, also one that the backup lacks, and no stream is restored."""
    async with nats.connect("prober") as prober:
        await put(prober, _rows(1, range(60, 120)))
    async with nats.connect("admin") as admin:
        for name in await _kept(admin, tmp_path / "kept"):
            await admin.jetstream.delete_stream(name)
        shutil.rmtree(tmp_path / "kept" / FINDINGS)
        await initialise_streams(admin)
    async with nats.connect("scorer") as scorer:
        await scorer.publish(indicator_subject("government", "government", 7), b"", message_id="1")
        await scorer.publish(finding_subject("flow", "1"), b"", message_id="2")
        await scorer.publish(finding_subject("flow", "1"), b"", message_id="3")
    command = ("bus", "restore", tmp_path / "kept", "--nats", nats.url, "--credentials", nats.credentials)
    refused = await asyncio.to_thread(run, "services.cli", *command)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "peyvand: the bus has held messages (INDICATORS: 1, FINDINGS: 2), and only an empty one can be restored: stop its "
        "servers and remove their store, or name another with --nats\n"
    )
    async with nats.connect("admin") as admin:
        assert (await admin.stream_state(MEASUREMENTS)).last == 0


async def test_a_backup_by_an_earlier_version_is_restored_and_one_that_lacks_more_is_not(
    nats: Nats, tmp_path: Path
) -> None:
    """A stream that version 0.2.0 did not have may be missing. Without another one nothing is restored."""
    async with nats.connect("prober") as prober:
        await put(prober, _rows(1, range(60, 120)))
    async with nats.connect("admin") as admin:
        kept = await _kept(admin, tmp_path / "kept")
        for name in kept:
            await admin.jetstream.delete_stream(name)
        await initialise_streams(admin)
        shutil.rmtree(tmp_path / "kept" / FINDINGS)
        (tmp_path / "kept" / "KV_register").rename(tmp_path / "register")
        command = ("bus", "restore", tmp_path / "kept", "--nats", nats.url, "--credentials", nats.credentials)
        refused = await asyncio.to_thread(run, "services.cli", *command)
        assert (refused.returncode, refused.stderr) == (
            1,
            f"peyvand: the backup {tmp_path / 'kept'} lacks KV_register, and nothing was restored: name one that holds every stream\n",
        )
        assert (await admin.stream_state(MEASUREMENTS)).last == 0
        (tmp_path / "register").rename(tmp_path / "kept" / "KV_register")
        restored = await asyncio.to_thread(run, "services.cli", *command)
        assert (restored.returncode, restored.stderr) == (
            0,
            "FINDINGS: not in the backup, which an earlier version made; `peyvand bus init` creates it\n",
        )
        assert (await admin.stream_state(MEASUREMENTS)).last == kept[MEASUREMENTS]


async def test_a_backup_is_on_disk_before_it_is_said_to_be_kept(
    nats: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive is synced before the description that completes it, and then the new names up to the oldest folder."""
    done, sizes, sync, rename = list[str](), dict[Path, int](), os.fsync, Path.replace

    def name(path: Path) -> str:
        return str(path.relative_to(tmp_path))

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        sizes[path] = os.fstat(descriptor).st_size
        done.append(f"sync {name(path)}")
        sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        done.append(f"name {name(target)}")
        return rename(path, target)

    async with nats.connect("prober") as prober:
        await put(prober, _rows(1, range(60, 120)))
    async with nats.connect("admin") as admin:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            patch.setattr(Path, "replace", replace)
            await save_stream(admin, MEASUREMENTS, tmp_path / "new" / "kept" / "M")
    assert done == [
        "sync new/kept/M/stream.tar.s2",
        "sync new/kept/M/backup.json.part",
        "name new/kept/M/backup.json",
        "sync new/kept/M",
        "sync new/kept",
        "sync new",
        "sync .",
    ]
    archive = tmp_path / "new" / "kept" / "M" / "stream.tar.s2"
    assert sizes[archive] == archive.stat().st_size


async def test_a_server_that_listens_late_for_the_chunks_is_waited_for(
    nats: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore waits for a server that listens late for its chunks, as can happen in a cluster."""
    async with nats.connect("prober") as prober:
        last = await put(prober, _rows(1, range(60, 120)))
    async with nats.connect("admin") as admin:
        kept = tmp_path / MEASUREMENTS
        await save_stream(admin, MEASUREMENTS, kept)
        await admin.jetstream.delete_stream(MEASUREMENTS)
        ask, unheard = admin.client.request, [2]

        async def request(subject: str, payload: bytes, timeout: float) -> Msg:
            if not subject.startswith("$JS.API") and unheard[0]:
                unheard[0] -= 1
                raise NoRespondersError
            return await ask(subject, payload, timeout=timeout)

        monkeypatch.setattr(admin.client, "request", request)
        assert await restore_stream(admin, kept) == last
        assert unheard == [0]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Deployed]:
    """Three servers by deploy/nats/cluster.conf."""
    with deployed(tmp_path / "cluster", "cluster.conf", 3) as servers:
        yield servers


@pytest.mark.slow
async def test_a_restore_waits_until_the_cluster_has_a_leader(
    nats: Nats, cluster: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster without a leader loses a request to restore, so none is sent before it has one."""
    monkeypatch.setattr(snapshots, "_LEADER_SECONDS", DEADLINE)
    kept = tmp_path / MEASUREMENTS
    async with nats.connect("prober") as prober:
        last = await put(prober, _rows(1, range(60, 120)))
    async with nats.connect("admin") as admin:
        await save_stream(admin, MEASUREMENTS, kept)
    for node in (1, 2):
        cluster.kill(node)
    async with cluster.connect("admin") as admin:
        ask, asked = admin.client.request, list[str]()

        async def request(subject: str, payload: bytes, timeout: float) -> Msg:
            asked.append(subject)
            return await ask(subject, payload, timeout=timeout)

        monkeypatch.setattr(admin.client, "request", request)
        restoring = asyncio.create_task(restore_stream(admin, kept))
        await eventually(lambda: len(asked) > 1, "a second request, as the first was not answered")
        for node in (1, 2):
            cluster.start(node)
        assert await restoring == last


@pytest.mark.slow
async def test_a_cluster_takes_what_a_single_server_kept(nats: Nats, cluster: Deployed, tmp_path: Path) -> None:
    """A backup of one server is restored on three, by the commands of docs/operating.md, with three replicas."""
    async with nats.connect("prober") as prober:
        last = await put(prober, _rows(1, range(60, 120)))
    async with nats.connect("admin") as admin:
        await _kept(admin, tmp_path / "kept")
    async with cluster.connect("admin") as admin:
        await initialised(admin, replicas=3)
    assert f"MEASUREMENTS: restored up to message {last}" in cluster.peyvand(
        "admin", "bus", "restore", str(tmp_path / "kept")
    )
    cluster.peyvand("admin", "bus", "init", "--replicas", "3")
    async with cluster.connect("admin") as admin:
        state = await admin.stream_state(MEASUREMENTS)
        assert (state.first, state.last) == (1, last)
        assert (await admin.jetstream.stream_info(MEASUREMENTS)).config.num_replicas == 3

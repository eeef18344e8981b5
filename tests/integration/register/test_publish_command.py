"""`peyvand register publish`, once and watching."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.cli.register_publisher import _watch
from services.core.bus.names import REGISTER_BUCKET, kv_stream
from services.core.bus.topology import initialise_streams
from services.core.codec import decode_manifest
from services.core.model import Holiday
from services.core.settings import load_settings
from services.register.bus.publish import publish_register, republish_if_lost
from services.register.bus.read import CURRENT_KEY
from services.register.directory.load import load_register
from tests.support.cases.registers.published import CHANGES, followed, register_in_force
from tests.support.forked import ForkedProcess, run
from tests.support.registers import write_register
from tests.support.waiting import DEADLINE, eventually


async def test_publishing_tells_what_becomes_unknown(nats: Any, tmp_path: Path) -> None:
    """A link that counts from days on which nobody measured is named at its first publication, but not at a repeated
    one.
    """
    built = ("customs,liens,,,,,,", "customs,liens,,,always,page,http://a.example/,")
    new = write_register(tmp_path / "new", links_csv=built)
    async with nats.connect("register") as bus:
        await publish_register(bus, load_register(write_register(tmp_path / "old")), now=1_700_000_000.0)
    command = ("register", "publish", new, "--nats", nats.url, "--credentials", nats.credentials)
    first, again = [await asyncio.to_thread(run, "services.cli", *command) for _ in range(2)]
    assert (first.returncode, again.returncode) == (0, 0)
    assert first.stderr.startswith(
        "1 link would count from days on which nobody measured: transfer-customs. Of the last"
    )
    assert again.stderr == ""


async def test_a_publication_that_waits_for_another_says_so_once(nats: Any, tmp_path: Path) -> None:
    """While another process publishes, one line on stderr says what the command waits for; then it publishes."""
    directory, errors = write_register(tmp_path / "register"), tmp_path / "errors"
    arguments = ("publish", directory, "--nats", nats.url, "--credentials", nats.credentials)
    async with nats.connect("register") as bus:
        await bus.kv_put(REGISTER_BUCKET, "publishing", b"another")
        process = ForkedProcess("services.cli", "register", *arguments, stderr=errors)
        try:
            await eventually(errors.read_text, "a line on stderr")
            await bus.kv_delete(REGISTER_BUCKET, "publishing")
            assert await asyncio.to_thread(process.wait, DEADLINE) == 0
        finally:
            process.kill()
        assert await register_in_force(bus) == load_register(directory)
    assert (
        errors.read_text("utf-8") == "waiting until another process has published a register; 10 s if that was killed\n"
    )


async def test_only_a_successor_is_put_in_force(nats: Any, tmp_path: Path) -> None:
    """A register that gives a link another meaning, or slots another length, is refused, and the version in force stays."""
    directory = write_register(tmp_path / "register")
    in_force = load_register(directory)
    command = ("register", "publish", directory, "--nats", nats.url, "--credentials", nats.credentials)
    async with nats.connect("register") as bus:
        await publish_register(bus, in_force, now=1_700_000_000.0)
        write_register(
            directory,
            links_csv=("tax-office,tax-clearance,", "customs,tax-clearance,"),
            policy_yaml=("slot_seconds: 300", "slot_seconds: 600"),
        )
        refused = await asyncio.to_thread(run, "services.cli", *command)
        assert await register_in_force(bus) == in_force
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines() == [
        (
            f"{directory}/links.csv:4:1: id: link `deed-tax` changes provider from `tax-office` to `customs`: "
            "end it and give the new link another id"
        ),
        f"{directory}/policy.yaml:4:15: slot_seconds: a change from 300 to 600 needs a later epoch",
        f"register {directory} as the successor of the one in force is refused: 2 faults",
    ]


@pytest.mark.parametrize("part", ["manifest", "chunk"])
async def test_a_publication_over_a_damaged_register_says_so(nats: Any, tmp_path: Path, part: str) -> None:
    """A register that follows one that cannot be read comes into force, and a line says that they were not compared."""
    old, new = write_register(tmp_path / "old"), write_register(tmp_path / "new", links_csv=CHANGES)
    async with nats.connect("register") as bus:
        await publish_register(bus, load_register(old), now=1_700_000_000.0)
        damaged = CURRENT_KEY
        if part == "chunk":
            damaged = decode_manifest(await bus.kv_get(REGISTER_BUCKET, CURRENT_KEY) or b"").chunks[0].key
        await bus.kv_put(REGISTER_BUCKET, damaged, b"damaged")
        command = ("register", "publish", new, "--nats", nats.url, "--credentials", nats.credentials)
        first, again = [await asyncio.to_thread(run, "services.cli", *command) for _ in range(2)]
        assert (first.returncode, again.returncode) == (0, 0)
        assert first.stderr.startswith(
            "the register that was in force is damaged on the bus, so this one was not compared"
        )
        assert "damaged" not in again.stderr
        assert await register_in_force(bus) == load_register(new)


async def test_publications_can_be_undone(nats: Any, tmp_path: Path) -> None:
    """Every register that was in force is put in force again, although its epoch is earlier; no other one is."""
    other = write_register(tmp_path / "other", links_csv=CHANGES)
    earlier = write_register(tmp_path / "earlier")
    days = ("02", "03")
    later = [write_register(tmp_path / day, policy_yaml=("epoch: 2026-01-01", f"epoch: 2026-01-{day}")) for day in days]
    async with nats.connect("register") as bus:
        for directory in (earlier, *later):
            await publish_register(bus, load_register(directory), now=time.time())
        assert (await _publish(nats, other)).returncode == 1
        for directory in (later[0], earlier):
            assert (await _publish(nats, directory)).returncode == 0
            assert await register_in_force(bus) == load_register(directory)


@pytest.mark.parametrize("directly", [True, False])
@pytest.mark.parametrize("days", [3, 8])
async def test_a_calendar_comes_back_while_the_bus_holds_what_came_since(
    nats: Any, tmp_path: Path, days: int, *, directly: bool
) -> None:
    """A register with an earlier epoch is put in force again within the days for which the bus keeps measurements, and
    refused afterwards: the scorer would lack those in between, and stop.
    """
    earlier = write_register(tmp_path / "earlier")
    between = write_register(tmp_path / "between", policy_yaml=("epoch: 2026-01-01", "epoch: 2026-02-02"))
    later = write_register(tmp_path / "later", policy_yaml=("epoch: 2026-01-01", "epoch: 2026-02-03"))
    replaced = time.time() - days * 86_400
    async with nats.connect("register") as bus:
        await publish_register(bus, load_register(earlier), now=replaced - 86_400)
        if not directly:
            await publish_register(bus, load_register(between), now=replaced)
        await publish_register(bus, load_register(later), now=replaced + (0 if directly else 86_400))
        again = await _publish(nats, earlier)
        in_force = await register_in_force(bus)
    assert in_force == load_register(later if days == 8 else earlier)
    if days == 8:
        assert again.stderr.splitlines() == [
            (
                f"{earlier}/policy.yaml:3:8: epoch: since {time.strftime('%Y-%m-%d %H:%M', time.gmtime(replaced))} UTC "
                "registers with another epoch, slot length or timezone were in force, and the bus no longer holds all "
                "measurements since then: set 2026-02-02 20:30 UTC, the epoch in force"
            ),
            f"register {earlier} as the successor of the one in force is refused: 1 fault",
        ]


async def test_publishing_tells_which_measurements_the_bus_lacks(nats: Any, tmp_path: Path) -> None:
    """A later epoch from before what the bus holds is put in force with a note: only a scorer with an archive goes on."""
    first = write_register(tmp_path / "first")
    later = write_register(tmp_path / "later", policy_yaml=("epoch: 2026-01-01", "epoch: 2026-02-03"))
    async with nats.connect("register") as bus:
        await publish_register(bus, load_register(first), now=1_700_000_000.0)
    published = await _publish(nats, later)
    assert published.returncode == 0
    assert published.stderr.startswith(
        "the bus no longer holds all measurements since the epoch, 2026-02-02 20:30 UTC, so a scorer without the setting "
        "archive ends: set an epoch after 20"
    )


async def test_an_id_that_was_removed_is_not_used_again(nats: Any, tmp_path: Path) -> None:
    """A link that some earlier register had gets no other meaning, however many came between. It may come back."""
    link = "transfer-customs,title-transfer,customs,liens"
    without = (f"{link},,,,,,,,,,,\n", "")
    first = write_register(tmp_path / "first")
    second = write_register(tmp_path / "second", links_csv=without)
    third = write_register(tmp_path / "third", links_csv=without, agencies_csv=("Customs", "Customs Office"))
    other = write_register(tmp_path / "other", links_csv=(link, "transfer-customs,title-deed,customs,liens"))
    async with nats.connect("register") as bus:
        for directory in (first, second, third, second, third):
            assert (await _publish(nats, directory)).returncode == 0
            refused = await _publish(nats, other)
            assert refused.returncode == 1
            assert refused.stderr.startswith(f"{other}/links.csv:6:1: id: link `transfer-customs` changes service from")
            assert await register_in_force(bus) == load_register(directory)
    assert (await _publish(nats, first)).returncode == 0


async def _publish(nats: Any, directory: Path) -> subprocess.CompletedProcess[str]:
    command = ("register", "publish", directory, "--nats", nats.url, "--credentials", nats.credentials)
    return await asyncio.to_thread(run, "services.cli", *command)


async def test_the_watching_command(nats: Any, tmp_path: Path) -> None:
    """`register publish --watch` publishes, republishes a change, refuses a bad one with its faults, and ends on SIGTERM."""
    directory = write_register(tmp_path / "register")
    arguments = ["publish", directory, "--watch", "--nats", nats.url, "--credentials", nats.credentials]
    errors = tmp_path / "errors"
    process = ForkedProcess("services.cli", "register", *arguments, stderr=errors)
    try:
        async with asyncio.timeout(DEADLINE), nats.connect("scorer") as bus:
            versions = followed(bus)
            assert await anext(versions) == load_register(directory)
            write_register(directory, links_csv=CHANGES)
            assert await anext(versions) == load_register(directory)
            in_force = load_register(directory)
            write_register(directory, links_csv=(",0.99,2", ",1.99,-2"))
            await eventually(lambda: b"weight: `-2` is negative" in errors.read_bytes(), "the refusal")
            assert b"slo: `1.99` is not between 0 and 1" in errors.read_bytes()
            assert await register_in_force(bus) == in_force
            write_register(directory)
            assert (await anext(versions)).links["deed-tax"].weight == 2.0
            await versions.aclose()
    finally:
        process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, DEADLINE) == 0


async def test_a_refused_register_is_tried_again_after_another_one(
    nats: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`register publish --watch` publishes a register that must not follow the one in force once it may follow another."""
    directory = write_register(tmp_path / "register")
    moved, other = (
        load_register(write_register(tmp_path / name, links_csv=change))
        for name, change in (("moved", ("tax-office,tax-clearance,", "customs,tax-clearance,")), ("other", CHANGES))
    )
    settings = load_settings("bus", ["--nats", nats.url, "--credentials", str(nats.credentials)], {})
    async with asyncio.timeout(DEADLINE), nats.connect("register") as bus, nats.connect("scorer") as reader:
        await publish_register(bus, moved, now=1_700_000_000.0)
        versions = followed(reader)
        assert await anext(versions) == moved
        watching = asyncio.ensure_future(_watch(directory, settings, every=0.1))
        await eventually(lambda: "the register in force stays" in capsys.readouterr().err, "the refusal")
        await publish_register(bus, other, now=1_700_000_001.0)
        assert await anext(versions) == other
        assert await anext(versions) == load_register(directory)
        await versions.aclose()
        assert not watching.done()
        watching.cancel()
        await asyncio.wait({watching})


async def test_a_lost_register_is_published_again(nats: Any, tmp_path: Path) -> None:
    """`register publish --watch` publishes its unchanged register again into a recreated bucket."""
    directory = write_register(tmp_path / "register")
    settings = load_settings("bus", ["--nats", nats.url, "--credentials", str(nats.credentials)], {})
    async with asyncio.timeout(DEADLINE), nats.connect("admin") as admin, nats.connect("scorer") as reader:
        watching = asyncio.ensure_future(_watch(directory, settings, every=0.1))
        versions = followed(reader)
        assert await anext(versions) == load_register(directory)
        await versions.aclose()
        await admin.jetstream.delete_stream(kv_stream(REGISTER_BUCKET))
        await initialise_streams(admin)
        versions = followed(reader)
        assert await anext(versions) == load_register(directory)
        await versions.aclose()
        assert not watching.done()
        watching.cancel()
        await asyncio.wait({watching})


async def test_another_register_in_force_is_left_there(nats: Any, tmp_path: Path) -> None:
    """A lost register, or a lost part, is published again; another register in force, even one of the
    same versions, is not replaced.
    """
    ours, other = (
        load_register(write_register(tmp_path / "1")),
        load_register(write_register(tmp_path / "2", links_csv=CHANGES)),
    )
    async with nats.connect("register") as bus:
        assert await republish_if_lost(bus, ours, now=0.0)
        assert not await republish_if_lost(bus, ours, now=1.0)
        await bus.kv_delete(
            REGISTER_BUCKET, decode_manifest(await bus.kv_get(REGISTER_BUCKET, CURRENT_KEY)).chunks[0].key
        )
        assert await republish_if_lost(bus, ours, now=2.0)
        assert await register_in_force(bus) == ours
        for register in (replace(ours, holidays=(Holiday(date(2026, 3, 21), "official", "Nowruz", "نوروز"),)), other):
            await publish_register(bus, register, now=3.0)
            assert not await republish_if_lost(bus, ours, now=4.0)
            assert await register_in_force(bus) == register

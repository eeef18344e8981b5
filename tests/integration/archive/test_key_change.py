"""An archive process goes on with the key to which that of its log was changed, and not with the former one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from typer.testing import CliRunner

from services.cli.command_line import app
from services.dataset.days import LogFiles, Manifest, verify
from services.dataset.log import SigningKey
from tests.support.cases.archive import Archive, publish, seal_a_day, streams_of
from tests.support.nats import Nats
from tests.support.processes import page


async def test_an_archive_needs_the_key_in_force(archive: Archive, nats: Nats, tmp_path: Path) -> None:
    """/health says which key the archive needs. Once it has that key, it serves."""
    await seal_a_day(archive, nats)
    archive.components.kill("archive")
    new, new_file = SigningKey.generate(archive.key.name), tmp_path / "new.key"
    new_file.write_text(new.text(), "utf-8")
    words = ["archive", "change-key", archive.address, "--sign", str(archive.key_file), "--new-key", str(new_file)]
    run = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert (run.exit_code, run.exception) == (0, None)

    def health() -> tuple[int, str]:
        status, body = page(archive.components.metrics["archive"], "/health")
        return status, str(body)

    archive.start()
    await archive.components.until(lambda: "changed the key of the log" in health()[1], "the archive refused")
    assert (health()[0], str(new.public) in health()[1]) == (503, True)
    archive.components.kill("archive")
    archive.key_file = new_file
    archive.start()
    await archive.components.until(lambda: health()[0] == 200, "the archive served")
    assert LogFiles(archive.storage).leaves()[1:]
    assert verify(archive.storage, archive.key.public) == []


async def test_days_that_no_key_seals_are_counted_from_startup(archive: Archive, nats: Nats) -> None:
    """An archive that was started with a key that did not sign the log shows the days that it should seal."""
    archive.start()
    await publish(nats, 0)
    await archive.has((await streams_of(nats))[0])
    archive.components.kill("archive")
    earlier = Manifest(day="2020-01-01", timezone="UTC", start=0, end=86_400, files=())
    LogFiles(archive.storage).append(earlier.leaf(), SigningKey.generate("another.test"))
    archive.end_of_day()
    archive.start()
    where = archive.components.metrics["archive"]
    await archive.components.until(
        lambda: "peyvand_archive_unsealed 1.0" in str(page(where, "/metrics")[1]), "the day was counted"
    )
    assert "is not signed by this key" in str(page(where, "/health")[1])
    assert archive.segments()

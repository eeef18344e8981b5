"""Whole systems that README and docs start, used by the commands that these pages give."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.register.directory import load_register
from tests.support.doc_blocks import block, run_block, started_block, write_peyvand
from tests.support.paths import ROOT
from tests.support.ports import free_first_port, free_port
from tests.support.processes import page
from tests.support.registers import write_register
from tests.support.system import COMPONENTS, System
from tests.support.waiting import DEADLINE, until


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """The system that README starts, in the folder and with the scenario that its other commands rely on."""
    monkeypatch.setenv("PEYVAND_SEGMENT_SECONDS", "2")  # a minute of README is two seconds here
    system = System(tmp_path / "peyvand-data" / "sandbox", ("--for", "10m"), folder=tmp_path)
    system.start()
    try:
        system.until(lambda: "\npeyvand_index{" in system.page("scorer", "/metrics")[1], what="there was an index")
        system.until(lambda: system.page("api", "/health")[0] == 200, what="the api served")
        yield system
    finally:
        system.stop()


def test_the_readme_s_commands_run(sandbox: System, tmp_path: Path) -> None:
    """Each command that README gives beside a running sandbox succeeds and prints something."""
    write_peyvand(tmp_path / ".venv" / "bin" / "peyvand", api=sandbox.api)
    tries = block("README.md: Try 1").text.replace("127.0.0.1:7422", sandbox.metrics("scorer"))
    with ThreadPoolExecutor(3) as several:
        for line, said in zip(
            tries.splitlines(), several.map(lambda one: run_block(one, tmp_path), tries.splitlines()), strict=True
        ):
            assert said.strip(), line
            assert "explain link" not in line or "Latest measurement of each vantage" in said
    scored = run_block(block("README.md: Try 2").text, tmp_path, PEYVAND_NATS=sandbox.nats)
    assert "Cross-agency Integration Index" in scored
    dataset = tmp_path / "peyvand-data" / "sandbox" / "archive" / "dataset" / "open"
    sandbox.until(
        lambda: all(any((dataset / kind).rglob("*.parquet")) for kind in ("measurement", "indicator")),
        what="the archive had measurements and numbers",
    )
    assert "every number was computed again" in run_block(block("README.md: Try 3").text, tmp_path)
    console = f"127.0.0.1:{sandbox.first_port + 1}"
    sandbox.until(
        lambda: "peyvand round verify trial" in page(console, "/en/rounds")[1], what="the console listed the round"
    )
    sums = (tmp_path / "rounds" / "trial" / "SHA256SUMS").read_text()
    assert page(console, "/rounds/trial/SHA256SUMS") == (200, sums)


def test_a_first_register_is_read_and_measured(tmp_path: Path) -> None:
    """The page's register has no fault, the stand-in answers its link, and `up` measures it until Ctrl-C."""
    first, port = free_first_port(), str(free_port())
    write_peyvand(tmp_path / ".venv" / "bin" / "peyvand", up=f"--first-port {first} --for 10m")
    stand_in, register, text = (
        block(f"docs/first-register.md: Measure your own register {number}").text.replace("8801", port)
        for number in (1, 2, 3)
    )
    assert "slot_seconds: 20\n" in register
    # The shortest slot that the timeout of the probe allows: the test lasts for a few.
    register = register.replace("slot_seconds: 20\n", "slot_seconds: 11\n")
    with started_block(stand_in, tmp_path):
        until(lambda: page(f"127.0.0.1:{port}", "/person")[0] == 200, "an answer of the stand-in")
        assert "✓ $.id is as expected" in run_block(register, tmp_path)
        read = time.time()
        with started_block(text.replace(".venv", "exec .venv").replace("30 seconds", "6 seconds"), tmp_path) as process:
            where = f"127.0.0.1:{first + COMPONENTS['scorer']}"
            works = re.compile(r"^peyvand_link_stage\{.*\} 5\.0$", re.MULTILINE)
            until(lambda: works.search(page(where, "/metrics")[1]), "a slot in which the link was OK")
            assert process.stdout is not None
            assert any("Z  index " in line for line in process.stdout)  # reads up to the first
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 0, output
    assert (tmp_path / "peyvand-data" / "live").is_dir()
    # However long somebody reads the page, no slot is unknown that nobody could have measured.
    assert load_register(tmp_path / "my-register").policy.epoch.timestamp() > read


def test_sources_are_read_beside_a_register(tmp_path: Path) -> None:
    """`up` runs a collector with the page's sources.yaml, whose source is on /metrics; Ctrl-C ends all of it."""
    (yaml,) = re.findall(
        r"^### 2\.1 Log files\n```yaml\n(.*?)^```",
        (ROOT / "docs" / "exchange.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    (tmp_path / "sources.yaml").write_text(yaml.replace("/var/log/xroad", str(tmp_path)))
    write_register(tmp_path / "my-register")
    first = free_first_port()
    write_peyvand(tmp_path / ".venv" / "bin" / "peyvand", up=f"--first-port {first}")
    text = "exec " + block("docs/exchange.md: 5. X-Road in ten minutes 1").text
    with started_block(text, tmp_path) as process:
        where = f"127.0.0.1:{first + COMPONENTS['collector']}"
        until(lambda: "peyvand_exchange_source_up" in page(where, "/metrics")[1], "the source on /metrics")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 0, output

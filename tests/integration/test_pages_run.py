"""The commands of README and docs run as they are written, with other folders and ports."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from services.core.bus.roles import write_users
from services.register.directory import load_register
from tests.support.doc_blocks import block
from tests.support.forked_command import forked_peyvand
from tests.support.paths import ROOT
from tests.support.ports import free_first_port, free_port
from tests.support.processes import page
from tests.support.programs import program
from tests.support.registers import PROBES, write_register
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import Request, answer, serving
from tests.support.system import COMPONENTS, System
from tests.support.waiting import DEADLINE, until

ASKS_THE_API = "explain|indicator|structure|tabulate|rounds|history"


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _peyvand(path: Path, *, api: str = "", up: str = "") -> None:
    """Write a `peyvand` that runs this repository's code, with other ports where a command would take the defaults."""
    _script(
        path,
        f'case "$1" in up) exec {sys.executable} -m services.cli "$@" {up};;\n'
        f'{ASKS_THE_API}) set -- "$@" --api {api or "127.0.0.1:9"};; esac\n'
        f'exec {forked_peyvand()} "$@"',
    )


def _environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a block: our code, and the programs of the folder's bin before others."""
    ours = os.pathsep.join([str(ROOT), str(ROOT / "proto")])
    return {
        **os.environ,
        "PYTHONPATH": ours,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "160",
        **more,
    }


def _run(text: str, folder: Path, **more: str) -> str:
    """Run a block in a folder and return what it printed. AssertionError with all of it if a command fails."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=_environment(folder, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert ended.returncode == 0, f"{text}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def _answers(where: str, path: str) -> bool:
    """Return whether HOST:PORT answers this path with 200."""
    return page(where, path)[0] == 200


@contextmanager
def _started(text: str, folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a block, and kill it at the end with all that it started."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=_environment(folder, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


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
    _peyvand(tmp_path / ".venv" / "bin" / "peyvand", api=sandbox.api)
    tries = block("README.md: Try 1").text.replace("127.0.0.1:7422", sandbox.metrics("scorer"))
    with ThreadPoolExecutor(3) as several:
        for line, said in zip(
            tries.splitlines(), several.map(lambda one: _run(one, tmp_path), tries.splitlines()), strict=True
        ):
            assert said.strip(), line
            assert "explain link" not in line or "Latest measurement of each vantage" in said
    scored = _run(block("README.md: Try 2").text, tmp_path, PEYVAND_NATS=sandbox.nats)
    assert "Cross-agency Integration Index" in scored
    dataset = tmp_path / "peyvand-data" / "sandbox" / "archive" / "dataset" / "open"
    sandbox.until(
        lambda: all(any((dataset / kind).rglob("*.parquet")) for kind in ("measurement", "indicator")),
        what="the archive had measurements and numbers",
    )
    assert "every number was computed again" in _run(block("README.md: Try 3").text, tmp_path)
    console = f"127.0.0.1:{sandbox.first_port + 1}"
    sandbox.until(
        lambda: "peyvand round verify trial" in page(console, "/en/rounds")[1], what="the console listed the round"
    )
    sums = (tmp_path / "rounds" / "trial" / "SHA256SUMS").read_text()
    assert page(console, "/rounds/trial/SHA256SUMS") == (200, sums)


def test_a_first_register_is_read_and_measured(tmp_path: Path) -> None:
    """The page's register has no fault, the stand-in answers its link, and `up` measures it until Ctrl-C."""
    first, port = free_first_port(), str(free_port())
    _peyvand(tmp_path / ".venv" / "bin" / "peyvand", up=f"--first-port {first} --for 10m")
    stand_in, register, text = (
        block(f"docs/first-register.md: Measure your own register {number}").text.replace("8801", port)
        for number in (1, 2, 3)
    )
    assert "slot_seconds: 20\n" in register
    # The shortest slot that the timeout of the probe allows: the test lasts for a few.
    register = register.replace("slot_seconds: 20\n", "slot_seconds: 11\n")
    with _started(stand_in, tmp_path):
        until(partial(_answers, f"127.0.0.1:{port}", "/person"), "an answer of the stand-in")
        assert "✓ $.id is as expected" in _run(register, tmp_path)
        read = time.time()
        with _started(text.replace(".venv", "exec .venv").replace("30 seconds", "6 seconds"), tmp_path) as process:
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
    (yaml,) = re.findall(r"^### 2\.1 Log files\n```yaml\n(.*?)^```", _text("exchange"), re.MULTILINE | re.DOTALL)
    (tmp_path / "sources.yaml").write_text(yaml.replace("/var/log/xroad", str(tmp_path)))
    write_register(tmp_path / "my-register")
    first = free_first_port()
    _peyvand(tmp_path / ".venv" / "bin" / "peyvand", up=f"--first-port {first}")
    text = "exec " + block("docs/exchange.md: 5. X-Road in ten minutes 1").text
    with _started(text, tmp_path) as process:
        where = f"127.0.0.1:{first + COMPONENTS['collector']}"
        until(lambda: "peyvand_exchange_source_up" in page(where, "/metrics")[1], "the source on /metrics")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 0, output


def test_the_rules_can_be_run_beside_up(tmp_path: Path) -> None:
    """Prometheus and Alertmanager start as docs/alerts.md says, from a copy of deploy/prometheus."""
    real = {name: program(name, name) for name in ("prometheus", "prometheus-alertmanager")}
    where = {name: f"127.0.0.1:{free_port()}" for name in real}
    for name, path in real.items():
        _script(tmp_path / "bin" / name, f'exec {path} "$@" --web.listen-address={where[name]}')
    _run(f"cp -r {ROOT}/deploy/prometheus rules && rm -rf rules/secrets", tmp_path)
    text = block("docs/alerts.md: Alerts 1").text.replace("/tmp/", f"{tmp_path}/")
    with _started(f"{text}wait", tmp_path / "rules", PATH=f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"):
        for name, address in where.items():
            assert until(partial(_answers, address, "/-/ready"), f"{name} being ready")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder that stands for a host of the operating guide: a register, users, `peyvand`, and a systemctl that does nothing."""
    etc = tmp_path / "etc"
    write_register(etc / "register")
    (etc / "nats").mkdir()
    _peyvand(tmp_path / "bin" / "peyvand")
    _script(tmp_path / "bin" / "systemctl", 'echo "$@"')
    return tmp_path


def _on(host: Path, name: str) -> str:
    return _run(block(name).text.replace("/etc/peyvand", str(host / "etc")), host)


def test_the_guide_s_changes_of_a_register_run(host: Path) -> None:
    """A changed register is checked, compared, probed and put in place by the guide's commands."""
    said = _on(host, "docs/operating.md: Adding an agency 1")
    assert "deed-tax" in said
    assert (host / "register.next" / "links.csv").exists()


def test_the_guide_s_changes_of_users_run(host: Path) -> None:
    """The guide's commands give a vantage a user, and a user another seed; then the old seed is no longer listed."""
    _on(host, "docs/operating.md: Adding a vantage 1")
    listed = (host / "etc" / "nats" / "users.conf").read_text()
    said = _on(host, "docs/operating.md: Rotating credentials 1")
    assert "reload peyvand-nats" in said
    assert "restart peyvand-api" in said
    assert (host / "etc" / "users" / "prober-north").is_dir()
    assert (host / "etc" / "nats" / "users.conf").read_text() != listed


def test_the_guide_s_variables_are_taken(tmp_path: Path) -> None:
    """`peyvand` reads the variables that the guide exports: a command names the file of authorities that is missing
    here.
    """
    _peyvand(tmp_path / "bin" / "peyvand")
    write_users(tmp_path / "users")
    text = block("docs/operating.md: Operating Peyvand 1").text
    said = _run(f"{text}\npeyvand bus init --credentials users 2>&1 || true", tmp_path)
    assert "/etc/peyvand/ca.pem" in said


def test_the_page_s_faults_are_reported_so(tmp_path: Path) -> None:
    """`register check` reports the faults that docs/register.md shows, in its words."""
    _peyvand(tmp_path / "bin" / "peyvand")
    shown = block("docs/register.md: The register 1").text.splitlines()
    write_register(tmp_path / "register")
    links = tmp_path / "register" / "links.csv"
    links.write_text(re.sub(r"^(clearance-land,.*,page,)[^,]+", r"\1ftp://h/", links.read_text(), flags=re.MULTILINE))
    probes = tmp_path / "register" / "probes.yaml"
    probes.write_text(probes.read_text() + "slow:\n  kind: http\n  timeout: 5\n")
    said = _run(f"{shown[0].removeprefix('$ ')} 2>&1 || true", tmp_path).splitlines()
    place = re.compile(r"^(\S+?):\d+:\d+:")
    assert [place.sub(r"\1:", line) for line in said] == [place.sub(r"\1:", line) for line in shown[1:]]


@pytest.fixture
async def tax(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a server that answers like the one of docs/probing.md: its value for clearance is a text."""
    authority = Authority.make(tmp_path)
    (tmp_path / "register").mkdir()
    (tmp_path / "register" / "ca.pem").write_bytes(Path(authority.reference.removeprefix("file:")).read_bytes())

    async def clearance(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b'{"national_id": "0000000000", "clear": "no" }'))

    async with serving(clearance, tls=authority.context("tax.example")) as server:
        yield server.port


async def test_the_page_s_first_probe_is_explained_so(tax: int, tmp_path: Path) -> None:
    """`peyvand probe` of docs/probing.md reports the outcome and the checks that the page shows."""
    _peyvand(tmp_path / "bin" / "peyvand")
    text = block("docs/probing.md: Probing 1").text
    command = re.match(r"\$ (.*?[^\\])\n", text, re.DOTALL)
    assert command is not None
    (definition,) = re.findall(r"```yaml\n(# target: https://tax.example/clearance.*?)```", _text("probing"), re.DOTALL)
    definition = definition.replace('ca: "file:ca.pem"', 'ca: "file:ca.pem", server_name: tax.example')
    write_register(tmp_path / "register", probes_yaml=PROBES + definition)
    said = await asyncio.to_thread(_run, command[1].replace("tax.example", f"127.0.0.1:{tax}"), tmp_path)
    shown = [line.split("  ")[0] for line in text.splitlines() if line[:1] in ("✓", "✗")]
    assert [line.split("  ")[0] for line in said.splitlines() if line[:1] in ("✓", "✗")] == shown
    (outcome,) = re.findall(r"^INVALID\s+JSON\s+.*", text, re.MULTILINE)
    assert outcome in said


def _text(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")

"""What keeps `peyvand up` from starting is named, and nothing is written; a component ends on a signal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from services.core.bus.roles import write_users
from tests.support.forked import run
from tests.support.limits.small_disk import no_file_beyond
from tests.support.paths import ROOT
from tests.support.ports import SANDBOX_HOST, free_base_port, free_first_port
from tests.support.registers import write_register
from tests.support.system import System, run_up
from tests.support.waiting import DEADLINE, until


def _refused(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run a `peyvand up` that ends before it starts anything, in a fork of a process that has imported it."""
    return run("services.cli", "up", *flags)


@pytest.mark.parametrize(
    ("offset", "what"), [(0, "api"), (2, "the message bus"), (3, "the message bus's health"), (12, "scorer metrics")]
)
def test_a_taken_port_is_named(tmp_path: Path, offset: int, what: str) -> None:
    """The error gives the number and the purpose of the taken port, and what to do."""
    first = free_first_port()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first + offset))
        taken.listen()
        ended = _refused("--sandbox", "--data", str(tmp_path / "data"), "--first-port", str(first))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"peyvand: port {first + offset} of 127.0.0.1 ({what}) is taken by process {os.getpid()}, "
        f"{psutil.Process().name()}: end the process that listens there, "
        "perhaps another `peyvand up`, or choose other ports with --first-port\n"
    )


@pytest.mark.parametrize("host", [SANDBOX_HOST, "127.3.1.6", "127.1.0.1"])
def test_a_taken_sandbox_port_is_named(tmp_path: Path, host: str) -> None:
    """A taken port of the simulated agencies ends the run before it starts anything or removes an earlier run."""
    base = free_base_port()
    (tmp_path / "data").mkdir()
    before = [tmp_path / "data" / name for name in ("nats.conf", "sandbox-data")]
    for file in before:
        file.touch()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that an earlier test closed is no obstacle
        taken.bind((host, base))
        taken.listen()
        flags = ("--first-port", str(free_first_port()), "--base-port", str(base))
        ended = _refused("--sandbox", "--data", str(tmp_path / "data"), *flags)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"peyvand: the sandbox cannot listen on {host}:{base}: Address already in use; "
        "stop what listens there or choose other ports with --base-port\n"
    )
    assert sorted(path for path in (tmp_path / "data").iterdir() if path.name != "lock") == before


def test_a_bad_register_starts_nothing(tmp_path: Path) -> None:
    """Every fault is listed, the exit code is 1, and no state is written."""
    register = tmp_path / "register"
    write_register(register)
    links = register / "links.csv"
    links.write_text(links.read_text("utf-8").replace("always", "some day", 1), "utf-8")
    where = ("--data", str(tmp_path / "data"), "--first-port", str(free_first_port()))
    ended = _refused("--register", str(register), *where)
    assert ended.returncode == 1
    assert "links.csv:" in ended.stderr
    assert "is refused: 1 fault" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """A start that cannot write its seeds says so in one sentence, and leaves none that the next start could not use."""
    data, register = tmp_path / "data", write_register(tmp_path / "register")
    with no_file_beyond(0):
        ended = run_up("--register", str(register), "--data", str(data), "--first-port", str(free_first_port()))
    assert ended.returncode == 1
    sentence = f"{data} cannot be written: File too large; make room, or name another folder with --data"
    assert ended.stderr == f"peyvand: {sentence}\n"
    assert not list(data.rglob("*.nk"))
    assert write_users(data / "credentials")


def test_a_sandbox_never_removes_evidence_of_a_real_register(tmp_path: Path) -> None:
    """A data folder that no sandbox made is left alone."""
    data = tmp_path / "data"
    (data / "nats").mkdir(parents=True)
    ended = _refused("--sandbox", "--data", str(data), "--first-port", str(free_first_port()))
    assert ended.returncode == 1
    assert ended.stderr == f"peyvand: {data} holds the evidence of a real register: name another folder with --data\n"
    assert (data / "nats").exists()


def test_a_component_alone_ends_on_sigterm(tmp_path: Path) -> None:
    """On SIGTERM a component that waits for a bus ends at once, with exit code 0."""
    system = System(tmp_path / "unused")
    write_users(tmp_path / "credentials")
    flags = {
        "--nats": system.nats,
        "--credentials": str(tmp_path / "credentials"),
        "--data": str(tmp_path / "scorer"),
        "--metrics": system.metrics("scorer"),
    }
    command = [sys.executable, "-m", "services.scorer", *(part for pair in flags.items() for part in pair)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "started" in process.stdout.readline()
        status, words = until(lambda: answer if (answer := system.page("scorer", "/health"))[0] else None, "an answer")
        assert (status, words.startswith("NOT_SERVING")) == (503, True)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(DEADLINE) == 0

"""Read what a process has used, and what the machine is, from /proc."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from services.core.bus.server import find_server

__all__ = [
    "busy_seconds",
    "cpu_seconds",
    "give_way",
    "machine",
    "peak_mib",
    "proportional_mib",
    "resident_mib",
    "waiting_for",
]

_LISTENING = "0A"
_STANDING_BACK = 10  # its nice value
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a living process, in seconds. Raises OSError when it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mib(pid: int) -> float:
    """Return the most memory that a living process ever had resident, in MiB."""
    return _mib(pid, "status", "VmHWM")


def resident_mib(pid: int) -> float:
    """Return the memory that a living process has resident, in MiB."""
    return _mib(pid, "status", "VmRSS")


def proportional_mib(pid: int) -> float:
    """Return the memory that a living process has resident, in MiB, with its part of each shared page."""
    return _mib(pid, "smaps_rollup", "Pss")


def _mib(pid: int, file: str, name: str) -> float:
    content = Path(f"/proc/{pid}/{file}").read_text("utf-8")
    found = re.search(rf"^{name}:\s+(\d+) kB$", content, re.MULTILINE)
    assert found, f"/proc/{pid}/{file} has no {name}"
    return int(found[1]) / 1024


def give_way(pid: int) -> None:
    """Make every thread of a process give way where the CPU is short."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # a thread that has ended meanwhile
            os.setpriority(os.PRIO_PROCESS, int(task.name), _STANDING_BACK)


def waiting_for(port: int) -> int:
    """Return the number of connections that a listener on loopback has not accepted yet."""
    rows = (row.split() for row in Path("/proc/net/tcp").read_text("utf-8").splitlines()[1:])
    where = f"0100007F:{port:04X}"
    return sum(int(row[4].partition(":")[2], 16) for row in rows if row[1] == where and row[3] == _LISTENING)


def busy_seconds() -> float:
    """Return the seconds of CPU that all processes of the machine have used since it started."""
    user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text("utf-8").splitlines()[0].split()[1:]
    return sum(map(int, (user, nice, system, irq, softirq))) / _TICKS


def machine() -> str:
    """Return one line on the machine and the programs that were measured."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    nats = subprocess.run([find_server(), "--version"], capture_output=True, text=True, check=True, timeout=10)
    return " · ".join(
        (
            cpu[1] if cpu else platform.machine(),
            f"{len(os.sched_getaffinity(0))} cores",
            f"Linux {platform.release()}",
            f"Python {platform.python_version()}",
            nats.stdout.strip().replace(": v", " "),
        )
    )

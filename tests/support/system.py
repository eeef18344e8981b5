"""A whole system under `peyvand up --sandbox`, started as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.ports import free_base_port, free_first_port
from tests.support.processes import page
from tests.support.waiting import DEADLINE, until

__all__ = ["COMPONENTS", "ROOT", "System", "run_up"]

COMPONENTS = {"prober": 11, "scorer": 12, "collector": 13, "api": 14, "console": 15, "sandbox": 16, "archive": 17}
"""Offset of each component's /metrics port from the first port, as `peyvand up` documents it."""

_ENDING_SECONDS = 60.0


def _parent(pid: int) -> int | None:
    """Return the parent of a process, or None when the process has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])


def _component(pid: int) -> str:
    """Return the component that a child of `peyvand up` runs, or its program's name; empty when it has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    modules = [word.removeprefix("services.") for word in words if word.startswith("services.")]
    return modules[0] if modules else Path(words[0]).name


def run_up(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run `peyvand up` to its end."""
    command = [sys.executable, "-m", "services.cli", "up", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * DEADLINE, check=False)


@dataclass
class System:
    """One running `peyvand up --sandbox`, or `--register` where one is given.

    It may be stopped and started again on the same ports and data folder.
    """

    data: Path
    flags: tuple[str, ...] = ()
    first_port: int = field(default_factory=free_first_port)
    base_port: int = field(default_factory=free_base_port)
    register: Path | None = None
    folder: Path = ROOT
    """Where it is started."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def api(self) -> str:
        """The address at which gRPC listens."""
        return f"127.0.0.1:{self.first_port}"

    @property
    def nats(self) -> str:
        """URL of the bus."""
        return f"nats://127.0.0.1:{self.first_port + 2}"

    @property
    def credentials(self) -> Path:
        """Folder of the roles' seeds."""
        return self.data / "credentials"

    @property
    def output(self) -> Path:
        """The file with the output of `peyvand up` itself."""
        return self.data.with_name(f"{self.data.name}.out")

    def start(self) -> None:
        """Start it without waiting for anything."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        what = ["--sandbox", "--base-port", str(self.base_port)]
        if self.register is not None:
            what = ["--register", str(self.register)]
        command = [
            sys.executable,
            "-m",
            "services.cli",
            "up",
            *what,
            "--data",
            str(self.data),
            "--first-port",
            str(self.first_port),
            *self.flags,
        ]
        path = (str(ROOT), str(ROOT / "proto"), os.environ.get("PYTHONPATH"))
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def metrics(self, component: str) -> str:
        """Return HOST:PORT of a component's /metrics and /health."""
        return f"127.0.0.1:{self.first_port + COMPONENTS[component]}"

    def page(self, component: str, path: str) -> tuple[int, str]:
        """Return status and text of /metrics or /health, (0, "") while nothing answers."""
        return page(self.metrics(component), path)

    def children(self) -> dict[str, int]:
        """Return process ids by component name, nats-server included."""
        parent = None if self.process is None else self.process.pid
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        names = {pid: _component(pid) for pid in pids if _parent(pid) == parent}
        return {name: pid for pid, name in names.items() if name}

    def log(self, name: str) -> str:
        """Return the output so far of a component, of nats-server, or of the command itself ("up")."""
        path = self.output if name == "up" else self.data / "logs" / f"{name}.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def until(self, condition: Callable[[], object], *, what: str, seconds: float = DEADLINE) -> None:
        """Wait until a condition holds. Raises AssertionError with the logs when late, or when the system has ended."""

        def logs() -> str:
            return "\n".join(f"--- {name}\n{self.log(name)[-1500:]}" for name in ("up", "nats-server", *COMPONENTS))

        def look() -> object:
            running = self.process is not None and self.process.poll() is None
            assert running, f"`peyvand up` ended before {what}\n{logs()}"
            return condition()

        until(look, lambda: f"{what}\n{logs()}", seconds)

    def until_serving(self, seconds: float = DEADLINE) -> None:
        """Wait until every component reports that it serves."""
        self.until(
            lambda: all(self.page(name, "/health")[0] == 200 for name in COMPONENTS),
            what="every component served",
            seconds=seconds,
        )

    def stop(self) -> int:
        """Stop it as Ctrl-C does and return its exit code. Raises AssertionError after killing what does not end."""
        if self.process is None:
            return 0
        process, children = self.process, self.children()
        self.process = None
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            for pid in children.values():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"`peyvand up` did not end within {_ENDING_SECONDS:.0f} s of Ctrl-C") from None

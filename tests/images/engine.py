"""A Docker engine: the one that answers, or one of our own with everything it keeps in a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.images.check import Failure, NotDone
from tests.images.network import network_left_as_it_was

__all__ = ["Engine", "running_engine"]

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Engine:
    """How to reach the engine; ``folder`` is the test's own."""

    folder: Path
    environ: Mapping[str, str]

    def run(
        self, *command: str, timeout: float = 300, environ: Mapping[str, str] | None = None, check: bool = True
    ) -> str:
        """Run a command beside the engine, return what it printed. Raises Failure with its last words."""
        try:
            done = subprocess.run(
                command,
                env={**self.environ, **(environ or {})},
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise Failure(f"`{' '.join(command[:6])}` did not end within {timeout:.0f} s") from error
        if check and done.returncode:
            raise Failure(f"`{' '.join(command[:6])}` failed: {_last_words(done.stderr or done.stdout)}")
        return done.stdout

    def build(self, tag: str, file: Path, context: Path, *flags: str) -> None:
        """Build an image."""
        self.run("docker", "buildx", "build", "--load", "-f", str(file), "-t", tag, *flags, str(context), timeout=900)


def _last_words(text: str) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines()[-6:])


def _answers(environ: Mapping[str, str]) -> bool:
    return subprocess.run(["docker", "info"], env=environ, capture_output=True, check=False).returncode == 0


@contextmanager
def running_engine(keep: Path | None) -> Iterator[Engine]:
    """An engine until the end of the context, with ``keep`` as the folder of one of our own that stays for next time.

    Raises NotDone when there is none, and none can be started.
    """
    for tool in ("docker", "docker-compose"):
        if shutil.which(tool) is None:
            raise NotDone(f"{tool} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="peyvand-images-"))
    try:
        if keep is None and _answers(os.environ):
            yield Engine(folder, dict(os.environ))
        else:
            with network_left_as_it_was(), _own_engine(folder, keep or folder / "engine") as environ:
                yield Engine(folder, environ)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_engine(folder: Path, kept: Path) -> Iterator[Mapping[str, str]]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise NotDone("no Docker engine answers, and one of our own needs root and dockerd")
    socket = folder / "docker.sock"
    environ = {**os.environ, "DOCKER_HOST": f"unix://{socket}"}
    kept.mkdir(parents=True, exist_ok=True)
    command = _daemon(folder, kept, socket)
    with (folder / "dockerd.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        try:
            end = time.monotonic() + _START_SECONDS
            while not _answers(environ):
                if daemon.poll() is not None or time.monotonic() > end:
                    words = _last_words((folder / "dockerd.log").read_text("utf-8", "replace"))
                    raise NotDone(f"dockerd does not start here: {words}")
                time.sleep(0.2)
            yield environ
        finally:
            daemon.terminate()
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()


def _daemon(folder: Path, kept: Path, socket: Path) -> Sequence[str]:
    return [
        "dockerd", "--host", f"unix://{socket}", "--data-root", str(kept), "--exec-root", str(folder / "exec"),
        "--pidfile", str(folder / "dockerd.pid"), "--log-level", "warn",
    ]  # fmt: skip

"""Mount disks that forget (faults/mounted_disk.py), one for each process that stores data."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.nats import WITH_US
from tests.support.paths import ROOT

_SECONDS = 20.0


class MountedDisk:
    """One mounted disk, and the process that serves it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [*WITH_US, sys.executable, "-m", "tests.chaos.faults.mounted_disk", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        until = time.monotonic() + _SECONDS
        while not os.path.ismount(folder):
            if self._process.poll() is not None or time.monotonic() > until:
                self.unmount()
                raise OSError(f"no file system of ours can be mounted on {folder}")
            time.sleep(0.02)

    async def tell(self, line: str) -> None:
        """Change the state of the disk, and wait until it has changed."""
        await asyncio.to_thread(self._tell, line)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:  # of two threads that read one pipe, one may wait for ever
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
            self._process.stdout.readline()

    def unmount(self) -> None:
        """Unmount it, even while it is in use."""
        subprocess.run(["umount", "-l", str(self.folder)], check=False, stderr=subprocess.DEVNULL)
        self._process.kill()
        self._process.wait()


def why_not() -> str:
    """Return why this machine can mount no such disk, "" if it can."""
    if importlib.util.find_spec("mfusepy") is None:
        return "the package mfusepy is not installed"
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    with TemporaryDirectory() as folder, ExitStack() as stack:
        try:
            stack.callback(MountedDisk(Path(folder)).unmount)
        except (OSError, ImportError) as error:
            return str(error)
    return ""

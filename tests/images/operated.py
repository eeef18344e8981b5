"""What docs/operating.md says, done to the running stack."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from tests.images.check import Failure
from tests.images.stack import PEYVAND, VANTAGES, Stack, prepare

__all__ = ["backed_up", "seed_is_replaced"]

_ADMITTED_SECONDS = 60.0


def backed_up(stack: Stack) -> str:
    """Keep every stream and bucket in files, as docs/operating.md does, in a container that may write nothing else."""
    folder = stack.engine.folder / "backup"
    folder.mkdir()
    os.chown(folder, 10001, 10001)
    words = stack.compose(
        "run", "--rm", "-T", "--no-deps", "--volume", f"{folder}:/backup", "bus", "bus", "backup", "/backup/bus"
    )  # fmt: skip
    kept = dict(re.findall(r"^(\w+): kept up to message (\d+)$", words, re.MULTILINE))
    if not int(kept.get("MEASUREMENTS", 0)) or not int(kept.get("KV_register", 0)):
        raise Failure(f"a backup kept {kept}")
    return f"{len(kept)} streams and buckets, {kept['MEASUREMENTS']} batches of measurements"


def seed_is_replaced(stack: Stack) -> str:
    """Give a user a new seed as docs/operating.md does; the servers of the bus admit it without being started again."""
    secrets = Path(stack.environ["PEYVAND_SECRETS"])
    vantages = [word for name in VANTAGES for word in ("--vantage", name)]
    users = (PEYVAND, "bus", "users", str(secrets / "users"), *vantages, "--out", str(secrets / "nats" / "users.conf"))
    for step in (("--replace", "dump"), ("--retire",)):
        stack.engine.run(*users, *step)
        prepare(stack.engine, secrets)
        stack.compose("kill", "--signal", "HUP", "nats-1", "nats-2", "nats-3")
        _until_admitted(stack)
    return "of user dump"


def _until_admitted(stack: Stack) -> None:
    """Wait until the servers have read their users, and the one with the new seed gets an answer."""
    end = time.monotonic() + _ADMITTED_SECONDS
    while True:
        try:
            stack.measurements()
        except Failure:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
        else:
            return

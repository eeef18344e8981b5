"""A backup of the bus without content."""

from __future__ import annotations

import json
from pathlib import Path

from services.core.bus.names import STREAMS


def write_backup(folder: Path) -> None:
    """Write what a backup holds of each stream: its description, and an archive that is empty."""
    for stream in STREAMS:
        (folder / stream).mkdir(parents=True)
        (folder / stream / "stream.tar.s2").touch()
        description = {"config": {"name": stream}, "state": {"last_seq": 0}}
        (folder / stream / "backup.json").write_text(json.dumps(description), "utf-8")

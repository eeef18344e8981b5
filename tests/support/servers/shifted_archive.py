"""An archive whose bus has another clock: `python -m tests.support.servers.shifted_archive FILE …`.

FILE holds the seconds that are added to the time of the bus, and the moment of that change. Messages stored before it
keep their time. So a day is over when a test says so. The archive looks for messages and days that are over five times
a second. Its settings follow FILE.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.archive import component
from services.core.bus import messages, streams
from services.core.runtime import run_component

__all__ = ["shift"]


def shift(file: Path, seconds: float) -> None:
    """Set the clock of the bus, as an archive sees it, from now on."""
    new = file.with_suffix(".new")
    new.write_text(f"{seconds} {time.time()}", "utf-8")
    new.rename(file)


def _shifted(file: Path, moment_of: Callable[[str], float]) -> Callable[[str], float]:
    def shifted(text: str) -> float:
        seconds, since = map(float, file.read_text("utf-8").split())
        moment = moment_of(text)
        return moment + seconds if moment >= since else moment

    return shifted


if __name__ == "__main__":
    replaced = _shifted(Path(sys.argv[1]), messages.moment_of)
    vars(messages).update(moment_of=replaced)
    vars(streams).update(moment_of=replaced)
    vars(component).update(_POLL_SECONDS=0.2, _SEAL_SECONDS=0.2)
    sys.exit(run_component("archive", component.main, sys.argv[2:]))

"""Step the clocks of component processes by libfaketime (nats-server is linked without a C library)."""

from __future__ import annotations

from pathlib import Path

CACHE_SECONDS = 1
"""How long a process uses the value that it read last. Reading it at each call takes 2/3 of a collector's time."""


def _library() -> Path | None:
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def why_not() -> str:
    """Return why clocks cannot be stepped here, "" if they can."""
    return "" if _library() else "libfaketime is not installed (Debian's package libfaketime)"


def environment(clock: Path) -> dict[str, str]:
    """Return the variables of a process whose clock (except the monotonic one) a file sets ahead of the machine's."""
    return {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": f"{CACHE_SECONDS}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def step(clock: Path, seconds: float) -> None:
    """Set a clock so many seconds ahead of the machine's, or behind it if negative."""
    new = clock.with_suffix(".new")
    new.write_text(f"{seconds:+.3f}\n", "utf-8")
    new.rename(clock)

"""Readers of outside text as the fuzzer calls them, and its findings. Pure but for the clock of the processor."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

__all__ = ["Finding", "Reader", "finding_of"]

SLOW_SECONDS = 5.0
"""Processor seconds after which an input is a finding. Instrumented code takes several times as long as other code."""

_OURS = ("services", "proto")


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader: any bytes must be read, or refused with one of ``refusals``. ``seeds`` are inputs that are read."""

    name: str
    read: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    refusals: tuple[type[Exception], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that one input revealed. ``kind`` is the same for inputs with the same cause."""

    kind: str
    detail: str


def finding_of(reader: Reader, data: bytes) -> Finding | None:
    """Pass an input to a reader. Return the finding, or None if the input was read or properly refused."""
    started = process_time()
    try:
        reader.read(data)
    except reader.refusals:
        pass
    except Exception as error:  # noqa: BLE001 - this is what the fuzzer looks for
        return Finding(f"{type(error).__name__} at {_place(error)}", str(error)[:200])
    seconds = process_time() - started
    return Finding("slow", f"{seconds:.1f} s for {len(data)} bytes") if seconds > SLOW_SECONDS else None


def _place(error: BaseException) -> str:
    """Return the innermost line of our code that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if any(f"/{folder}/" in frame.filename for folder in _OURS)]
    frame = (ours or frames)[-1]
    return f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}"

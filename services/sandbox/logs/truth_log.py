"""The truth log, written ahead of effect, and the log of what was really answered.

``truth.ndjson``: a header, then a span a line: ``{link, from, to, stage, cause, mode}``, links in slots [from, to),
slot number = slot start in epoch seconds // slot_seconds. A live link in a slot without a span is OK (stage 5); absent
links are not here. Nothing is claimed about slots in the header's ``gaps``, when the sandbox was not running.

``access.ndjson``: ``{link, slot, time, sent}`` for every reply written: ``ok``, a mode, or ``not_found``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

import orjson

from services.core.errors import StateError
from services.sandbox.faults.faults import CYCLE
from services.sandbox.faults.timeline import Span, Timeline

__all__ = ["AccessLog", "Header", "Truth", "kept_lines", "read_header"]


@dataclass(frozen=True, slots=True)
class Header:
    """What a run is; a sandbox started again with the same one goes on with it. ``gaps`` are slots [from, to)."""

    register_version: str
    slot_seconds: int
    first_slot: int
    seed: int
    scenario: str
    faults: float
    base_port: int
    traffic: float = 0.0
    gaps: tuple[tuple[int, int], ...] = ()

    def same_run(self, other: Header) -> bool:
        """Tell whether only the beginning and the gaps differ."""
        return replace(self, first_slot=0, gaps=()) == replace(other, first_slot=0, gaps=())


def read_header(path: Path) -> Header | None:
    """Return the header of a truth log; None when there is none that can be read."""
    try:
        with path.open("rb") as file:
            header = Header(**orjson.loads(file.readline()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return replace(header, gaps=tuple((start, end) for start, end in header.gaps))


def kept_lines(path: Path, before: int) -> list[bytes]:
    """Return the lines of spans that begin before a slot; a line torn by a crash ends the log."""
    kept = []
    with path.open("rb") as file:
        file.readline()
        for line in file:
            try:
                span = orjson.loads(line)
            except ValueError:
                break
            if span["from"] < before:
                kept.append(line)
    return kept


class Truth:
    """The truth log of a run, kept at least one cycle ahead. StateError when it cannot be written."""

    def __init__(self, path: Path, header: Header, timeline: Timeline, kept: Sequence[bytes], cycle: int) -> None:
        """Begin with a header and ``kept`` lines, and write spans from ``cycle`` on."""
        self._path = path
        self._timeline = timeline
        self._cycle = cycle
        self._slot_seconds = header.slot_seconds
        self._links = timeline.links
        draft = path.with_suffix(".new")
        try:
            draft.write_bytes(b"".join([orjson.dumps(asdict(header)) + b"\n", *kept]))
            draft.replace(path)
            self._file = path.open("ab")
        except OSError as error:
            raise _unwritable(path, error) from error

    def advance(self, slot: int) -> None:
        """Write all that will be true up to a cycle after ``slot``, before any of it is; to be called every slot.

        The file's time of change is then the start of ``slot``: what a sandbox started again takes for the end of this.
        """
        try:
            while self._timeline.begin(self._cycle) <= slot + CYCLE:
                spans = (span for span in self._timeline.spans(self._cycle) if span.target in self._links)
                self._file.write(b"".join(_line(span) for span in spans))
                self._file.flush()
                self._cycle += 1
            alive = slot * self._slot_seconds
            os.utime(self._path, (alive, alive))
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _line(span: Span) -> bytes:
    return orjson.dumps(
        {
            "link": span.target,
            "from": span.start,
            "to": span.end,
            "stage": int(span.mode.stage),
            "cause": span.cause,
            "mode": span.mode,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


class AccessLog:
    """The access log; lines gather until ``flush``. StateError when it cannot be written."""

    def __init__(self, path: Path, *, go_on: bool) -> None:
        """Open the log; ``go_on`` keeps what is there."""
        self._path = path
        self._lines: list[bytes] = []
        try:
            self._file: IO[bytes] = path.open("ab" if go_on else "wb")
        except OSError as error:
            raise _unwritable(path, error) from error

    def answered(self, link: str, slot: int, time: float, sent: str) -> None:
        """Note one reply written at ``time`` (epoch seconds) as the state of ``slot`` wants it."""
        line = {"link": link, "slot": slot, "time": round(time, 6), "sent": sent}
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def flush(self) -> None:
        """Write what has gathered."""
        if not self._lines:
            return
        try:
            self._file.write(b"".join(self._lines))
            self._file.flush()
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._lines.clear()

    def close(self) -> None:
        """Write what has gathered and close the file."""
        self.flush()
        self._file.close()


def _unwritable(path: Path, error: OSError) -> StateError:
    return StateError(f"the sandbox cannot write {path}: {error.strerror}; make room or choose another --data")

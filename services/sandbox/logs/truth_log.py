"""Writes the truth log, before the truth takes effect.

``truth.ndjson``: a header, then one span per line: ``{link, from, to, stage, cause, mode}``. Slots are [from, to), and
slot number = slot start in epoch seconds // slot_seconds. A live link in a slot without a span is OK (stage 5). Absent
links are not listed. Nothing is said about slots in the header's ``gaps``, when the sandbox was not running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from services.sandbox.faults import CYCLE, FaultSpan, FaultTimeline
from services.sandbox.logs.json_lines import JsonLinesFile, encode_line
from services.sandbox.logs.run import RunHeader


class TruthLog(JsonLinesFile):
    """The truth log of a run, kept at least one cycle ahead. Raises StateError when it cannot be written."""

    def __init__(
        self, path: Path, header: RunHeader, timeline: FaultTimeline, kept: Sequence[bytes], cycle: int
    ) -> None:
        """Open the log with a header and ``kept`` lines; spans are written from ``cycle`` on."""
        super().__init__(path, [encode_line(asdict(header)), *kept])
        self._timeline = timeline
        self._cycle = cycle
        self._slot_seconds = header.slot_seconds

    def advance(self, slot: int) -> None:
        """Write everything up to a cycle after ``slot``, before it takes effect; call this every slot.

        The file's time of modification becomes the start of ``slot``: a restarted sandbox takes it for the end of this run.
        """
        links = self._timeline.links
        while self._timeline.begin(self._cycle) <= slot + CYCLE:
            self.append(_line(span) for span in self._timeline.spans(self._cycle) if span.target in links)
            self._cycle += 1
        self.set_modified(slot * self._slot_seconds)


def _line(span: FaultSpan) -> bytes:
    return encode_line(
        {
            "link": span.target,
            "from": span.start,
            "to": span.end,
            "stage": int(span.mode.stage),
            "cause": span.cause,
            "mode": span.mode,
        }
    )

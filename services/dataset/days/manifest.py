"""The manifest of a sealed day: its files and what they hold, as canonical JSON (docs/archive.md §3). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from hashlib import sha256
from typing import Final, Literal

import orjson
from pydantic import TypeAdapter

from services.core.canonical_json import canonical_json
from services.dataset.days.key_change import KeyChange, is_key_change

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of a day: its path, kind, size in bytes and number of rows.

    ``sha256`` is the SHA-256 of the file, ``content`` that of the rows themselves.
    """

    path: str
    kind: str
    size: int
    rows: int
    sha256: str
    content: str

    @classmethod
    def of(cls, path: str, kind: str, data: bytes, rows: int, content: str) -> SealedFile:
        """Describe a file by its bytes."""
        return cls(path, kind, len(data), rows, sha256(data).hexdigest(), content)


@dataclass(frozen=True, slots=True)
class StreamSpan:
    """The messages of a stream that gave rows of the day.

    ``created`` is when the stream was created, as the server writes it.
    """

    stream: str
    created: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class BatchRun:
    """The batches of one run of a prober that a day brought; ``run`` is empty for batches without a number.

    ``batches`` came with numbers ``first`` to ``last``; ``head`` is the first 16 bytes of the SHA-256 of batch
    ``last``, in hex. ``repeated`` counts deliveries of a batch that had come already.

    ``missing`` numbers had not come by the end of the day's grace. ``belated`` ones came on this day, and are among the
    ``holes`` of an earlier day. ``forked`` numbers came with different content; ``broken`` ones do not name the batch
    before them. ``holes``, as ranges, ``forks`` and ``breaks`` are the first of the missing, forked and broken numbers.
    ``parallel`` marks a run that began before another of the same prober had ended.
    """

    vantage: str
    prober: str
    run: str
    batches: int
    first: int = 0
    last: int = 0
    head: str = ""
    repeated: int = 0
    missing: int = 0
    belated: int = 0
    forked: int = 0
    broken: int = 0
    parallel: bool = False
    holes: tuple[tuple[int, int], ...] = ()
    forks: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()

    def faults(self) -> dict[str, int]:
        """Return how often each fault happened; all are 0 where nothing is lost and nobody interferes."""
        counts = {name: getattr(self, name) for name in ("missing", "belated", "forked", "broken")}
        return {**counts, "parallel": int(self.parallel)}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of one sealed day.

    ``start`` and ``end`` are the day's, in epoch seconds, by its timezone. ``versions`` are the registers that its
    measurements name, each ``register_version.probe_version``. ``counts`` are rows of measurements by vantage and
    prober. ``gaps`` are sentences about evidence that is known to be missing. ``runs`` account for the batches of
    measurements that were stored on the day, None where batches were not counted; ``more_runs`` further runs are not
    named. ``late`` is false: rows that came after their day was sealed are files of the day on which they came.
    """

    day: str
    timezone: str
    start: int
    end: int
    files: tuple[SealedFile, ...]
    versions: tuple[str, ...] = ()
    streams: tuple[StreamSpan, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    method_version: str = ""
    software: str = ""
    runs: tuple[BatchRun, ...] | None = None
    more_runs: int = 0
    late: bool = False
    format: int = FORMAT
    type: Literal["day"] = "day"

    def leaf(self) -> bytes:
        """Return the leaf of the log: the manifest as canonical JSON (sorted keys, no spaces, UTF-8)."""
        fields = asdict(self)
        if self.runs is None:  # as in the leaves of days that were sealed before batches were counted
            del fields["runs"], fields["more_runs"]
        return canonical_json(fields)


_ADAPTER: Final = TypeAdapter(Manifest)


def read_leaf(leaf: bytes) -> Manifest | KeyChange:
    """Parse a leaf. Raises ValueError when it is not one, or not canonical."""
    if is_key_change(leaf):
        return KeyChange.parse(leaf)
    try:
        value = _ADAPTER.validate_python(orjson.loads(leaf))
        date.fromisoformat(value.day)
    except ValueError as error:  # those of orjson, pydantic and dates
        raise ValueError("not a leaf of the log") from error
    if value.leaf() != leaf:
        raise ValueError("a leaf that is not canonical JSON")
    return value

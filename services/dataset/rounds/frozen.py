"""The description of a round: round.json, as canonical JSON (docs/rounds.md §2). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import orjson
from pydantic import TypeAdapter

from services.core.canonical_json import canonical_json

ROUND_FILE: Final = "round.json"
ROUND_ID: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
"""The form of the name of a round, and of its folder."""

FORMAT: Final = 1
"""The format of rounds. Another column, key or file of a round is another format, which older programs refuse."""


@dataclass(frozen=True, slots=True)
class FrozenRound:
    """One round: the ``window_days`` days up to ``as_of`` (epoch seconds), by one register and one method.

    ``record`` is the first day of its record, and ``end`` the day after its last; ``days`` are those between them with
    evidence. Of the days ``around`` them it has only the manifests. A ``provisional`` round holds days that were not
    sealed yet. ``corrects`` names the round that this one replaces, and ``why`` says why.
    ``tools`` are the versions and hashes of what wrote its files; ``key`` is the public key that signed the sums.
    """

    id: str
    title_en: str
    title_fa: str
    timezone: str
    window_days: int
    as_of: int
    evidence_sequence: int
    register_version: str
    probe_version: str
    method_version: str
    software: str
    record: str
    end: str
    days: tuple[str, ...]
    key: str
    around: tuple[str, ...] = ()
    provisional: bool = False
    corrects: str = ""
    why: str = ""
    previous: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def content(self) -> bytes:
        """Return the content of round.json."""
        return canonical_json(asdict(self))


_ADAPTER: Final = TypeAdapter(FrozenRound)


def read_round(content: bytes) -> FrozenRound:
    """Parse round.json. Raises ValueError when it does not describe a round of this format, or is not canonical."""
    _check_format(content)
    try:
        found = _ADAPTER.validate_python(orjson.loads(content))
        days = (*found.days, *found.around, found.record, found.end)
        canonical = all(date.fromisoformat(day).isoformat() == day for day in days)
        datetime.fromtimestamp(found.as_of, ZoneInfo(found.timezone))  # which lists of rounds show
    except (ValueError, KeyError, OverflowError, OSError) as error:  # KeyError: no timezone has that name
        raise ValueError("it does not describe a round") from error
    if not canonical or found.content() != content:
        raise ValueError("it is not canonical JSON")
    return found


def _check_format(content: bytes) -> None:
    """Raise ValueError for a round of another format, which may have other fields and files."""
    with suppress(orjson.JSONDecodeError):
        fields = orjson.loads(content)
        if isinstance(fields, dict) and (said := fields.get("format", FORMAT)) != FORMAT:
            release = fields.get("software")
            raise ValueError(f"it is of format {said!r}, not {FORMAT}: use the release that froze it, {release!r}")

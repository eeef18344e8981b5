"""The description of a round: round.json, as canonical JSON (docs/rounds.md §2). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

import orjson
from pydantic import TypeAdapter, ValidationError

from services.core.canonical_json import canonical_json

ROUND_FILE: Final = "round.json"
ROUND_ID: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
"""The form of the name of a round, and of its folder."""

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class FrozenRound:
    """One round: the ``window_days`` days up to ``as_of`` (epoch seconds), by one register and one method.

    ``days`` are those with evidence in the round: of the window, and of the record before it. A ``provisional`` round
    holds days that were not sealed yet. ``corrects`` names the round that this one replaces, and ``why`` says why.
    ``tools`` are the versions of the tools that drew the reports; ``key`` is the public key that signed the sums.
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
    days: tuple[str, ...]
    key: str
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
    """Parse round.json. Raises ValueError when it does not describe a round, or is not canonical."""
    try:
        found = _ADAPTER.validate_python(orjson.loads(content))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise ValueError("it does not describe a round") from error
    if found.content() != content:
        raise ValueError("it is not canonical JSON")
    return found

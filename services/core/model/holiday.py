"""Holidays as values: days when traffic differs from the same weekday of other weeks (docs/register.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day of the policy's timezone; days of one ``kind``, such as ``official``, are expected to be alike."""

    day: date
    kind: str
    name_en: str
    name_fa: str

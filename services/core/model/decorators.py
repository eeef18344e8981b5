"""Values that are made for every probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

__all__ = ["unfrozen"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def unfrozen(cls: type[T]) -> type[T]:
    """Make a dataclass that is frozen to mypy alone.

    Setting a field of one that is frozen at run time too costs three times as much; for the values of a probe, with their
    some sixty fields, that was 5 % of it.
    """
    return dataclass(slots=True)(cls)

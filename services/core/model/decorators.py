"""A decorator of value classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def unfrozen(cls: type[T]) -> type[T]:
    """Make a dataclass that is frozen for mypy, but not at run time.

    Setting a field of a really frozen dataclass takes three times as long. The values that one probe creates have some
    sixty fields, which made up 5 % of its time.
    """
    return dataclass(slots=True)(cls)

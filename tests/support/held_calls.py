"""A function whose calls wait until a test releases them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any, Self


class HeldCalls:
    """Calls ``function`` once ``released``, at the latest when the context ends. ``made`` counts calls that have begun."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.released = Event()
        self.made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()

    def __call__(self, *arguments: Any) -> Any:
        self.made += 1
        self.released.wait()
        return self._function(*arguments)

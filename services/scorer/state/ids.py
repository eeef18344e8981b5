"""Encodes the ids of targets and vantages, which the columns and rows of all files stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from services.core.model import Target


@dataclass(frozen=True, slots=True)
class Ids:
    """Targets and vantages, in the order of columns and rows."""

    targets: tuple[Target, ...]
    vantages: tuple[str, ...]

    def encode(self) -> bytes:
        """Return the content of a file of ids."""
        targets = [(target.id, target.endpoint) for target in self.targets]
        return orjson.dumps({"targets": targets, "vantages": self.vantages})


def ids_reader(known: Sequence[Target]) -> Callable[[bytes | memoryview], Ids]:
    """Return a function that reads such content and shares the targets that are ``known``: a million take 110 MB.

    It raises ValueError, KeyError or TypeError for other content.
    """
    of_links, of_endpoints = (
        {target.id: target for target in known if target.endpoint is endpoint} for endpoint in (False, True)
    )

    def decode(content: bytes | memoryview) -> Ids:
        fields = orjson.loads(content)
        targets = (
            (of_endpoints if endpoint else of_links).get(name) or Target(name, endpoint=endpoint)
            for name, endpoint in fields["targets"]
        )
        return Ids(tuple(targets), tuple(fields["vantages"]))

    return decode

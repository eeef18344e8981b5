"""An index as a value: what it is computed from, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.core.model import Register
from services.core.structure import Structure
from services.indicator.counted import Counted
from services.indicator.frame import Frame
from services.indicator.index import Snapshot
from services.indicator.network import Network
from services.scorer.membership import Members, members

__all__ = ["Adopted", "Due", "Judgement"]


@dataclass(frozen=True, slots=True, eq=False)
class Adopted:
    """A register with all that is worked out of it once, which takes seconds for a million links."""

    register: Register
    frame: Frame
    network: Network
    members: dict[str, Members]

    @classmethod
    def of(cls, register: Register) -> Adopted:
        """Work it out."""
        frame = Frame.of(register)
        return cls(register, frame, Network.of(register, frame), dict(members(register, frame)))


@dataclass(frozen=True, slots=True, eq=False)
class Due:
    """What a judgement is computed from: the evidence as counted, up to message ``sequence``; and what is due of it, as of
    ``Judgement``.
    """

    adopted: Adopted
    counted: Counted
    sequence: int
    chunks: tuple[range, ...]
    due: Mapping[str, Members]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One index, the structure over each window, and the chunks of slots whose detail is to be published with them, as
    ranges of slots; of the agencies ``due``, for whom anything new counts.
    """

    snapshot: Snapshot
    register: Register
    frame: Frame
    members: dict[str, Members]
    chunks: tuple[range, ...]
    due: Mapping[str, Members]
    structures: tuple[Structure, ...] = ()

"""What the api knows: the register in force and every published indicator, in memory, ready to be sent."""

from __future__ import annotations

from collections import Counter

import grpc

from services.api.published import Published
from services.api.refusal import RefusedError
from services.api.register_view import RegisterView
from services.core.codec import Block
from services.core.evidence import Indicator, Kind

__all__ = ["GOVERNMENT_BLOCK", "ReadModel", "block_key", "named_kind"]

GOVERNMENT_BLOCK = "government"
_CONSUMER_BLOCK = "consumer."


def block_key(agency: str) -> str:
    """Key in bucket `indicator` of what is published about one consumer agency."""
    return f"{_CONSUMER_BLOCK}{agency}"


def named_kind(number: int) -> Kind:
    """Return the kind of this number. Raises RefusedError for a number that is none."""
    try:
        return Kind(number)
    except ValueError as error:
        kinds = ", ".join(kind.label for kind in Kind)
        raise RefusedError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "KIND_UNKNOWN",
            f"kind {number} is none: ask for one of {kinds}",
            kind=str(number),
        ) from error


class ReadModel:
    """The picture the api answers from. Blocks replace each other whole; look-ups are dictionary hits.

    ``whole`` is the newest set of blocks of the register's agencies that were published together: what sums over
    several agencies' evidence is taken from there, so that an explanation never mixes two refreshes.
    """

    def __init__(self) -> None:
        self.blocks: dict[str, Block] = {}
        self.whole: dict[str, Block] = {}
        self._view: RegisterView | None = None
        self._published: dict[tuple[int, str, int], Published] = {}
        self._stamps: dict[str, tuple[str, int]] = {}
        self._stamped: Counter[tuple[str, int]] = Counter()

    @property
    def complete(self) -> bool:
        """Whether the register and the government's indicators are there."""
        return self._view is not None and GOVERNMENT_BLOCK in self.blocks

    @property
    def current(self) -> RegisterView | None:
        """The register in force, None as long as there is none."""
        return self._view

    @property
    def view(self) -> RegisterView:
        """The register in force. Raises RefusedError as long as there is none."""
        if self._view is None:
            raise RefusedError(
                grpc.StatusCode.UNAVAILABLE,
                "REGISTER_UNPUBLISHED",
                "no register is in force yet: publish one, or retry",
            )
        return self._view

    def take_register(self, view: RegisterView) -> None:
        """Take in a new version of the register."""
        self._view = view
        for key in {*self._stamps, *self.blocks}:
            self._stamp(key)
        self._settle()

    def take_block(self, key: str, block: Block | None) -> list[Published]:
        """Take in a block of at least one indicator, None when it was deleted. Returns what changed, for watchers."""
        before = self.blocks.pop(key, None)
        gone = set() if before is None else {_place(one) for one in before.indicators}
        changed: list[Published] = []
        if block is not None:
            self.blocks[key] = block
            for indicator in block.indicators:
                place, new = _place(indicator), Published(indicator)
                old = self._published.get(place)
                self._published[place] = new
                gone.discard(place)
                if old is None or new.differs_from(old):
                    changed.append(new)
        for place in gone:
            del self._published[place]
        self._stamp(key)
        self._settle()
        return changed

    def agencies_reach(self, as_of: int) -> bool:
        """Whether no agency's block of the register in force is older than this moment."""
        return all(stamp[1] >= as_of for key, stamp in self._stamps.items() if key != GOVERNMENT_BLOCK)

    def find(self, kind: int, entity: str, window_days: int) -> Published | None:
        """Return what is published under exactly this name, if anything is."""
        return self._published.get((kind, entity, window_days))

    def get(self, kind: int, entity: str, window_days: int) -> Published:
        """Return the indicator asked for; an empty id is the government's, window 0 the policy's default.

        Raises RefusedError: unknown kind, window or entity; nothing published; nothing ever to be published.
        """
        found = self._published.get((kind, entity, window_days))
        if found is not None:
            return found
        asked, days = named_kind(kind), self.view.window(window_days)
        name = self.view.entity(asked, entity)
        found = self._published.get((kind, name, days))
        if found is None:
            raise self._missing(asked, name, days)
        return found

    def _missing(self, kind: Kind, entity: str, days: int) -> RefusedError:
        about = {"kind": kind.label, "id": entity, "window_days": str(days)}
        never = self.view.requires_nothing(kind, entity)
        if never or self._is_current():
            why = "has no required link in the register" if never else f"has nothing in force in the last {days} days"
            return RefusedError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "NOT_APPLICABLE",
                f"{kind.label} `{entity}` {why}, so it has no indicator",
                **about,
            )
        return RefusedError(
            grpc.StatusCode.UNAVAILABLE,
            "INDICATOR_UNPUBLISHED",
            f"no indicator of {kind.label} `{entity}` over {days} days is published yet: retry later",
            **about,
        )

    def _is_current(self) -> bool:
        """Whether the newest blocks were all published together, and are of the register in force."""
        if GOVERNMENT_BLOCK not in self.blocks:
            return False  # it comes last; until then the first refresh is not whole
        return len(self._stamped) == 1 and next(iter(self._stamped))[0] == self.view.register.register_version

    def _stamp(self, key: str) -> None:
        """Note what a block was published with, if it is one of those published together for the register in force."""
        before = self._stamps.pop(key, None)
        if before is not None:
            self._stamped[before] -= 1
            if not self._stamped[before]:
                del self._stamped[before]
        block = self.blocks.get(key)
        if block is None or self._view is None:
            return
        if key == GOVERNMENT_BLOCK or key.removeprefix(_CONSUMER_BLOCK) in self._view.register.agencies:
            first = block.indicators[0]
            self._stamps[key] = first.register_version, first.as_of
            self._stamped[self._stamps[key]] += 1

    def _settle(self) -> None:
        if len(self._stamped) == 1 and GOVERNMENT_BLOCK in self._stamps:
            self.whole = {key: self.blocks[key] for key in self._stamps}


def _place(indicator: Indicator) -> tuple[int, str, int]:
    return int(indicator.kind), indicator.id, indicator.window_days

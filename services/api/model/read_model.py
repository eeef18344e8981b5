"""What the api knows: the register in force and every published indicator, in memory, ready to be sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from services.api.errors import InvalidRequestError, NotApplicableError, RequestError, UnavailableError
from services.api.model.published import Published
from services.api.model.register_view import RegisterView
from services.core.blocks import BlockReader, IndicatorKey
from services.core.model import IndicatorKind, Register

__all__ = ["GOVERNMENT_BLOCK", "Change", "ReadModel", "block_key", "named_kind"]

GOVERNMENT_BLOCK = "government"
_CONSUMER_BLOCK = "consumer."
_ROWS_KEPT = 256


def block_key(agency: str) -> str:
    """Key in bucket `indicator` of what is published about one consumer agency."""
    return f"{_CONSUMER_BLOCK}{agency}"


def named_kind(number: int) -> IndicatorKind:
    """Return the kind of this number. Raises RequestError for a number that is none."""
    try:
        return IndicatorKind(number)
    except ValueError as error:
        kinds = ", ".join(kind.label for kind in IndicatorKind)
        raise InvalidRequestError(
            "KIND_UNKNOWN",
            f"kind {number} is none: ask for one of {kinds}",
            kind=str(number),
        ) from error


class ReadModel:
    """The picture the api answers from. Blocks replace each other whole, and are read as far as they are asked for: what
    was asked once is a dictionary hit until there is a newer block.

    ``whole`` is the newest set of blocks of the register's agencies that were published together: what sums over
    several agencies' evidence is taken from there, so that an explanation never mixes two refreshes.
    """

    def __init__(self) -> None:
        self.blocks: dict[str, BlockReader] = {}
        self.whole: dict[str, BlockReader] = {}
        self._view: RegisterView | None = None
        self._published: dict[IndicatorKey, Published] = {}  # what was asked for, of the newest blocks
        self._asked: dict[str, dict[IndicatorKey, Published]] = {}  # the same by block
        self._rows: dict[str, None] = {}  # the blocks last looked into
        self._stamps: dict[str, tuple[str, int]] = {}
        self._stamped: Counter[tuple[str, int]] = Counter()
        self._moments: Counter[int] = Counter()  # as_of of agencies' blocks

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
        """The register in force. Raises RequestError as long as there is none."""
        if self._view is None:
            raise UnavailableError(
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

    def take_block(self, key: str, block: BlockReader | None) -> Change:
        """Take in a block, None when it was deleted. Returns what to ask for what changed, for watchers."""
        before = self.blocks.pop(key, None)
        if block is not None:
            self.blocks[key] = block
        asked = self._asked.pop(key, {})
        for place in asked:
            del self._published[place]
        self._stamp(key)
        self._settle()
        return Change(self, key, before, block, asked)

    def agencies_reach(self, as_of: int) -> bool:
        """Whether no agency's block of the register in force is older than this moment.

        As long as there is no government's block, also whether each agency that links are required of has one.
        """
        if any(moment < as_of for moment in self._moments):
            return False
        if GOVERNMENT_BLOCK in self.blocks:
            return True
        return self._view is not None and all(block_key(one) in self._stamps for one in self._view.consumers)

    def find(self, kind: int, entity: str, window_days: int) -> Published | None:
        """Return what is published under exactly this name, if anything is."""
        place = kind, entity, window_days
        found = self._published.get(place)
        if found is None and self._view is not None:
            key = self._key_of(self._view.register, kind, entity)
            found = None if key is None else self.published_in(key, place)
        return found

    def published_in(self, key: str, place: IndicatorKey) -> Published | None:
        """Return what a block says of a place; made once, and kept until there is a newer block."""
        found = self._published.get(place)
        block = self.blocks.get(key)
        if found is None and block is not None:
            indicator = block.find(place)
            self._keep_rows(key)
            if indicator is not None:
                found = self._published[place] = self._asked.setdefault(key, {})[place] = Published(indicator)
        return found

    def _keep_rows(self, key: str) -> None:
        """Keep in mind where the rows of blocks are that were asked last, and no more of them: it takes memory."""
        self._rows.pop(key, None)
        self._rows[key] = None
        if len(self._rows) > _ROWS_KEPT:
            oldest = next(iter(self._rows))
            del self._rows[oldest]
            if (block := self.blocks.get(oldest)) is not None:
                block.forget()

    def _key_of(self, register: Register, kind: int, entity: str) -> str | None:
        """The block an entity's indicator is in, None for one the register does not know."""
        match kind:
            case IndicatorKind.LINK:
                link = register.links.get(entity)
                return None if link is None else block_key(register.consumer(link))
            case IndicatorKind.SERVICE:
                service = register.services.get(entity)
                return None if service is None else block_key(service.agency)
            case IndicatorKind.ENDPOINT:
                endpoint = register.endpoints.get(entity)
                return None if endpoint is None else block_key(endpoint.agency)
            case IndicatorKind.CONSUMER:
                return block_key(entity)
            case _:
                return GOVERNMENT_BLOCK

    def get(self, kind: int, entity: str, window_days: int) -> Published:
        """Return the indicator asked for; an empty id is the government's, window 0 the policy's default.

        Raises RequestError: unknown kind, window or entity; nothing published; nothing ever to be published.
        """
        found = self._published.get((kind, entity, window_days))
        if found is not None:
            return found
        asked, days = named_kind(kind), self.view.window(window_days)
        name = self.view.entity(asked, entity)
        found = self.find(asked, name, days)
        if found is None:
            raise self._missing(asked, name, days)
        return found

    def _missing(self, kind: IndicatorKind, entity: str, days: int) -> RequestError:
        about = {"kind": kind.label, "id": entity, "window_days": str(days)}
        never = self.view.requires_nothing(kind, entity)
        if never or self._is_current():
            why = "has no required link in the register" if never else f"has nothing in force in the last {days} days"
            return NotApplicableError(
                "NOT_APPLICABLE",
                f"{kind.label} `{entity}` {why}, so it has no indicator",
                **about,
            )
        return UnavailableError(
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
            self._count(key, before, -1)
        block = self.blocks.get(key)
        if block is None or self._view is None:
            return
        if key == GOVERNMENT_BLOCK or key.removeprefix(_CONSUMER_BLOCK) in self._view.register.agencies:
            self._stamps[key] = block.register_version, block.as_of
            self._count(key, self._stamps[key], 1)

    def _count(self, key: str, stamp: tuple[str, int], by: int) -> None:
        self._stamped[stamp] += by
        if not self._stamped[stamp]:
            del self._stamped[stamp]
        if key != GOVERNMENT_BLOCK:
            self._moments[stamp[1]] += by
            if not self._moments[stamp[1]]:
                del self._moments[stamp[1]]

    def _settle(self) -> None:
        if len(self._stamped) == 1 and GOVERNMENT_BLOCK in self._stamps:
            self.whole = {key: self.blocks[key] for key in self._stamps}


class Change:
    """One block in place of another, and what of it is news."""

    def __init__(
        self,
        model: ReadModel,
        key: str,
        before: BlockReader | None,
        after: BlockReader | None,
        asked: Mapping[IndicatorKey, Published],
    ) -> None:
        self._model = model
        self._key = key
        self._before = before
        self._after = after
        self._asked = asked

    def places(self) -> Iterable[IndicatorKey]:
        """What the new block has indicators of."""
        return () if self._after is None else self._after.places()

    def __len__(self) -> int:
        return 0 if self._after is None else len(self._after)

    def news(self, place: IndicatorKey) -> Published | None:
        """Return what is published now of a place; None where nothing is, or nothing that a watcher is to be told."""
        here = self._after is not None and place in self._after
        new = self._model.published_in(self._key, place) if here else None
        if new is None or self._before is None or self._before.as_of != new.indicator.as_of:
            return new
        earlier = self._asked.get(place)
        old = self._before.find(place) if earlier is None else earlier.indicator
        return new if old is None or new.differs_from(old) else None

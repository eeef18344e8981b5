"""Keeps the register in force and every published indicator in memory."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from functools import partial

from services.api.errors import InvalidRequestError, NotApplicableError, RequestError, UnavailableError
from services.api.model.register_view import RegisterView, agency_block_key
from services.api.model.watch import BlockChange, PublishedIndicator
from services.core.blocks import BlockReader, IndicatorKey
from services.core.bus import GOVERNMENT_KEY
from services.core.model import IndicatorKind

_PARSED_ROWS = 200_000
"""How many rows of blocks stay parsed, some 650 bytes each with their index: all of 60,000 links over three windows."""


def parse_kind(number: int) -> IndicatorKind:
    """Return the kind of this number. Raises RequestError for an unknown number."""
    try:
        return IndicatorKind(number)
    except ValueError as error:
        kinds = ", ".join(kind.label for kind in IndicatorKind)
        raise InvalidRequestError(
            "KIND_UNKNOWN", f"kind {number} is none: ask for one of {kinds}", kind=str(number)
        ) from error


class ReadModel:
    """The state that the api answers from. A block is replaced as a whole; an indicator is read from it when requested.

    ``blocks`` are the newest blocks by key. ``whole`` is the newest set of blocks of the register's agencies that were
    published together. Sums over several agencies use it, so that an answer never mixes two refreshes.
    """

    def __init__(self) -> None:
        self.blocks: dict[str, BlockReader] = {}
        self.whole: dict[str, BlockReader] = {}
        self._view: RegisterView | None = None
        # Requested indicators of the newest blocks, each from the block that its entity belongs to by the register, and
        # the same by block.
        self._requested: dict[IndicatorKey, PublishedIndicator] = {}
        self._requested_of: dict[str, dict[IndicatorKey, PublishedIndicator]] = {}
        self._parsed: OrderedDict[str, int] = OrderedDict()  # rows of the blocks kept parsed, newest use last
        self._parsed_rows = 0
        # Register version and as_of of each block of an agency in the register, and how many blocks have them.
        self._stamps: dict[str, tuple[str, int]] = {}
        self._stamp_counts: Counter[tuple[str, int]] = Counter()
        self._agency_moments: Counter[int] = Counter()

    @property
    def complete(self) -> bool:
        """Whether a register exists with the government's indicators or, without links in force, with those of any endpoint."""
        return self._view is not None and (GOVERNMENT_KEY in self.blocks or self._has_no_index())

    @property
    def current(self) -> RegisterView | None:
        """The register in force, None before there is one."""
        return self._view

    @property
    def view(self) -> RegisterView:
        """The register in force. Raises RequestError before there is one."""
        if self._view is None:
            raise UnavailableError("REGISTER_UNPUBLISHED", "no register is in force yet: publish one, or retry")
        return self._view

    def replace_register(self, view: RegisterView) -> None:
        """Put a new version of the register in force. Entities may then belong to other blocks."""
        self._view = view
        self._requested.clear()
        self._requested_of.clear()
        for key in {*self._stamps, *self.blocks}:
            self._update_stamp(key)
        self._update_whole()

    def replace_block(self, key: str, block: BlockReader | None) -> BlockChange:
        """Replace a block, with None when it was deleted. Returns what changed, for watchers."""
        before = self.blocks.pop(key, None)
        if before is not None:
            before.forget()
            self._parsed_rows -= self._parsed.pop(key, 0)
        if block is not None:
            self.blocks[key] = block
        requested = self._requested_of.pop(key, {})
        for indicator_key in requested:
            del self._requested[indicator_key]
        self._update_stamp(key)
        self._update_whole()
        return BlockChange(before, block, requested=requested, published=partial(self._published, key))

    def agencies_reach(self, as_of: int) -> bool:
        """Return whether no block of an agency of the register in force is older than ``as_of``.

        Before the first government's block, every agency that must make an inquiry must also have a block.
        """
        if any(moment < as_of for moment in self._agency_moments):
            return False
        if GOVERNMENT_KEY in self.blocks:
            return True
        return self._view is not None and all(
            agency_block_key(agency) in self._stamps for agency in self._view.consumers
        )

    def find(self, kind: int, entity: str, window_days: int) -> PublishedIndicator | None:
        """Return the indicator published under exactly this name, None when there is none."""
        key = kind, entity, window_days
        indicator = self._requested.get(key)
        if indicator is None and self._view is not None:
            block = self._view.block_key(kind, entity)
            indicator = None if block is None else self._published(block, key)
        return indicator

    def find_all(self, kind: int, entities: Sequence[str], window_days: int) -> Iterator[PublishedIndicator]:
        """Yield the published indicators of some entities, those of one block together.

        A block that does not stay parsed is then parsed once, and not again for each entity.
        """
        view = self.view
        for entity in sorted(entities, key=lambda entity: view.block_key(kind, entity) or ""):
            published = self.find(kind, entity, window_days)
            if published is not None:
                yield published

    def get(self, kind: int, entity: str, window_days: int) -> PublishedIndicator:
        """Return an indicator; an empty id is the government's, window 0 the policy's default.

        Raises RequestError for an unknown kind, window or entity, and when it is not published, or never will be.
        """
        indicator = self._requested.get((kind, entity, window_days))
        if indicator is not None:
            return indicator
        parsed, days = parse_kind(kind), self.view.window(window_days)
        name = self.view.entity(parsed, entity)
        indicator = self.find(parsed, name, days)
        if indicator is None:
            raise self._missing(parsed, name, days)
        return indicator

    def government_block(self) -> BlockReader | None:
        """Return the government's block, None before there is one. Raises RequestError when there will be none."""
        block = self.blocks.get(GOVERNMENT_KEY)
        if block is None and self._has_no_index():
            policy = self.view.register.policy
            raise self._missing(IndicatorKind.GOVERNMENT, policy.government.id, max(policy.windows_days))
        return block

    def _published(self, block_key: str, key: IndicatorKey) -> PublishedIndicator | None:
        """Return an indicator if its entity belongs to the block; it stays in memory until there is a newer one."""
        if self._view is not None and self._view.block_key(key[0], key[1]) != block_key:
            return None
        indicator = self._requested.get(key)
        block = self.blocks.get(block_key)
        if indicator is None and block is not None:
            message = block.find(key)
            self._limit_parsed(block_key)
            if message is not None:
                indicator = self._requested[key] = PublishedIndicator(message)
                self._requested_of.setdefault(block_key, {})[key] = indicator
        return indicator

    def parsed_block(self, key: str) -> BlockReader | None:
        """Return a block that stays parsed for further reads; None if there is none."""
        block = self.blocks.get(key)
        if block is not None:
            block.keep()
            self._limit_parsed(key)
        return block

    def _limit_parsed(self, block_key: str) -> None:
        """Drop the parsed rows of the least recently used blocks beyond a number of rows."""
        if block_key not in self._parsed:
            self._parsed[block_key] = rows = len(self.blocks[block_key])
            self._parsed_rows += rows
        self._parsed.move_to_end(block_key)
        while self._parsed_rows > _PARSED_ROWS and len(self._parsed) > 1:
            oldest, rows = self._parsed.popitem(last=False)
            self._parsed_rows -= rows
            self.blocks[oldest].forget()

    def _missing(self, kind: IndicatorKind, entity: str, days: int) -> RequestError:
        about = {"kind": kind.label, "id": entity, "window_days": str(days)}
        never = self.view.requires_nothing(kind, entity)
        if never or self._is_current() or (kind is not IndicatorKind.ENDPOINT and self._has_no_index()):
            why = "has no required link in the register" if never else f"has nothing in force in the last {days} days"
            return NotApplicableError(
                "NOT_APPLICABLE", f"{kind.label} `{entity}` {why}, so it has no indicator", **about
            )
        return UnavailableError(
            "INDICATOR_UNPUBLISHED",
            f"no indicator of {kind.label} `{entity}` over {days} days is published yet: retry later",
            **about,
        )

    def _has_no_index(self) -> bool:
        """Return whether no link is in force in the windows of the newest block, so that there is none of the government.

        Where the register has no endpoint either, no block ever comes, and the time of its publication counts.
        """
        view = self.view
        first = None if view.register.endpoints else view.published
        as_of = max((block.as_of for block in self.blocks.values()), default=first)
        return as_of is not None and not view.has_index(as_of)

    def _is_current(self) -> bool:
        """Return whether the newest blocks that were published together are of the register in force."""
        if GOVERNMENT_KEY not in self.blocks or GOVERNMENT_KEY not in self.whole:
            return False  # it comes last; until then the first refresh is incomplete
        return self.whole[GOVERNMENT_KEY].register_version == self.view.register.register_version

    def _update_stamp(self, key: str) -> None:
        """Record the register version and moment of a block, if the register in force has its agency."""
        before = self._stamps.pop(key, None)
        if before is not None:
            self._count(key, before, -1)
        block = self.blocks.get(key)
        if block is not None and self._view is not None and (key == GOVERNMENT_KEY or key in self._view.consumer_keys):
            self._stamps[key] = block.register_version, block.as_of
            self._count(key, self._stamps[key], 1)

    def _count(self, key: str, stamp: tuple[str, int], change: int) -> None:
        self._stamp_counts[stamp] += change
        if not self._stamp_counts[stamp]:
            del self._stamp_counts[stamp]
        if key != GOVERNMENT_KEY:
            self._agency_moments[stamp[1]] += change
            if not self._agency_moments[stamp[1]]:
                del self._agency_moments[stamp[1]]

    def _update_whole(self) -> None:
        if GOVERNMENT_KEY not in self.blocks and self.whole:
            self.whole = {}  # there is no index any more
        if len(self._stamp_counts) == 1 and GOVERNMENT_KEY in self._stamps:
            self.whole = {key: self.blocks[key] for key in self._stamps}

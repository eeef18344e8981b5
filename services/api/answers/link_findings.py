"""Indexes the links that have a finding, for ListLinks (docs/exchange.md §4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.api.errors import InvalidRequestError
from services.api.model import ReadModel, RegisterView, agency_block_key
from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY
from services.core.model import LINK_FINDINGS, link_findings
from services.core.tasks import Slices

_Found = Mapping[tuple[str, int], Sequence[str]]
"""Links by the name of a finding and days of a window."""


class LinkFindingIndex:
    """The links with each finding by the newest blocks. Each block is read once, when first needed."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._of_blocks: dict[str, tuple[BlockReader, _Found]] = {}
        self._view: RegisterView | None = None
        self._links: dict[tuple[str, int], tuple[str, ...]] = {}  # by the register of ``_view``

    async def links(self, view: RegisterView, finding: int, window_days: int) -> Sequence[str]:
        """Return the sorted ids of the register's links with this LinkFinding.

        Reading the blocks of a whole refresh takes longer than other calls should wait, so it pauses for them. Raises
        RequestError for a number that is no finding.
        """
        if not 0 < finding <= len(LINK_FINDINGS):
            raise InvalidRequestError(
                "FINDING_UNKNOWN",
                f"finding {finding} is none: ask for one of {', '.join(LINK_FINDINGS)}",
                finding=str(finding),
            )
        await self._update()
        if self._view is not view:
            self._view, self._links = view, {}
        key = LINK_FINDINGS[finding - 1], window_days
        if key not in self._links:
            self._links[key] = self._sorted(view, key)
        return self._links[key]

    async def _update(self) -> None:
        """Read the blocks that have come since the last call, also those that come meanwhile."""
        blocks, slices = self._model.blocks, Slices()
        for key in self._of_blocks.keys() - blocks.keys():
            del self._of_blocks[key]
            self._links.clear()
        while stale := [key for key, block in blocks.items() if not self._is_read(key, block)]:
            for key in stale:
                block = blocks.get(key)
                if block is not None and not self._is_read(key, block):  # another call may have read it meanwhile
                    self._of_blocks[key] = block, _found(block)
                    self._links.clear()
                    await slices.pause()

    def _is_read(self, key: str, block: BlockReader) -> bool:
        known = self._of_blocks.get(key)
        return key == GOVERNMENT_KEY or (known is not None and known[0] is block)

    def _sorted(self, view: RegisterView, key: tuple[str, int]) -> tuple[str, ...]:
        """Return links in order, each from the block that it belongs to by the register."""
        links, consumer = view.register.links, view.register.consumer
        return tuple(
            sorted(
                link
                for block_key, (_, found) in self._of_blocks.items()
                for link in found.get(key, ())
                if link in links and agency_block_key(consumer(links[link])) == block_key
            )
        )


def _found(block: BlockReader) -> _Found:
    found: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for one in block.reconciliations:
        for name in link_findings(one):
            found[name, one.window_days].append(one.link)
    return dict(found)

"""What was last measured, as blocks of KV bucket ``indicator``; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from services.core.blocks import RecentBlock
from services.core.bus import recent_key
from services.core.model import Kind
from services.indicator.cells import Recent
from services.indicator.index import Burns
from services.indicator.register_arrays import Frame
from services.scorer.index.members import Members

__all__ = ["latest_blocks", "latest_keys"]

PART = 512
"""Targets in one block, so that even with every failure's detail it stays below the bus's limit of 1 MiB."""


def latest_keys(members: Mapping[str, Members]) -> set[str]:
    """Return the keys of all parts of these agencies' blocks."""
    return {
        recent_key(agency, part) for agency, own in members.items() for part in range(-(-len(own.target_rows) // PART))
    }


def latest_blocks(
    recent: Recent, burns: Burns, frame: Frame, members: Mapping[str, Members]
) -> Iterator[tuple[str, RecentBlock]]:
    """Cut what was last measured of the frame's targets into blocks of PART targets per agency."""
    columns = recent.columns_of(frame.targets)
    for agency, own in members.items():
        links = len(own.links)
        for start in range(0, len(own.target_rows), PART):
            part = slice(start, start + PART)
            here = columns[own.target_rows[part]]
            counted = own.rows[Kind.LINK][part]
            yield (
                recent_key(agency, start // PART),
                RecentBlock(
                    links=own.links[part],
                    endpoints=own.endpoints[max(0, start - links) : max(0, start + PART - links)],
                    vantages=tuple(recent.vantages),
                    latest=recent.latest(here),
                    failures=recent.failures(here),
                    burn_known=burns.known[:, counted].astype(np.int64),
                    burn_failed=burns.failed[:, counted].astype(np.int64),
                ),
            )

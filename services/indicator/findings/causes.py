"""Charges flows that depart together to one cause: a service, provider, consumer or bus (docs/method.md §12.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.core.model import FindingScope
from services.indicator.array_types import Bools, Floats, Ints
from services.indicator.findings.rows import Rows

DEPARTING: Final = 3.0
"""The evidence, in nats, from which a flow votes for a common cause once another has been found (1 in 20 by luck)."""

ABLE: Final = 2 * DEPARTING
"""The evidence expected of a flow if it were concerned, from which its lack of evidence is a vote against."""

AGREE: Final = 0.7
"""The share of votes that a common cause needs, of two flows or more."""

WIDE: Final = 0.25
FEWEST_WIDE: Final = 10
"""The least share and number of a bus's flows that depart together without a narrower common cause: closed offices."""

MAINLY: Final = 0.6
"""The part of a sum's departure from which a flow or a sum within it is charged instead."""


@dataclass(frozen=True, slots=True, eq=False)
class Departures:
    """The departures of one side in one step, (r,) each.

    ``alarms`` marks the rows that are found by their ``evidence``. ``departs`` is how far each row departs from what
    is expected. ``power`` (f,) is the evidence expected of each flow if it were concerned. ``departing`` (f,) marks the
    flows that vote for a common cause.
    """

    evidence: Floats
    alarms: Bools
    departs: Floats
    power: Floats
    departing: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Charge:
    """A cause: the row that is charged, the flows under it, and the row whose evidence found it."""

    row: int
    flows: Ints
    found_by: int


def charge_causes(departures: Departures, rows: Rows) -> list[Charge]:
    """Charge the departures to as few causes as explain them."""
    alarms = departures.alarms.copy()
    left = np.ones(rows.flows, np.bool_)
    charges: list[Charge] = []
    while alarms.any():
        top = int(np.where(alarms, departures.evidence, -np.inf).argmax())
        charge = _charge(top, departures, rows, left)
        left[charge.flows] = False
        alarms &= ~rows.sums_with(~left)
        alarms[top] = False
        charges.append(charge)
    return charges


def _charge(top: int, departures: Departures, rows: Rows, left: Bools) -> Charge:
    departing = departures.departing & left
    against = (departures.power >= ABLE) & ~departing & left
    common = _common_cause(top, departing, against, rows)
    if common is not None:
        members = rows.flows_of(common)
        return Charge(common, members[~against[members] & left[members]], top)
    cause = top if top < rows.flows else _main_part(top, departures, rows, left)
    members = rows.flows_of(cause)
    return Charge(cause, members[left[members]], top)


def _main_part(top: int, departures: Departures, rows: Rows, left: Bools) -> int:
    """Return the narrowest flow or sum within a sum that makes up most of its departure, or else the sum."""
    members = np.isin(np.arange(rows.flows), rows.flows_of(top)).astype(np.float64)
    sizes = rows.with_sums(np.ones(rows.flows))
    mainly = departures.departs * np.sign(departures.departs[top]) >= MAINLY * abs(departures.departs[top])
    within = mainly & (rows.with_sums(members) == sizes) & rows.sums_with(left)
    return min(np.flatnonzero(within).tolist(), key=lambda row: (sizes[row], -abs(departures.departs[row])))


def _common_cause(top: int, departing: Bools, against: Bools, rows: Rows) -> int | None:
    """Return the sum that most departing flows agree on, the narrowest of equals; None if there is none."""
    votes = rows.with_sums(departing.astype(np.float64))[rows.flows :]
    others = rows.with_sums(against.astype(np.float64))[rows.flows :]
    concerned = rows.sums_with(np.isin(np.arange(rows.flows), rows.flows_of(top)))[rows.flows :]
    if top >= rows.flows:
        # A sum that departs is explained by itself, by a part of it, or by a sum that contains it.
        concerned[top - rows.flows] = True
    agreed = concerned & (votes >= 2) & (votes >= AGREE * (votes + others))
    of_bus = np.array([scope is FindingScope.BUS for scope in rows.scope[rows.flows :]])
    explained = np.where(agreed, votes, 0).max(initial=0)
    agreed |= (
        concerned & of_bus & (votes >= np.maximum(FEWEST_WIDE, 2 * explained)) & (votes >= WIDE * (votes + others))
    )
    if not agreed.any():
        return None
    sizes = np.diff(rows.members.indptr)
    # Rows of a narrower scope come first, and so win where all else is equal.
    return rows.flows + min(np.flatnonzero(agreed).tolist(), key=lambda row: (-votes[row], sizes[row]))

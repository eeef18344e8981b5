"""The evidence behind one link or endpoint: why its slots failed, what was last measured, how fast its budget burns.

Read from the bus on demand: the blocks of what was last measured, and of the slots kept in detail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from peyvand.v1 import indicator_service_pb2, measurement_pb2, outcome_pb2
from services.api.answers.link_shares import Gathered
from services.api.errors import UnavailableError
from services.api.model.register_view import RegisterView
from services.core.blocks import RecentBlock, SlotBlock, decode_recent, decode_slot_block
from services.core.codec import from_micros, reconciliation_to_message, to_duration, to_timestamp, volume_to_message
from services.core.errors import BusError
from services.core.model import FACTS, RecentRows, Target
from services.indicator.index import SPANS, burn, burning_links
from services.indicator.requirements import RequiredSlots
from services.indicator.verdicts import TargetSlots, counting_vantages

__all__ = ["Findings"]

_READ_SECONDS = 10.0
_PHASES = FACTS[2:7]

Read = Callable[[str], Awaitable[Mapping[str, bytes]]]
"""Every value of bucket `indicator` whose key matches a pattern, by key. BusError when the bus does not answer."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A target with what the register holds of it."""

    target: Target
    agency: str
    vantages: tuple[str, ...]
    required: RequiredSlots

    @classmethod
    def of(cls, view: RegisterView, target: Target) -> _Asked:
        register = view.register
        if target.endpoint:
            endpoint = register.endpoints[target.id]
            required = RequiredSlots.of_endpoint(view.calendar)
            return cls(target, endpoint.agency, tuple(endpoint.vantages), required)
        link = register.links[target.id]
        return cls(target, register.consumer(link), tuple(link.vantages), RequiredSlots.of_link(link, view.calendar))


class Findings:
    """Finds the evidence of single targets."""

    def __init__(self, read: Read) -> None:
        self._read = read

    async def of(self, gathered: Gathered, target: Target, window_days: int) -> indicator_service_pb2.LinkFindings:
        """Return what was found of a target that the register in force has. Raises RequestError."""
        view = gathered.view
        asked = _Asked.of(view, target)
        try:
            async with asyncio.timeout(_READ_SECONDS):
                latest, slots = await asyncio.gather(
                    self._read(f"latest.{asked.agency}.*"), self._read(f"slot.{asked.agency}.*")
                )
        except (BusError, TimeoutError) as error:
            raise UnavailableError(
                "EVIDENCE_UNREACHABLE",
                f"the evidence of `{target.id}` cannot be read as the bus does not answer: retry",
                id=target.id,
            ) from error
        found = indicator_service_pb2.LinkFindings()
        if not target.endpoint:
            _add_window(found, gathered, target.id)
            _add_exchanges(found, gathered, target.id, window_days)
        _add_reasons(found, view, asked, map(decode_slot_block, slots.values()))
        for block in map(decode_recent, latest.values()):
            if target in block.targets:
                _add_recent(found, block, asked)
                _add_burns(found, view, block, target)
        return found


def _add_window(found: indicator_service_pb2.LinkFindings, gathered: Gathered, link: str) -> None:
    at = gathered.view.position(link)
    found.slots = int(gathered.shares.slots[at])
    counts = gathered.shares.counts[:, at].tolist()
    found.not_connected, found.not_answered, found.invalid, found.late, found.stale, found.ok = counts


def _add_exchanges(found: indicator_service_pb2.LinkFindings, gathered: Gathered, name: str, window_days: int) -> None:
    register = gathered.view.register
    link = register.links[name]
    block = gathered.blocks.get(f"consumer.{register.consumer(link)}")
    for volume in () if block is None else block.exchanges:
        if volume.provider == link.provider and not volume.meta:
            found.exchanges.CopyFrom(volume_to_message(volume))
            break
    for one in () if block is None else block.reconciliations:
        if (one.link, one.window_days) == (name, window_days):
            found.reconciliation.CopyFrom(reconciliation_to_message(one))


def _add_reasons(
    found: indicator_service_pb2.LinkFindings, view: RegisterView, asked: _Asked, blocks: Iterable[SlotBlock]
) -> None:
    """Count the reasons of slots that were not OK."""
    counts, known = np.zeros(256, dtype=np.int64), 0
    covered: list[int] = []
    for block in blocks:
        targets = block.endpoints if asked.target.endpoint else block.links
        if asked.target.id not in targets:
            continue
        column = targets.index(asked.target.id) + (len(block.links) if asked.target.endpoint else 0)
        slots = block.first_slot + np.arange(len(block.verdict))
        judged = TargetSlots.of(
            slots,
            asked.required,
            block.verdict[:, column],
            block.outcome[:, column],
            block.reason[:, column],
            counting_vantages(asked.vantages, block.vantages),
        )
        known += int(judged.known.sum())
        counts += np.bincount(judged.reason[judged.failed], minlength=len(counts))
        in_force = slots[judged.verdict > 0]
        covered += in_force[[0, -1]].tolist() if len(in_force) else []
    if not covered:
        return
    found.reasons_known = known
    found.reasons_from.CopyFrom(to_timestamp(view.calendar.start_of(min(covered))))
    found.reasons_to.CopyFrom(to_timestamp(view.calendar.start_of(max(covered) + 1)))
    for reason in np.argsort(-counts, kind="stable").tolist():
        if counts[reason]:
            found.reasons.add(reason=_reason(reason), slots=int(counts[reason]), share=int(counts[reason]) / known)


def _add_recent(found: indicator_service_pb2.LinkFindings, block: RecentBlock, asked: _Asked) -> None:
    at = block.targets.index(asked.target)
    for rows, shown in ((block.latest, found.latest), (block.failures, found.failures)):
        for row in np.flatnonzero(rows.numbers[0] == at).tolist():
            vantage = block.vantages[int(rows.numbers[1, row])]
            if not asked.vantages or vantage in asked.vantages:
                shown.append(_measurement(asked.target, vantage, rows, row))


def _measurement(target: Target, vantage: str, rows: RecentRows, row: int) -> measurement_pb2.Measurement:
    _, _, slot_start, time, outcome, reason, *facts = rows.numbers[:, row].tolist()
    fact = dict(zip(FACTS, facts, strict=True))
    expiry, started = fact["certificate_expiry"], from_micros(time)
    message = measurement_pb2.Measurement(
        vantage=vantage,
        slot_start=to_timestamp(slot_start),
        time=None if started is None else to_timestamp(started),
        outcome=outcome_pb2.Outcome.ValueType(outcome),
        reason=_reason(reason),
        latency=to_duration(from_micros(fact["latency"])),
        data_age=to_duration(from_micros(fact["data_age"])),
        phases=measurement_pb2.Phases(**{name: to_duration(from_micros(fact[name])) for name in _PHASES}),
        certificate_expiry=None if expiry < 0 else to_timestamp(expiry),
        detail=rows.details[row],
    )
    setattr(message, "endpoint" if target.endpoint else "link", target.id)
    return message


def _add_burns(
    found: indicator_service_pb2.LinkFindings, view: RegisterView, block: RecentBlock, target: Target
) -> None:
    if target.endpoint or len(block.burn_known) != len(SPANS):
        return
    here = [block.links.index(target.id)]
    known, failed = block.burn_known[:, here], block.burn_failed[:, here]
    slo = np.array([view.register.links[target.id].slo])
    rates = burn(known, failed, slo)[:, 0].tolist()
    for at, one in enumerate(burning_links(known, failed, slo)):
        found.burns.add(
            span=one.span.label,
            known=int(known[at, 0]),
            failed=int(failed[at, 0]),
            burn=rates[at],
            threshold=one.span.threshold,
            burning=len(one.links) > 0,
        )


def _reason(number: int) -> outcome_pb2.Reason.ValueType:
    return outcome_pb2.Reason.ValueType(number)

"""Reads the evidence behind one link or endpoint: why slots failed, what was last measured, how fast its budget burns.

It is read from the bus on demand, from the blocks of recent measurements and of slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import indicator_service_pb2 as messages
from peyvand.v1 import measurement_pb2, outcome_pb2
from services.api.answers.blocks import decoded, find_volume
from services.api.answers.link_shares import WindowEvidence
from services.api.answers.notices import objection_message
from services.api.errors import UnavailableError
from services.api.model import RegisterView, agency_block_key
from services.core.blocks import RecentBlock, SlotBlock, decode_recent, decode_slot_block
from services.core.bus import group_of, recent_key, slot_key
from services.core.codec import from_micros, to_duration, to_timestamp
from services.core.errors import BusError
from services.core.model import FACTS, PHASES, STAGES, RecentRows, Target
from services.core.tasks import Slices
from services.indicator.index import SPANS, burn, burning_links
from services.indicator.requirements import RequiredSlots
from services.indicator.verdicts import TargetSlots, counting_vantages

_READ_SECONDS = 10.0

ReadValues = Callable[[str], Awaitable[Mapping[str, bytes]]]
"""Returns the values of bucket `indicator` whose keys match, by key. Raises BusError when the bus does not answer."""


@dataclass(frozen=True, slots=True)
class _RegisteredTarget:
    """A target with what the register lists about it."""

    target: Target
    agency: str
    vantages: tuple[str, ...]
    required: RequiredSlots

    @classmethod
    def of(cls, view: RegisterView, target: Target) -> _RegisteredTarget:
        register = view.register
        if target.endpoint:
            endpoint = register.endpoints[target.id]
            required = RequiredSlots.of_endpoint(view.calendar)
            return cls(target, endpoint.agency, tuple(endpoint.vantages), required)
        link = register.links[target.id]
        return cls(target, register.consumer(link), tuple(link.vantages), RequiredSlots.of_link(link, view.calendar))


class EvidenceReader:
    """Reads the evidence of single targets."""

    def __init__(self, read: ReadValues) -> None:
        self._read = read

    async def of_target(self, window: WindowEvidence, target: Target, window_days: int) -> messages.LinkFindings:
        """Return the evidence of a target of the register in force. Raises RequestError."""
        view = window.view
        registered = _RegisteredTarget.of(view, target)
        group = group_of(registered.agency)
        recent, slots = await self._read_all(target.id, recent_key(group, "*"), slot_key(group, "*"))
        findings = messages.LinkFindings()
        if not target.endpoint:
            _add_window(findings, window, target.id)
            _add_exchanges(findings, window, target.id, window_days)
            findings.objections.extend(map(objection_message, view.objections.get(target.id, ())))
        _add_reasons(findings, view, registered, await _slot_blocks(view, slots))
        for block in (decoded(key, payload, decode_recent) for key, payload in recent.items()):
            if block is not None and target in block.targets:
                _add_recent(findings, block, registered)
                _add_burns(findings, view, block, target)
        return findings

    async def states(self, view: RegisterView, agency: str, links: Iterable[str]) -> dict[str, messages.LinkState]:
        """Return the state of each link that has a slot in force, by the agency's newest slots. Raises RequestError.

        Pauses between links for other calls, because each link is looked up among those of its agency's group.
        """
        (values,) = await self._read_all(agency, slot_key(group_of(agency), "*"))
        blocks, slices = await _slot_blocks(view, values), Slices()
        states = {}
        for link in links:
            state = _state(view, _RegisteredTarget.of(view, Target(link)), blocks)
            if state is not None:
                states[link] = state
            await slices.pause()
        return states

    async def _read_all(self, entity: str, *patterns: str) -> list[Mapping[str, bytes]]:
        """Return the values under each pattern, by key. Raises RequestError when the bus does not answer."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return await asyncio.gather(*map(self._read, patterns))
        except (BusError, TimeoutError) as error:
            raise UnavailableError(
                "EVIDENCE_UNREACHABLE",
                f"the evidence of `{entity}` cannot be read as the bus does not answer: retry",
                id=entity,
            ) from error


async def _slot_blocks(view: RegisterView, values: Mapping[str, bytes]) -> list[SlotBlock]:
    """Return the blocks of the policy's slots that can be decoded, in order of time. Other calls have turns.

    The bucket keeps blocks of another slot length for two days after a change. Their slots are numbered by that length.
    """
    blocks, slices = list[SlotBlock](), Slices()
    for key, payload in values.items():
        block = decoded(key, payload, decode_slot_block)
        if block is not None and block.slot_seconds == view.calendar.slot_seconds:
            blocks.append(block)
        await slices.pause()
    return sorted(blocks, key=lambda block: block.first_slot)


def _state(view: RegisterView, registered: _RegisteredTarget, blocks: Iterable[SlotBlock]) -> messages.LinkState | None:
    parts = [(slots, judged.verdict, judged.reason) for slots, judged in _judged(registered, blocks)]
    if not parts:
        return None
    slots, verdict, reason = (np.concatenate(part) for part in zip(*parts, strict=True))
    slots, verdict, reason = (part[verdict > 0] for part in (slots, verdict, reason))
    if not len(slots):
        return None
    others = np.flatnonzero(verdict != verdict[-1])
    return messages.LinkState(
        verdict=outcome_pb2.Outcome.ValueType(int(verdict[-1])),
        reason=outcome_pb2.Reason.ValueType(int(reason[-1])),
        since=to_timestamp(view.calendar.start_of(int(slots[others[-1] + 1]))) if len(others) else None,
    )


def _add_window(findings: messages.LinkFindings, window: WindowEvidence, link: str) -> None:
    position = window.view.position(link)
    findings.slots = int(window.shares.slots[position])
    for stage, count in zip(STAGES, window.shares.counts[:, position].tolist(), strict=True):
        setattr(findings, stage, count)


def _add_exchanges(findings: messages.LinkFindings, window: WindowEvidence, name: str, window_days: int) -> None:
    register = window.view.register
    link = register.links[name]
    block = window.blocks.get(agency_block_key(register.consumer(link)))
    volume = find_volume(block, link.provider)
    if volume is not None:
        findings.exchanges.CopyFrom(volume)
    reconciliation = None if block is None else block.reconciliation(name, window_days)
    if reconciliation is not None:
        findings.reconciliation.CopyFrom(reconciliation)


def _judged(
    registered: _RegisteredTarget, blocks: Iterable[SlotBlock]
) -> Iterator[tuple[NDArray[np.int64], TargetSlots]]:
    """Yield the slots of each block that has the target, and how they are judged."""
    for block in blocks:
        targets = block.endpoints if registered.target.endpoint else block.links
        if registered.target.id not in targets:
            continue
        column = targets.index(registered.target.id) + (len(block.links) if registered.target.endpoint else 0)
        slots = block.first_slot + np.arange(len(block.verdict))
        yield (
            slots,
            TargetSlots.of(
                slots,
                registered.required,
                block.verdict[:, column],
                block.outcome[:, column],
                block.reason[:, column],
                counting_vantages(registered.vantages, block.vantages),
            ),
        )


def _add_reasons(
    findings: messages.LinkFindings, view: RegisterView, registered: _RegisteredTarget, blocks: Iterable[SlotBlock]
) -> None:
    """Count the reasons of slots that were not OK."""
    counts, known = np.zeros(256, dtype=np.int64), 0
    covered: list[int] = []
    for slots, judged in _judged(registered, blocks):
        known += int(judged.known.sum())
        counts += np.bincount(judged.reason[judged.failed], minlength=len(counts))
        in_force = slots[judged.verdict > 0]
        covered += in_force[[0, -1]].tolist() if len(in_force) else []
    if not covered:
        return
    findings.reasons_known = known
    findings.reasons_from.CopyFrom(to_timestamp(view.calendar.start_of(min(covered))))
    findings.reasons_to.CopyFrom(to_timestamp(view.calendar.start_of(max(covered) + 1)))
    for reason in np.argsort(-counts, kind="stable").tolist():
        if counts[reason]:
            count = int(counts[reason])
            findings.reasons.add(reason=outcome_pb2.Reason.ValueType(reason), slots=count, share=count / known)


def _add_recent(findings: messages.LinkFindings, block: RecentBlock, registered: _RegisteredTarget) -> None:
    position = block.targets.index(registered.target)
    for rows, shown in ((block.latest, findings.latest), (block.failures, findings.failures)):
        for row in np.flatnonzero(rows.numbers[0] == position).tolist():
            vantage = block.vantages[int(rows.numbers[1, row])]
            if not registered.vantages or vantage in registered.vantages:
                shown.append(_measurement(registered.target, vantage, rows, row))


def _measurement(target: Target, vantage: str, rows: RecentRows, row: int) -> measurement_pb2.Measurement:
    _, _, slot_start, time, outcome, reason, *facts = rows.numbers[:, row].tolist()
    fact = dict(zip(FACTS, facts, strict=True))
    expiry, started = fact["certificate_expiry"], from_micros(time)
    message = measurement_pb2.Measurement(
        vantage=vantage,
        slot_start=to_timestamp(slot_start),
        time=None if started is None else to_timestamp(started),
        outcome=outcome_pb2.Outcome.ValueType(outcome),
        reason=outcome_pb2.Reason.ValueType(reason),
        latency=to_duration(from_micros(fact["latency"])),
        data_age=to_duration(from_micros(fact["data_age"])),
        phases=measurement_pb2.Phases(**{name: to_duration(from_micros(fact[name])) for name in PHASES}),
        certificate_expiry=None if expiry < 0 else to_timestamp(expiry),
        detail=rows.details[row],
    )
    setattr(message, "endpoint" if target.endpoint else "link", target.id)
    return message


def _add_burns(findings: messages.LinkFindings, view: RegisterView, block: RecentBlock, target: Target) -> None:
    if target.endpoint or len(block.burn_known) != len(SPANS):
        return
    column = [block.links.index(target.id)]
    known, failed = block.burn_known[:, column], block.burn_failed[:, column]
    slo = np.array([view.register.links[target.id].slo])
    rates = burn(known, failed, slo)[:, 0].tolist()
    for row, burning in enumerate(burning_links(known, failed, slo)):
        findings.burns.add(
            span=burning.span.label,
            known=int(known[row, 0]),
            failed=int(failed[row, 0]),
            burn=rates[row],
            threshold=burning.span.threshold,
            burning=len(burning.links) > 0,
        )

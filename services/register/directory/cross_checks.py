"""Checks across the files of a register."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from services.core.model import Link, Register
from services.register.directory.policy import PolicyReading
from services.register.probes import ProbeDefinitions
from services.register.reading import CsvTable, FaultList, fold


def check_probes(probes: ProbeDefinitions, policy: PolicyReading, faults: FaultList) -> None:
    """Check that every timeout is below half a slot, so that the phases of targets can be spread (docs/design.md §6)."""
    slot = policy.policy.slot_seconds
    for definition in probes.definitions.values():
        timeout = definition.probe.timeout
        if policy.mapping is not None and timeout >= slot / 2:
            reason = f"timeout: {timeout:g} s is not below half the slot of {slot} s"
            faults.add(definition.timeout, reason)


def check_links(links: CsvTable, register: Register) -> None:
    """Check that no two links require the same inquiry at a time, and that the links of a service have some weight."""
    by_inquiry: defaultdict[tuple[str, str, str], list[Link]] = defaultdict(list)
    weights: defaultdict[str, float] = defaultdict(float)
    for row in links.rows:
        link = register.links[fold(row.text("id"))]
        weights[link.service] += link.weight
        twins = by_inquiry[link.service, link.provider, link.data_item]
        for twin in twins:
            if _overlap(link, twin):
                row.fault("id", f"service, provider and data_item are those of link `{twin.id}`, and so are some days")
        twins.append(link)
    for row in links.rows:
        service = fold(row.text("service"))
        if weights.pop(service, None) == 0:
            row.fault("weight", f"every link of service `{service}` has weight 0: give the service weight 0 instead")


def _overlap(first: Link, second: Link) -> bool:
    return _start(first) < _end(second) and _start(second) < _end(first)


def _start(link: Link) -> date:
    return link.required_from or date.min


def _end(link: Link) -> date:
    return link.required_until or date.max

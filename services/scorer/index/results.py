"""The values from which an index is made step by step, and the index itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.core.model import Register, Structure
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index import Snapshot
from services.indicator.register_arrays import RegisterArrays
from services.indicator.structure import AgencyNetwork
from services.register.attribution import Attributor
from services.scorer.index.members import AgencyMembers, EvidenceGroup, agency_members, evidence_groups
from services.scorer.index.silent_vantages import ProbingSpans, probing_spans


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRegister:
    """A register with everything that is derived from it once. For a million links that takes seconds."""

    register: Register
    arrays: RegisterArrays
    network: AgencyNetwork
    members: dict[str, AgencyMembers]
    groups: dict[int, EvidenceGroup]
    probing_spans: ProbingSpans
    attributor: Attributor

    @classmethod
    def of(cls, register: Register) -> CompiledRegister:
        """Derive everything from a register."""
        arrays = RegisterArrays.of(register)
        return cls(
            register=register,
            arrays=arrays,
            network=AgencyNetwork.of(register, arrays),
            members=dict(agency_members(register, arrays)),
            groups=evidence_groups(register, arrays),
            probing_spans=probing_spans(register),
            attributor=Attributor(register),
        )


FAULTS = ("slot", "time", "target")
"""Why a measurement is refused.

``slot``: its slot is in the future or before the epoch, or does not begin where slots do. ``time``: it was probed
outside its slot. ``target``: no register has had its target.
"""


@dataclass(frozen=True, slots=True)
class TakenBatch:
    """How many rows of a batch were ingested, and how many were not.

    ``late`` ones were stored after the grace of their slot. Others were ``refused`` for one of FAULTS. ``resettled``
    counts the slots of targets that the batch changed although they had settled.
    """

    accepted: int
    late: int
    refused: Mapping[str, int]
    resettled: int


@dataclass(frozen=True, slots=True, eq=False)
class PendingUpdate:
    """What is new since the last update, up to ``end_slot`` exclusive and message ``sequence``.

    ``chunks`` are the ranges of slots with changes, and ``groups`` are those of the agencies affected.
    """

    compiled: CompiledRegister
    end_slot: int
    sequence: int
    chunks: tuple[range, ...]
    groups: Mapping[int, EvidenceGroup]


@dataclass(frozen=True, slots=True, eq=False)
class CountedEvidence:
    """The evidence as counted for an update. Agencies are ``urgent`` if they have late rows since the last count."""

    due: PendingUpdate
    urgent: Mapping[str, AgencyMembers]
    counted: FrozenEvidence


@dataclass(frozen=True, slots=True)
class IndexResult:
    """An index, the structure over each window, and the agencies whose blocks are ``urgent``."""

    snapshot: Snapshot
    compiled: CompiledRegister
    urgent: Mapping[str, AgencyMembers]
    structures: tuple[Structure, ...] = ()

"""An index as a value: what it is computed from, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.core.model import Register, Structure
from services.indicator.evidence import FrozenEvidence
from services.indicator.index import Snapshot
from services.indicator.register_arrays import RegisterArrays
from services.indicator.structure import AgencyNetwork
from services.scorer.index.members import AgencyMembers, agency_members
from services.scorer.index.silent_vantages import ProbingSpans, probing_spans

__all__ = ["CompiledRegister", "CountedEvidence", "IndexResult", "PendingUpdate"]


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRegister:
    """A register with all that is worked out of it once, which takes seconds for a million links."""

    register: Register
    arrays: RegisterArrays
    network: AgencyNetwork
    members: dict[str, AgencyMembers]
    probing_spans: ProbingSpans

    @classmethod
    def of(cls, register: Register) -> CompiledRegister:
        """Work it out."""
        arrays = RegisterArrays.of(register)
        return cls(
            register,
            arrays,
            AgencyNetwork.of(register, arrays),
            dict(agency_members(register, arrays)),
            probing_spans(register),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PendingUpdate:
    """What is new since something was last due, up to ``end_slot`` exclusive and message ``sequence``: the chunks it is in,
    as ranges of slots, and the agencies for whom it counts.
    """

    adopted: CompiledRegister
    end_slot: int
    sequence: int
    chunks: tuple[range, ...]
    agencies: Mapping[str, AgencyMembers]


@dataclass(frozen=True, slots=True, eq=False)
class CountedEvidence:
    """The evidence as counted up to the message of what is ``due``; of the agencies, those that anything came late for
    since the count before are the ``urgent`` ones.
    """

    due: PendingUpdate
    urgent: Mapping[str, AgencyMembers]
    counted: FrozenEvidence


@dataclass(frozen=True, slots=True)
class IndexResult:
    """One index, the structure over each window, and the agencies whose blocks are ``urgent``, as of ``CountedEvidence``."""

    snapshot: Snapshot
    register: Register
    arrays: RegisterArrays
    members: dict[str, AgencyMembers]
    urgent: Mapping[str, AgencyMembers]
    structures: tuple[Structure, ...] = ()
